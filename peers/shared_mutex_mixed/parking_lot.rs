#[path = "../harness.rs"]
mod harness;

use harness::{print_tally, read_options, run_threads, work, Padded};
use parking_lot::RwLock;

fn main() {
    let given = read_options();
    let writes = given.writes;
    let shared = Padded(RwLock::new(Padded(88172645463325252u64)));
    let shared = &shared;
    print_tally(run_threads(&given, |i| {
        let mut own = 2685821657736338717u64 + i as u64;
        move || {
            if own % 100 < writes {
                work(&mut shared.0.write().0, 50);
            } else {
                let inside = shared.0.read();
                let mut copy = inside.0;
                work(&mut copy, 50);
            }
            work(&mut own, 50);
        }
    }));
}
