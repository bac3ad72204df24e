#[path = "../harness.rs"]
mod harness;

use std::thread;

const ITEMS: u64 = 400_000;

/// As many senders as receivers, which share out the items among them through one queue of 100; see workload.hpp.
fn main() {
    let given = harness::read_options();
    let pairs = given.threads as u64;
    let each = ITEMS / pairs;
    let batch = || {
        let (sender, receiver) = crossbeam_channel::bounded::<u64>(100);
        let sum: u64 = thread::scope(|scope| {
            let mut receivers = Vec::new();
            for _ in 0..pairs {
                let sender = sender.clone();
                scope.spawn(move || (0..each).for_each(|i| sender.send(i).unwrap()));
                let receiver = receiver.clone();
                receivers.push(scope.spawn(move || (0..each).map(|_| receiver.recv().unwrap()).sum::<u64>()));
            }
            receivers.into_iter().map(|r| r.join().unwrap()).sum()
        });
        assert_eq!(sum, pairs * each * (each - 1) / 2);
    };
    batch();
    harness::print_rate(harness::run_batches(&given, ITEMS, |_| batch()));
}
