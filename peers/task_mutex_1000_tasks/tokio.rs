#[path = "../harness.rs"]
mod harness;

use harness::work;
use std::sync::Arc;
use tokio::sync::Mutex;

const TASKS: u64 = 1000;
const LOCKS_OF_EACH: u64 = 200;

/// A thousand tasks on two threads lock one mutex 200 times each; the value is the rate until the last has ended.
fn main() {
    let given = harness::read_options();
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).build().unwrap();
    let shared = Arc::new(Mutex::new((88172645463325252u64, 0u64)));
    let found = harness::run_batches(&given, TASKS * LOCKS_OF_EACH, |_| {
        runtime.block_on(async {
            let tasks: Vec<_> = (0..TASKS)
                .map(|i| {
                    let shared = shared.clone();
                    tokio::spawn(async move {
                        let mut outside = 2685821657736338717u64 + i;
                        for _ in 0..LOCKS_OF_EACH {
                            {
                                let mut inside = shared.lock().await;
                                work(&mut inside.0, 20);
                                inside.1 += 1;
                            }
                            work(&mut outside, 80);
                        }
                    })
                })
                .collect();
            for task in tasks {
                task.await.unwrap();
            }
        })
    });
    assert_eq!(runtime.block_on(shared.lock()).1, found.0, "the lock did not exclude");
    harness::print_rate(found);
}
