//! One measurement, from an empty devnet to the loss of its largest provider.

use crate::fleet::{Made, build, fill};
use crate::net::{Net, Process, Watcher};
use crate::{FINAL, PERIOD, Size};
use serde_json::json;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};
use tempfile::TempDir;

/// The node looks for a new head this often; what it asks between heads is not seen where time moves by command.
const POLL_SECONDS: f64 = 10.0;
const EPOCH_SECONDS: f64 = 30.0;
/// Jobs timed at rest.
const JOBS: u64 = 5;
/// Jobs come so far apart while the node works.
const BETWEEN_JOBS: Duration = Duration::from_secs(1);
/// Of a proving period.
const DEADLINES: i64 = 48;

/// What was measured with one number of endpoints that must agree.
pub struct Figures {
    pub calls_per_second: f64,
    pub memory_mib: u64,
    pub whole: Duration,
    pub loss_of_provider: Duration,
    pub lost_deals: u64,
    pub incidents_of_provider: [usize; 2],
    pub breaker_open: bool,
    pub job_at_rest: Duration,
    pub job_during_loss: Duration,
    pub loss_of_deal_epochs: i64,
    pub restart: Duration,
    pub round_at_rest: Duration,
}

/// Filled stores by the number of their replicas: the same commands make the same devnet, and filling takes longer than
/// everything else.
pub struct Stores {
    folder: PathBuf,
    _until_the_end: Option<TempDir>,
}

impl Stores {
    /// Kept in `folder`, or until the end of this run.
    pub fn new(folder: Option<PathBuf>) -> Self {
        match folder {
            Some(folder) => Self { folder, _until_the_end: None },
            None => {
                let folder = tempfile::tempdir().unwrap();
                Self { folder: folder.path().to_owned(), _until_the_end: Some(folder) }
            }
        }
    }

    async fn copy(&self, size: Size, net: &Net, made: &[Made]) -> TempDir {
        let filled = self.folder.join(format!("{}-{}.sqlite", size.replicas, size.providers));
        if !filled.exists() {
            let began = Instant::now();
            let folder = tempfile::tempdir_in(&self.folder).unwrap();
            let holdings = fill(folder.path(), net, made).await;
            std::fs::rename(folder.path().join("raas.sqlite"), &filled).unwrap();
            eprintln!(
                "         a store with {holdings} holdings is filled in {} s",
                began.elapsed().as_secs()
            );
        }
        let copy = tempfile::tempdir().unwrap();
        std::fs::copy(filled, copy.path().join("raas.sqlite")).unwrap();
        copy
    }
}

struct Stage {
    net: Net,
    devnet: Process,
    folder: TempDir,
    made: Vec<Made>,
    began: Instant,
}

impl Stage {
    /// A devnet with the fleet, and the node's store with its copies.
    async fn set(size: Size, agree: u32, stores: &Stores) -> Self {
        let began = Instant::now();
        let devnet = Process::start(0, &std::env::current_exe().unwrap(), &["devnet".to_owned()]);
        let http = reqwest::Client::builder().timeout(Duration::from_secs(3_600)).build().unwrap();
        let net = Net { http, url: devnet.line.clone() };
        let mut urls = vec![devnet.line.clone()];
        for number in 2..=agree {
            let name = format!("voice{number}");
            net.call("devnet_setEndpoint", json!([name, {}])).await;
            urls.push(format!("{}/{name}", devnet.line));
        }
        net.advance(100).await;
        let made = build(&net, size).await;
        net.advance(FINAL).await;
        let folder = stores.copy(size, &net, &made).await;
        configure(folder.path(), agree, &urls);
        let stage = Self { net, devnet, folder, made, began };
        stage.say(&format!("{} replicas are watched, {agree} must agree", stage.replicas()));
        stage
    }

    fn replicas(&self) -> u64 {
        self.made.iter().map(|made| made.count).sum()
    }

    fn say(&self, what: &str) {
        eprintln!("{:>6} s  {what}", self.began.elapsed().as_secs());
    }

    /// 1 % turns faulty; a proving period later all of it is known.
    async fn faults(&self) {
        for made in self.made.iter().filter(|made| made.count > 100) {
            let sectors: Vec<u64> = (0..made.count / 100).map(|at| made.first_sector + at * 97).collect();
            self.net.call("devnet_fault", json!([made.provider.number(), sectors])).await;
        }
        self.net.advance(PERIOD + FINAL).await;
    }

    /// Calls per second of chain time over `epochs` at rest, all endpoints together, and the mean round.
    async fn rest(&self, node: &Watcher, epochs: i64) -> (f64, Duration) {
        let before = self.net.calls().await;
        let began = Instant::now();
        for _ in 0..epochs {
            self.net.advance(1).await;
            node.quiesce(false).await;
        }
        let round = began.elapsed() / u32::try_from(epochs.max(1)).unwrap();
        let (mut calls, mut endpoints) = (0, 0.0);
        for (name, methods) in self.net.calls().await {
            endpoints += 1.0;
            for (method, count) in methods {
                let earlier =
                    before.get(&name).and_then(|methods| methods.get(&method)).copied().unwrap_or(0);
                calls += count - earlier;
                if count > earlier {
                    eprintln!("              {:>8}  {method} at {name}", count - earlier);
                }
            }
        }
        let between_heads = endpoints * (1.0 / POLL_SECONDS - 1.0 / EPOCH_SECONDS);
        (calls as f64 / (epochs.max(1) as f64 * EPOCH_SECONDS) + between_heads, round)
    }
}

fn configure(folder: &Path, agree: u32, urls: &[String]) {
    let config = format!(
        "network = {:?}\ndata_dir = {:?}\n[listen]\nadmin = \"127.0.0.1:0\"\ndata = \"127.0.0.1:0\"\n\
         [chain]\nendpoints = {urls:?}\nagree = {agree}\n[deals]\nproviders = [\"f01000\"]\n[policy]\nreplicas_min = 1\nreplicas_target = 1\nreplicas_max = 2\n",
        urls[0],
        folder.display().to_string(),
    );
    std::fs::write(folder.join("raas.toml"), config).unwrap();
}

/// Calls per second at rest alone.
pub async fn calls_at_rest(size: Size, agree: u32, epochs: i64, stores: &Stores) -> f64 {
    let stage = Stage::set(size, agree, stores).await;
    let node = Watcher::start(stage.folder.path());
    node.quiesce(false).await;
    stage.faults().await;
    node.quiesce(true).await;
    let (calls, _) = stage.rest(&node, epochs).await;
    stage.say(&format!("{calls:.2} calls per second at rest"));
    node.process.end();
    stage.devnet.end();
    calls
}

pub async fn measure(size: Size, agree: u32, epochs: i64, stores: &Stores) -> Figures {
    let stage = Stage::set(size, agree, stores).await;
    let node = Watcher::start(stage.folder.path());
    let first = node.quiesce(false).await;
    stage.say(&format!("first pass over everything: {:.1} s", first.as_secs_f64()));
    stage.faults().await;
    let whole = node.quiesce(true).await;
    stage.say(&format!("observe and plan of everything: {:.1} s", whole.as_secs_f64()));
    let (calls_per_second, round_at_rest) = stage.rest(&node, epochs).await;
    stage.say(&format!(
        "{calls_per_second:.2} calls per second at rest, {:.3} s a round",
        round_at_rest.as_secs_f64()
    ));
    let memory_at_rest = node.process.high_water();
    node.process.end();

    let started = Instant::now();
    let node = Watcher::start(stage.folder.path());
    stage.net.advance(1).await;
    node.quiesce(false).await;
    let restart = started.elapsed();
    stage.say(&format!("restart to ready: {:.1} s", restart.as_secs_f64()));

    let loss_of_deal_epochs = loss_of_one(&stage, &node).await;
    stage.say(&format!(
        "loss of one deal: {loss_of_deal_epochs} epochs after the first finalized tipset that shows it"
    ));
    let (mut job_at_rest, mut jobs) = (Duration::ZERO, 0);
    for _ in 0..JOBS {
        // It comes as a round begins, as those during the loss do.
        stage.net.advance(1).await;
        job_at_rest = job_at_rest.max(jobs_beside(&node, &mut jobs).await.0);
    }
    stage.say(&format!("a job at rest is planned after {:.2} s at most", job_at_rest.as_secs_f64()));
    let lost = loss_of_provider(&stage, &node, &mut jobs).await;
    let memory_mib = memory_at_rest.max(node.process.high_water());
    node.process.end();
    stage.devnet.end();
    Figures {
        calls_per_second,
        memory_mib,
        whole,
        loss_of_provider: lost.took,
        lost_deals: lost.deals,
        incidents_of_provider: lost.incidents,
        breaker_open: lost.breaker_open,
        job_at_rest,
        job_during_loss: lost.job,
        loss_of_deal_epochs,
        restart,
        round_at_rest,
    }
}

/// New jobs one after the other while the node works, from the beginning of its work on: the longest until one was
/// planned, and how long the node worked.
async fn jobs_beside(node: &Watcher, number: &mut u64) -> (Duration, Duration) {
    let (worked, planned) = (AtomicBool::new(false), AtomicBool::new(false));
    let passes = async {
        let took = node.quiesce(false).await;
        worked.store(true, Ordering::Relaxed);
        // What came behind the last pass is for the next.
        while !planned.load(Ordering::Relaxed) {
            node.quiesce(false).await;
        }
        took
    };
    let work = async {
        let mut longest = Duration::ZERO;
        loop {
            *number += 1;
            longest = longest.max(node.job(*number).await);
            if worked.load(Ordering::Relaxed) {
                planned.store(true, Ordering::Relaxed);
                return longest;
            }
            tokio::time::sleep(BETWEEN_JOBS).await;
        }
    };
    // The pass is asked for first, so that the first job comes while it is under way.
    let (took, longest) = tokio::join!(passes, work);
    (longest, took)
}

/// One deal is terminated by a message: epochs from the first finalized tipset that shows it to the plan.
async fn loss_of_one(stage: &Stage, node: &Watcher) -> i64 {
    let one = stage.made.first().unwrap();
    stage.net.call("devnet_terminate", json!([one.provider.number(), [one.first_sector + 3]])).await;
    let message = stage.net.call("devnet_now", json!([])).await["height"].as_i64().unwrap() + 1;
    for _ in 0..200 {
        stage.net.advance(1).await;
        node.quiesce(false).await;
        if let Some(lost) = node.incidents("lost").await.first() {
            // Native state shows a message from the next tipset on.
            return lost["opened_at"].as_i64().unwrap() - (message + 1);
        }
    }
    panic!("the loss is not seen");
}

struct Lost {
    took: Duration,
    deals: u64,
    incidents: [usize; 2],
    breaker_open: bool,
    job: Duration,
}

/// The largest provider turns faulty, then all of its sectors are terminated.
async fn loss_of_provider(stage: &Stage, node: &Watcher, jobs: &mut u64) -> Lost {
    let big = stage.made.last().unwrap();
    let provider = big.provider.number();
    stage.net.call("devnet_fault", json!([provider, null])).await;
    // Sectors turn faulty as their deadlines come, over a proving period.
    let mut faulty_took = Duration::ZERO;
    for _ in 0..DEADLINES {
        stage.net.advance(PERIOD / DEADLINES).await;
        faulty_took = faulty_took.max(node.quiesce(false).await);
    }
    stage.net.advance(FINAL).await;
    faulty_took = faulty_took.max(node.quiesce(false).await);
    let of_big = async |kind: &str| -> Vec<u64> {
        let all = node.incidents(kind).await.into_iter();
        let own = all.filter(|one| one["provider"] == json!(big.provider));
        own.filter_map(|one| one["replicas"].as_u64()).collect()
    };
    let faulty = of_big("faulty").await.len();
    let breaker = node.get("/v1/node").await["breaker"].clone();
    let breaker_open = !breaker["providers"][provider.to_string()].is_null() || !breaker["fleet"].is_null();
    stage.say(&format!(
        "{} deals turn faulty: {:.1} s at most for what a deadline brings, breaker {breaker}",
        big.count,
        faulty_took.as_secs_f64()
    ));
    stage.net.call("devnet_terminate", json!([provider, null])).await;
    // Native state shows a message from the next tipset on.
    let shows = stage.net.call("devnet_now", json!([])).await["height"].as_i64().unwrap() + 2;
    let height = async || node.get("/v1/node").await["round"]["height"].as_i64().unwrap();
    while height().await + 1 < shows {
        stage.net.advance(1).await;
        node.quiesce(false).await;
    }
    let (mut took, mut job, mut rounds) = (Duration::ZERO, Duration::ZERO, 0);
    for _ in 0..60 {
        stage.net.advance(1).await;
        let (planned, worked) = jobs_beside(node, jobs).await;
        (took, job, rounds) = (took + worked, job.max(planned), rounds + 1);
        if of_big("lost").await.iter().sum::<u64>() >= big.count {
            break;
        }
    }
    let lost = of_big("lost").await;
    let deals = lost.iter().sum();
    stage.say(&format!(
        "{deals} of {} deals lost: {:.1} s to the plan in {rounds} rounds, a job meanwhile {:.2} s",
        big.count,
        took.as_secs_f64(),
        job.as_secs_f64()
    ));
    Lost { took: took.max(faulty_took), deals, incidents: [faulty, lost.len()], breaker_open, job }
}
