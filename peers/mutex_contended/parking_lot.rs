#[path = "../harness.rs"]
mod harness;

use harness::{print_tally, read_options, run_threads, work, Padded};
use parking_lot::Mutex;

fn main() {
    let given = read_options();
    let shared = Padded(Mutex::new((88172645463325252u64, 0u64)));
    let shared = &shared;
    let found = run_threads(&given, |i| {
        let mut own_state = 2685821657736338717u64 + i as u64;
        move || {
            {
                let mut inside = shared.0.lock();
                work(&mut inside.0, 20);
                inside.1 += 1;
            }
            work(&mut own_state, 80);
        }
    });
    assert_eq!(shared.0.lock().1, found.1, "the lock did not exclude");
    print_tally(found);
}
