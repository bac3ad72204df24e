#[path = "../harness.rs"]
mod harness;

use harness::opaque;
use std::time::Instant;
use tokio::sync::Mutex;

/// One task of a runtime of two threads locks and unlocks a mutex that nobody else wants.
fn main() {
    let given = harness::read_options();
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).build().unwrap();
    let task = runtime.spawn(async move {
        let mutex = Mutex::new(0u64);
        let (mut operations, start) = (0u64, Instant::now());
        loop {
            for _ in 0..10_000 {
                let mut value = mutex.lock().await;
                *value = opaque(*value + 1);
            }
            operations += 10_000;
            let elapsed = start.elapsed().as_secs_f64();
            if elapsed >= given.seconds {
                assert_eq!(*mutex.lock().await, operations, "the protected value is wrong");
                return (operations, elapsed);
            }
        }
    });
    harness::print_rate(runtime.block_on(task).unwrap());
}
