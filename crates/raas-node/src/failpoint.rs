//! Named points before and after every await on an effect, at which a test can kill the process.
//!
//! `RAAS_FAILPOINT=deliver.propose:after` kills the process (SIGKILL) the first time that point is passed on the named
//! side, `deliver.propose:after:3` the third time. Without the variable a point costs one load. [`ALL`] lists every
//! name; a test reads the sources and fails when a name is used that is not listed, or listed and not used, and when an
//! effect is awaited outside of [`around`]. What blocks its thread stands in [`within`].
//!
//! [`with_deaths`] does the same within one process, for simulations: whatever runs in it can stop for ever at a point.

use std::future::Future;
use std::sync::OnceLock;
use std::sync::atomic::{AtomicU32, Ordering};

/// Every effect's name, in the order of the loop.
pub const ALL: &[&str] = &[
    "devnet.fund",
    "devnet.deploy",
    "follow.window",
    "follow.apply",
    "observe.apply",
    "plan.commit",
    "deliver.fetch",
    "deliver.local",
    "deliver.escrow",
    "deliver.sign",
    "deliver.store",
    "deliver.propose",
    "deliver.settle",
    "send.batch",
    "send.quote",
    "send.prepare",
    "send.store",
    "send.broadcast",
    "send.settle",
    "probe.verify",
    "probe.record",
    "evict.delete",
    "evict.record",
    "fetch.bytes",
    "fetch.record",
    "register.store",
    "upload.note",
    "gc.delete",
    "index.write",
    "blocks.keep",
    "upload.record",
    "serve.fetch",
    "serve.record",
    "pay.store",
    "step.finish",
];

static ARMED: OnceLock<Option<Armed>> = OnceLock::new();

/// The point at which the process ends.
#[derive(Debug)]
struct Armed {
    name: String,
    after: bool,
    /// Passages left, this last one included.
    passages: AtomicU32,
}

tokio::task_local! {
    static DIES: Box<dyn Fn() -> bool + Send + Sync>;
}

/// Runs an effect between its two points.
pub async fn around<T>(name: &'static str, effect: impl Future<Output = T>) -> T {
    hit(name, false);
    may_die().await;
    let outcome = effect.await;
    hit(name, true);
    may_die().await;
    outcome
}

/// As [`around`], for an effect on a blocking thread.
pub fn within<T>(name: &'static str, effect: impl FnOnce() -> T) -> T {
    hit(name, false);
    let outcome = effect();
    hit(name, true);
    outcome
}

/// Runs `life`, asking `dies` at each point. Once it says yes, `life` never goes on: whoever asked drops it, as a process
/// that was killed there.
pub async fn with_deaths<T>(
    dies: impl Fn() -> bool + Send + Sync + 'static,
    life: impl Future<Output = T>,
) -> T {
    DIES.scope(Box::new(dies), life).await
}

async fn may_die() {
    if DIES.try_with(|dies| dies()).unwrap_or(false) {
        std::future::pending::<()>().await;
    }
}

fn hit(name: &str, after: bool) {
    let armed = ARMED.get_or_init(|| parse(std::env::var("RAAS_FAILPOINT").ok()?.as_str()));
    if let Some(armed) = armed
        && armed.name == name
        && armed.after == after
        && armed.passages.fetch_sub(1, Ordering::Relaxed) == 1
    {
        #[cfg(unix)]
        let _ = rustix::process::kill_process(rustix::process::getpid(), rustix::process::Signal::KILL);
        std::process::abort();
    }
}

fn parse(text: &str) -> Option<Armed> {
    let mut parts = text.split(':');
    let name = parts.next().filter(|name| ALL.contains(name))?.to_owned();
    let after = match parts.next()? {
        "before" => false,
        "after" => true,
        _ => return None,
    };
    let passage = parts.next().map_or(Some(1), |number| number.parse().ok().filter(|number| *number > 0))?;
    parts.next().is_none().then_some(Armed { name, after, passages: AtomicU32::new(passage) })
}

#[cfg(test)]
mod tests {
    use super::{ALL, around, parse, with_deaths};
    use futures_util::FutureExt;
    use std::collections::BTreeSet;
    use std::path::Path;
    use std::sync::Arc;
    use std::sync::atomic::{AtomicU32, Ordering};

    fn sources(folder: &Path, into: &mut String) {
        for entry in std::fs::read_dir(folder).expect("a readable folder") {
            let path = entry.expect("a readable entry").path();
            if path.is_dir() {
                sources(&path, into);
            } else if path.extension().is_some_and(|ext| ext == "rs") && !path.ends_with("failpoint.rs") {
                into.push_str(&std::fs::read_to_string(path).expect("UTF-8"));
            }
        }
    }

    #[test]
    fn every_point_is_listed_and_every_listed_point_is_used() {
        let mut text = String::new();
        sources(&Path::new(env!("CARGO_MANIFEST_DIR")).join("src"), &mut text);
        let compact: String = text.split_whitespace().collect();
        let named = |call| compact.split(call).skip(1).filter_map(|rest| rest.split('"').next());
        let used: BTreeSet<&str> =
            named("failpoint::around(\"").chain(named("failpoint::within(\"")).collect();
        assert_eq!(used, ALL.iter().copied().collect::<BTreeSet<_>>());
    }

    #[test]
    fn only_listed_points_can_be_armed() {
        let read = |text| {
            parse(text).map(|armed| (armed.name.clone(), armed.after, armed.passages.load(Ordering::Relaxed)))
        };
        assert_eq!(read("deliver.propose:after"), Some(("deliver.propose".to_owned(), true, 1)));
        assert_eq!(read("deliver.propose:before:3"), Some(("deliver.propose".to_owned(), false, 3)));
        for wrong in ["nowhere:after", "deliver.propose", "deliver.propose:beside", "deliver.propose:after:0"]
        {
            assert_eq!(read(wrong), None, "{wrong}");
        }
        assert_eq!(read("deliver.propose:after:x"), None);
        assert_eq!(read("deliver.propose:after:1:2"), None);
    }

    #[test]
    fn a_life_ends_for_ever_at_the_point_that_says_so() {
        for last in 0..5 {
            let (passed, effects) = (AtomicU32::new(0), Arc::new(AtomicU32::new(0)));
            let done = Arc::clone(&effects);
            let effect = || async { done.fetch_add(1, Ordering::Relaxed) };
            let life = with_deaths(move || passed.fetch_add(1, Ordering::Relaxed) == last, async {
                around("one", effect()).await;
                around("two", effect()).await;
            });
            let ended = life.now_or_never().is_some();
            // Before and after each of the two, and then never.
            let expected = [(false, 0), (false, 1), (false, 1), (false, 2), (true, 2)][last as usize];
            assert_eq!((ended, effects.load(Ordering::Relaxed)), expected, "at point {last}");
        }
    }
}
