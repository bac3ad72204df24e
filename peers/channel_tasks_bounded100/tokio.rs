#[path = "../harness.rs"]
mod harness;

const ITEMS: u64 = 1_000_000;

/// Senders share out a million items to one receiver through one channel of 100: tokio's channel has one receiver only.
fn main() {
    let given = harness::read_options();
    let senders = given.threads as u64;
    let each = ITEMS / senders;
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).build().unwrap();
    let batch = || {
        let sum = runtime.block_on(async {
            let (sender, mut receiver) = tokio::sync::mpsc::channel::<u64>(100);
            for _ in 0..senders {
                let sender = sender.clone();
                tokio::spawn(async move {
                    for i in 0..each {
                        sender.send(i).await.unwrap();
                    }
                });
            }
            drop(sender);
            let receiving = tokio::spawn(async move {
                let mut sum = 0;
                while let Some(item) = receiver.recv().await {
                    sum += item;
                }
                sum
            });
            receiving.await.unwrap()
        });
        assert_eq!(sum, senders * each * (each - 1) / 2);
    };
    batch();
    harness::print_rate(harness::run_batches(&given, ITEMS, |_| batch()));
}
