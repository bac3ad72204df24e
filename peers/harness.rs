//! What every peer program in Rust shares; see harness.hpp.
#![allow(dead_code)]

use std::arch::asm;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::time::{Duration, Instant};

pub struct Options {
    pub seconds: f64,
    pub threads: usize,
    pub writes: u64,
    pub think_us: u64,
}

pub fn read_options() -> Options {
    let mut read = Options { seconds: 1.0, threads: 1, writes: 5, think_us: 0 };
    let arguments: Vec<String> = std::env::args().collect();
    for pair in arguments[1..].chunks(2) {
        match (pair[0].as_str(), pair.get(1)) {
            ("--seconds", Some(value)) => read.seconds = value.parse().unwrap(),
            ("--threads", Some(value)) => read.threads = value.parse().unwrap(),
            ("--writes", Some(value)) => read.writes = value.parse().unwrap(),
            ("--think-us", Some(value)) => read.think_us = value.parse().unwrap(),
            _ => {
                eprintln!("usage: {} [--seconds S] [--threads N] [--writes PERCENT] [--think-us T]", arguments[0]);
                std::process::exit(2);
            }
        }
    }
    read
}

/// A value that the compiler knows nothing about.
#[inline(always)]
pub fn opaque(mut value: u64) -> u64 {
    unsafe { asm!("/* {0} */", inout(reg) value, options(nomem, nostack)) };
    value
}

/// Work that the compiler cannot leave out: `steps` rounds of a xorshift generator on `state`.
#[inline(always)]
pub fn work(state: &mut u64, steps: u32) {
    let mut s = *state;
    for _ in 0..steps {
        s ^= s << 13;
        s ^= s >> 7;
        s ^= s << 17;
    }
    *state = opaque(s);
}

/// Keeps the calling thread on one processor, the `n`th of those that the process may use, round and round.
pub fn stay_on_cpu(n: usize) {
    unsafe {
        let size = std::mem::size_of::<libc::cpu_set_t>();
        let mut allowed: libc::cpu_set_t = std::mem::zeroed();
        libc::sched_getaffinity(0, size, &mut allowed);
        let cpus: Vec<usize> = (0..libc::CPU_SETSIZE as usize).filter(|&cpu| libc::CPU_ISSET(cpu, &allowed)).collect();
        let mut one: libc::cpu_set_t = std::mem::zeroed();
        libc::CPU_SET(cpus[n % cpus.len()], &mut one);
        libc::sched_setaffinity(0, size, &one);
    }
}

#[repr(align(64))]
pub struct Padded<T>(pub T);

/// What threads did that began together and repeated what `make(i)` gave them: seconds, operations, the least share.
pub fn run_threads<F, Make>(given: &Options, make: Make) -> (f64, u64, f64)
where
    F: FnMut(),
    Make: Fn(usize) -> F + Sync,
{
    let threads = given.threads;
    let (ready, go, over) = (AtomicUsize::new(0), AtomicBool::new(false), Padded(AtomicBool::new(false)));
    let (ready, go, over, make) = (&ready, &go, &over, &make);
    std::thread::scope(|scope| {
        let workers: Vec<_> = (0..threads)
            .map(|i| {
                scope.spawn(move || {
                    let mut operation = make(i);
                    let mut own = 0u64;
                    ready.fetch_add(1, Ordering::SeqCst);
                    while !go.load(Ordering::SeqCst) {
                        std::thread::park();
                    }
                    while !over.0.load(Ordering::Relaxed) {
                        operation();
                        own += 1;
                    }
                    own
                })
            })
            .collect();
        while ready.load(Ordering::SeqCst) != threads {
            std::thread::yield_now();
        }
        let start = Instant::now();
        go.store(true, Ordering::SeqCst);
        for worker in &workers {
            worker.thread().unpark();
        }
        std::thread::sleep(Duration::from_secs_f64(given.seconds));
        over.0.store(true, Ordering::Relaxed);
        let elapsed = start.elapsed().as_secs_f64();
        let counts: Vec<u64> = workers.into_iter().map(|worker| worker.join().unwrap()).collect();
        let total: u64 = counts.iter().sum();
        let least = *counts.iter().min().unwrap();
        (elapsed, total, least as f64 * threads as f64 / total.max(1) as f64)
    })
}

pub fn print_tally((elapsed, total, least_share): (f64, u64, f64)) {
    println!(
        r#"{{"value": {:.4}, "unit": "M ops/s", "better": "higher", "least_share": {:.4}}}"#,
        total as f64 / elapsed / 1e6,
        least_share
    );
}

/// Runs batches until the time is over; gives operations and seconds.
pub fn run_batches(given: &Options, batch: u64, mut run: impl FnMut(u64)) -> (u64, f64) {
    let (mut operations, start) = (0, Instant::now());
    loop {
        run(batch);
        operations += batch;
        let elapsed = start.elapsed().as_secs_f64();
        if elapsed >= given.seconds {
            return (operations, elapsed);
        }
    }
}

pub fn print_rate((operations, elapsed): (u64, f64)) {
    println!(
        r#"{{"value": {:.4}, "unit": "M ops/s", "better": "higher", "ns_per_op": {:.3}}}"#,
        operations as f64 / elapsed / 1e6,
        elapsed * 1e9 / operations as f64
    );
}
