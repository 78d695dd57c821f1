//! kill -9 of a process that writes: what it was told is stored is there, and nothing is there by half.

use crate::support::{cid, job};
use raas_core::ids::JobId;
use raas_node::store::{Error, Happened, Registered, Store};
use std::io::{BufRead, BufReader, Write};
use std::path::PathBuf;
use std::process::{Command, Stdio};

const STORE: &str = "RAAS_TEST_STORE";

/// The process that is killed: registers jobs for ever and says each number once it is stored.
#[tokio::test]
#[ignore = "run by what_was_answered_survives_kill_9 as its own process"]
async fn writes_until_it_is_killed() {
    let path = PathBuf::from(std::env::var_os(STORE).expect("set by the parent"));
    let store = Store::open(&path, "victim").await.unwrap();
    let first = store.jobs(None, None, None, 10_000).await.unwrap().len() as u64;
    for number in first.. {
        let Registered::Created { job, .. } = store.register_job(&job(number)).await.unwrap() else {
            panic!("each CID is new");
        };
        let mut out = std::io::stdout();
        writeln!(out, "\nstored {job} {number}").unwrap();
        out.flush().unwrap();
    }
}

#[tokio::test]
async fn what_was_answered_survives_kill_9() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("raas.db");
    let mut answered = Vec::new();
    for lines in [1, 7, 23] {
        let mut victim = Command::new(std::env::current_exe().unwrap())
            .args(["--exact", "crash::writes_until_it_is_killed", "--ignored", "--nocapture"])
            .env(STORE, &path)
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        let mut out = BufReader::new(victim.stdout.take().unwrap()).lines().map_while(Result::ok);
        let stored = |line: &String| {
            let (job, number) = line.strip_prefix("stored ")?.split_once(' ')?;
            Some((JobId(job.parse().ok()?), number.parse::<u64>().ok()?))
        };
        answered.extend(out.by_ref().filter_map(|line| stored(&line)).take(lines));
        victim.kill().unwrap();
        victim.wait().unwrap();
        // What it still said before it died was stored as well.
        answered.extend(out.filter_map(|line| stored(&line)));
    }
    assert!(answered.len() >= 31, "{}", answered.len());
    check(&path, &answered).await.unwrap();
}

async fn check(path: &std::path::Path, answered: &[(JobId, u64)]) -> Result<(), Error> {
    let store = Store::open(path, "judge").await?;
    for (id, number) in answered {
        let job = store.job(*id).await?.expect("an answered job is stored");
        assert_eq!(job.cid, cid(*number));
    }
    let jobs = store.jobs(None, None, None, 10_000).await?;
    assert!(jobs.len() <= answered.len() + 3, "at most one unanswered job per kill");
    let told = store.events(0, 10_000).await?;
    let told = told.iter().filter(|(_, event)| matches!(event.what, Happened::JobRegistered { .. })).count();
    assert_eq!(told, jobs.len(), "a job and its log line are one");
    assert_eq!(store.steps(10_000).await?.len(), jobs.len(), "a job and its step are one");
    assert_eq!(store.holdings().await?.len(), jobs.len());
    assert_eq!(store.fence(), 4, "each start took the next fence");
    Ok(())
}
