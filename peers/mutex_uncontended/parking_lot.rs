#[path = "../harness.rs"]
mod harness;

use parking_lot::Mutex;

fn main() {
    let given = harness::read_options();
    let mutex = Mutex::new(0u64);
    let found = harness::run_batches(&given, 100_000, |batch| {
        for _ in 0..batch {
            let mut value = mutex.lock();
            *value = harness::opaque(*value + 1);
        }
    });
    assert_eq!(*mutex.lock(), found.0, "the protected value is wrong");
    harness::print_rate(found);
}
