#[path = "../harness.rs"]
mod harness;

use parking_lot::{Condvar, Mutex};
use std::time::{Duration, Instant};

struct Turns {
    turn: Mutex<usize>,
    changed: [Condvar; 2],
}

const OVER: usize = 2;

impl Turns {
    fn wait_for(&self, side: usize) -> bool {
        let mut turn = self.turn.lock();
        while *turn != side && *turn != OVER {
            self.changed[side].wait(&mut turn);
        }
        *turn != OVER
    }
    fn pass_to(&self, side: usize) {
        let mut turn = self.turn.lock();
        *turn = side;
        self.changed[side.min(1)].notify_one();
    }
}

fn main() {
    let given = harness::read_options();
    let thinking = Duration::from_micros(given.think_us);
    let think = || {
        let begun = Instant::now();
        while !thinking.is_zero() && begun.elapsed() < thinking {}
    };
    const BATCH: u64 = 100;
    let turns = Turns { turn: Mutex::new(0), changed: [Condvar::new(), Condvar::new()] };
    let (round_trips, elapsed) = std::thread::scope(|scope| {
        scope.spawn(|| {
            for i in 0.. {
                if !turns.wait_for(1) {
                    break;
                }
                if i == BATCH / 2 {
                    harness::stay_on_cpu(1);
                }
                think();
                turns.pass_to(0);
            }
        });
        for i in 0..BATCH {
            if i == BATCH / 2 {
                harness::stay_on_cpu(0);
            }
            turns.pass_to(1);
            turns.wait_for(0);
        }
        let found = harness::run_batches(&given, BATCH, |batch| {
            for _ in 0..batch {
                think();
                turns.pass_to(1);
                turns.wait_for(0);
            }
        });
        turns.pass_to(OVER);
        found
    });
    let thought = 2.0 * thinking.as_secs_f64() * round_trips as f64;
    println!(
        r#"{{"value": {:.3}, "unit": "us per round trip", "better": "lower"}}"#,
        (elapsed - thought) * 1e6 / round_trips as f64
    );
}
