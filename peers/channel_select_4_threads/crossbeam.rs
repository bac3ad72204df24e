#[path = "../harness.rs"]
mod harness;

use crossbeam_channel::{bounded, select};
use std::thread;

const EACH: u64 = 100_000;

/// Four threads send to a channel of 100 of their own; a fifth selects among the four.
fn main() {
    let given = harness::read_options();
    let batch = || {
        let ends: Vec<_> = (0..4).map(|_| bounded::<u64>(100)).collect();
        let sum = thread::scope(|scope| {
            for (sender, _) in &ends {
                scope.spawn(move || (0..EACH).for_each(|i| sender.send(i).unwrap()));
            }
            let (a, b, c, d) = (&ends[0].1, &ends[1].1, &ends[2].1, &ends[3].1);
            let mut sum = 0;
            for _ in 0..4 * EACH {
                sum += select! {
                    recv(a) -> item => item.unwrap(),
                    recv(b) -> item => item.unwrap(),
                    recv(c) -> item => item.unwrap(),
                    recv(d) -> item => item.unwrap(),
                };
            }
            sum
        });
        assert_eq!(sum, 4 * EACH * (EACH - 1) / 2);
    };
    batch();
    harness::print_rate(harness::run_batches(&given, 4 * EACH, |_| batch()));
}
