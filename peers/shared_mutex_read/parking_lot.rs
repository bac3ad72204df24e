#[path = "../harness.rs"]
mod harness;

use harness::{opaque, print_tally, read_options, run_threads, stay_on_cpu, Padded};
use parking_lot::RwLock;

fn main() {
    let given = read_options();
    let shared = Padded(RwLock::new(Padded(1u64)));
    let shared = &shared;
    print_tally(run_threads(&given, |i| {
        stay_on_cpu(i);
        let mut sum = 0u64;
        move || {
            let inside = shared.0.read();
            sum = opaque(sum.wrapping_add(inside.0));
        }
    }));
}
