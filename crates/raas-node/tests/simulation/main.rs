//! Seeded simulation: the node's own engine over in-memory ports on the devnet's world, under faults, crashes and
//! lies, judged after every step by code that knows the world's ledger and nothing of the node.
//!
//! `RAAS_SEEDS=N` sets the number of seeds (40 by default, 20 of days), `RAAS_SEEDS_FROM=S` the first of them (0), and
//! `RAAS_SEED=S` runs one and says what it does.

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
use std::panic::AssertUnwindSafe;
use std::sync::Mutex;
use std::sync::atomic::{AtomicU64, Ordering};

fn number(name: &str) -> Option<u64> {
    std::env::var(name).ok()?.parse().ok()
}

/// Seeds that may fail before the others are left out.
const FAILURES_MAX: usize = 10;
/// Seeds between two lines that say how far a long run is.
const TOLD_EVERY: u64 = 500;

/// Runs the seeds that were asked for, as many at a time as there are processors. A seed that fails says so at once, and
/// the others go on. What they met, unless only some of `usual` were asked for.
fn all_live(
    usual: u64,
    life: impl AsyncFn(u64) -> Result<Vec<&'static str>, String> + Sync,
    must_meet: &[&str],
) {
    let seeds = match number("RAAS_SEED") {
        Some(seed) => seed..seed + 1,
        None => {
            let from = number("RAAS_SEEDS_FROM").unwrap_or(0);
            from..from + number("RAAS_SEEDS").unwrap_or(usual)
        }
    };
    // On one processor the test runner leaves its line open, and what fails must begin one.
    println!();
    let count = seeds.end - seeds.start;
    let left = Mutex::new(seeds);
    let seen: Mutex<BTreeMap<&'static str, u64>> = Mutex::default();
    let (passed, failed) = (AtomicU64::new(0), Mutex::new(Vec::new()));
    let next = || {
        let few = failed.lock().expect("only added to").len() < FAILURES_MAX;
        left.lock().expect("only counted").next().filter(|_| few)
    };
    let work = || {
        while let Some(seed) = next() {
            match alone(seed, &life) {
                Ok(met) => {
                    let mut seen = seen.lock().expect("only counted");
                    met.into_iter().for_each(|what| *seen.entry(what).or_default() += 1);
                    let passed = passed.fetch_add(1, Ordering::Relaxed) + 1;
                    if passed.is_multiple_of(TOLD_EVERY) {
                        println!("{passed} of {count} seeds passed");
                    }
                }
                Err(why) => {
                    println!("seed {seed}: {why}");
                    failed.lock().expect("only added to").push(seed);
                }
            }
        }
    };
    std::thread::scope(|scope| {
        for _ in 0..std::thread::available_parallelism().map_or(1, usize::from) {
            scope.spawn(work);
        }
    });
    let (seen, failed) = (seen.into_inner(), failed.into_inner().expect("only added to"));
    let seen = seen.expect("only counted");
    println!("what {count} seeds met: {seen:?}");
    assert!(failed.is_empty(), "seeds {failed:?} failed");
    if count >= usual / 2 {
        for what in must_meet {
            assert!(seen.contains_key(what), "no seed met {what}: the simulation has become too tame");
        }
    }
}

/// One seed by itself. What panics in it is its failure, too.
fn alone(
    seed: u64,
    life: &impl AsyncFn(u64) -> Result<Vec<&'static str>, String>,
) -> Result<Vec<&'static str>, String> {
    let lived = std::panic::catch_unwind(AssertUnwindSafe(|| runtime().block_on(life(seed))));
    lived.unwrap_or_else(|panic| {
        let text = panic.downcast_ref::<String>().map(String::as_str);
        Err(text.or_else(|| panic.downcast_ref::<&str>().copied()).unwrap_or("it panicked").to_owned())
    })
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

/// One thread for everything, and one for what blocks, which is waited for where a process would take it along. Nothing
/// here has a socket, and without them a thread is woken by one system call instead of three: the store's threads and
/// this one wake each other all day.
fn runtime() -> tokio::runtime::Runtime {
    let mut builder = tokio::runtime::Builder::new_current_thread();
    builder.enable_time().max_blocking_threads(1).build().expect("a runtime")
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

/// One order answered two losses, one of which nobody could know of yet; and nobody was left who could take a copy. Both are
/// the judge's to tell.
#[test]
fn days_56_and_1070_what_nobody_could_do_is_no_loss_forgotten() {
    for seed in [56, 1_070] {
        runtime().block_on(run::day(seed)).unwrap_or_else(|why| panic!("seed {seed}: {why}"));
    }
}
