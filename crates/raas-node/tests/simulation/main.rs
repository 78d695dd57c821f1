//! Seeded simulation: the node's own engine over in-memory ports on the devnet's world, under faults, crashes and
//! lies, judged after every step by code that knows the world's ledger and nothing of the node.
//!
//! `RAAS_SEEDS=N` sets the number of seeds (20 by default), `RAAS_SEED=S` runs one and says what it does.

#![allow(clippy::print_stdout, reason = "a failing seed tells its story")]

mod chain;
mod contract;
mod crossing;
mod deals;
mod ending;
mod events;
mod evm;
mod judge;
mod registers;
mod run;
mod setting;
mod shared;
mod uploads;
mod wallet;
mod watching;

use std::collections::BTreeMap;
use std::sync::Mutex;

fn number(name: &str) -> Option<u64> {
    std::env::var(name).ok()?.parse().ok()
}

#[test]
fn no_seed_breaks_an_invariant_and_all_come_to_their_target() {
    let seeds = match number("RAAS_SEED") {
        Some(seed) => seed..seed + 1,
        None => 0..number("RAAS_SEEDS").unwrap_or(20),
    };
    let count = seeds.end - seeds.start;
    let left = Mutex::new(seeds);
    let seen: Mutex<BTreeMap<&'static str, u64>> = Mutex::default();
    let next = || left.lock().ok()?.next();
    std::thread::scope(|scope| {
        let workers: Vec<_> = (0..std::thread::available_parallelism().map_or(1, usize::from))
            .map(|_| {
                scope.spawn(|| {
                    while let Some(seed) = next() {
                        lives(seed, &seen)
                    }
                })
            })
            .collect();
        for worker in workers {
            if let Err(why) = worker.join() {
                std::panic::resume_unwind(why);
            }
        }
    });
    let seen = seen.into_inner().expect("every seed passed");
    println!("what the seeds met: {seen:?}");
    if count >= 100 {
        for what in run::MUST_MEET {
            assert!(seen.contains_key(what), "no seed met {what}: the simulation has become too tame");
        }
    }
}

/// One thread for everything, and one for what blocks, which is waited for where a process would take it along.
fn runtime() -> tokio::runtime::Runtime {
    let mut builder = tokio::runtime::Builder::new_current_thread();
    builder.enable_all().max_blocking_threads(1).build().expect("a runtime")
}

/// Runs a seed in a runtime of its own, and adds what it met.
fn lives(seed: u64, seen: &Mutex<BTreeMap<&'static str, u64>>) {
    let runtime = runtime();
    let met = runtime.block_on(run::run(seed)).unwrap_or_else(|why| panic!("seed {seed}: {why}"));
    let mut seen = seen.lock().expect("no other seed failed");
    for what in met {
        *seen.entry(what).or_default() += 1;
    }
}

#[test]
fn the_same_seed_gives_the_same_history() {
    let runtime = runtime();
    for seed in [3, 17] {
        let first = runtime.block_on(run::history(seed)).expect("a run");
        let second = runtime.block_on(run::history(seed)).expect("a run");
        assert_eq!(first, second, "seed {seed}");
    }
}

/// An endpoint whose index hid a publication made the node buy a copy beside one that was there long ago.
#[test]
fn seed_89_a_publication_that_no_event_tells_is_no_silence() {
    runtime().block_on(run::run(89)).expect("nothing is bought for a hole in an index");
}
