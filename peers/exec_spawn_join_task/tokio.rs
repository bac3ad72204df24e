#[path = "../harness.rs"]
mod harness;

const BATCH: u64 = 100_000;
const TOGETHER: u64 = 100;

/// As heddle's: a task on a runtime of two workers starts a hundred tasks and awaits their handles.
fn main() {
    let given = harness::read_options();
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).build().unwrap();
    let rate = harness::run_batches(&given, BATCH, |batch| {
        let parent = runtime.spawn(async move {
            let mut handles = Vec::with_capacity(TOGETHER as usize);
            for _ in 0..batch / TOGETHER {
                for _ in 0..TOGETHER {
                    handles.push(tokio::spawn(async {}));
                }
                for handle in handles.drain(..) {
                    handle.await.unwrap();
                }
            }
        });
        runtime.block_on(parent).unwrap();
    });
    harness::print_rate(rate);
}
