//! Seeded simulation: the node's own engine over in-memory ports on the devnet's world, under faults, crashes and
//! lies, judged after every step by code that knows the world's ledger and nothing of the node.
//!
//! `RAAS_SEEDS=N` sets the number of seeds (40 by default, 20 of days), `RAAS_SEED=S` runs one and says what it does.

#![allow(clippy::print_stdout, reason = "a failing seed tells its story")]

mod chain;
mod contract;
mod crossing;
mod crowd;
mod day;
mod deals;
mod ending;
mod events;
mod evm;
mod judge;
mod recorded;
mod registers;
mod run;
mod served;
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

/// Runs the seeds that were asked for, as many at a time as there are processors. What they met, unless only some of
/// `usual` were asked for.
fn all_live(
    usual: u64,
    life: impl AsyncFn(u64) -> Result<Vec<&'static str>, String> + Sync,
    must_meet: &[&str],
) {
    let seeds = match number("RAAS_SEED") {
        Some(seed) => seed..seed + 1,
        None => 0..number("RAAS_SEEDS").unwrap_or(usual),
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
                        let met =
                            runtime().block_on(life(seed)).unwrap_or_else(|why| panic!("seed {seed}: {why}"));
                        let mut seen = seen.lock().expect("no other seed failed");
                        met.into_iter().for_each(|what| *seen.entry(what).or_default() += 1);
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
    println!("what {count} seeds met: {seen:?}");
    if count >= usual / 2 {
        for what in must_meet {
            assert!(seen.contains_key(what), "no seed met {what}: the simulation has become too tame");
        }
    }
}

#[test]
fn no_seed_breaks_an_invariant_and_all_come_to_their_target() {
    all_live(40, run::run, run::MUST_MEET);
}

#[test]
fn no_day_of_reorganisations_loses_an_event_spends_twice_or_repairs_without_need() {
    all_live(20, run::day, run::DAYS_MUST_MEET);
}

/// Time is the wall's here, and threads are many: a seed that fails is run again in memory first.
#[test]
fn the_same_days_pass_over_http_and_sqlite() {
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build();
    let runtime = runtime.expect("a runtime");
    let seeds = number("RAAS_SEED").map_or(0..3, |seed| seed..seed + 1);
    let (all, mut seen) = (seeds.end - seeds.start == 3, std::collections::BTreeSet::new());
    for seed in seeds {
        let met = runtime.block_on(served::day(seed)).unwrap_or_else(|why| panic!("seed {seed}: {why}"));
        seen.extend(met);
    }
    println!("what days over HTTP met: {seen:?}");
    for what in ["a reorganisation", "a loss was acted on", "the process died within an effect"] {
        assert!(!all || seen.contains(&what), "no seed met {what}: the simulation has become too tame");
    }
}

/// One thread for everything, and one for what blocks, which is waited for where a process would take it along.
fn runtime() -> tokio::runtime::Runtime {
    let mut builder = tokio::runtime::Builder::new_current_thread();
    builder.enable_all().max_blocking_threads(1).build().expect("a runtime")
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
