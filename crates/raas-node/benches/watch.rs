//! `bench/run watch`: what watching a large fleet costs. Not a test: it prints figures beside the limits they must keep.
//!
//! Three processes: this one drives; a devnet holds a synthetic network (`devnet_bulkDeals`); a node, stepped by
//! `/v1/node/quiesce`, watches it. Memory is the node's VmHWM alone, calls are those that the devnet counted. The node's
//! store is filled beforehand through `Store::import`, as adopted copies.
#![allow(
    missing_docs,
    clippy::print_stdout,
    clippy::unwrap_used,
    reason = "a benchmark talks and fails by panicking"
)]

use raas_core::cid::{Commitment, DataCid};
use raas_core::health::{Health, HealthRecord, Term};
use raas_core::ids::{ActorId, DealId, OperatorId, OrderId, OwnerId, ProviderId, SectorNumber};
use raas_core::order::{Cause, OnChain, Order, OrderState, ReplicaRef};
use raas_core::policy::{Duties, KeepLocal, Placement, Policy, Replicas};
use raas_core::units::{AttoFil, Epoch, Epochs, PaddedSize};
use raas_node::config::{Config, EndpointSetting, ListenSection};
use raas_node::node::{self, Options};
use raas_node::store::{Import, JobSource, NewJob, NewPiece, Store};
use serde_json::{Value, json};
use std::collections::BTreeMap;
use std::io::{BufRead as _, BufReader, Write as _};
use std::net::{Ipv4Addr, SocketAddr};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

/// Proving periods are this long.
const PERIOD: i64 = 2_880;
/// The devnet's finality lag, and a little.
const FINAL: i64 = 30;
/// Pieces of one bulk order.
const STRIPE: u64 = 500;
const PIECE_BYTES: u64 = 32 << 30;

fn main() {
    let _ = rustls::crypto::ring::default_provider().install_default();
    let args: Vec<String> = std::env::args().skip(1).filter(|arg| arg != "--bench").collect();
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build().unwrap();
    match args.first().map(String::as_str) {
        Some("devnet") => runtime.block_on(serve_devnet()),
        Some("node") => runtime.block_on(serve_node(&args[1..])),
        _ => runtime.block_on(measure(&Wanted::read(&args))),
    }
}

/// What is asked for on the command line.
struct Wanted {
    replicas: u64,
    providers: u64,
    agree: u32,
    epochs: i64,
}

impl Wanted {
    fn read(args: &[String]) -> Self {
        let value = |name: &str| {
            let at = args.iter().position(|arg| arg == name)?;
            args.get(at + 1)?.replace('_', "").parse::<u64>().ok()
        };
        Self {
            replicas: value("--replicas").unwrap_or(1_000_000),
            providers: value("--providers").unwrap_or(600),
            agree: u32::try_from(value("--agree").unwrap_or(1)).unwrap(),
            epochs: i64::try_from(value("--epochs").unwrap_or(2_880)).unwrap(),
        }
    }
}

async fn serve_devnet() {
    let config = raas_devnet::Config { allow_private: true, ..raas_devnet::Config::default() };
    let devnet = raas_devnet::spawn(config).await.unwrap();
    println!("{}", devnet.rpc_url());
    std::io::stdout().flush().unwrap();
    until_stdin_ends().await;
}

/// `DATA AGREE PROVIDER URL...`
async fn serve_node(args: &[String]) {
    let any = SocketAddr::from((Ipv4Addr::LOCALHOST, 0));
    let mut config =
        Config { listen: ListenSection { admin: any, data: any, public_url: None }, ..Config::default() };
    config.data_dir = PathBuf::from(&args[0]);
    config.chain.agree = args[1].parse().unwrap();
    config.deals.providers = vec![args[2].clone()];
    config.network = Some(args[3].clone());
    config.chain.endpoints = args[3..].iter().cloned().map(EndpointSetting::from).collect();
    let handle = node::start(&config, &Options { stepped: true, ..Options::default() }).await;
    let handle = handle.unwrap_or_else(|error| panic!("the node does not start: {error:?}"));
    println!("{}", handle.admin_url());
    std::io::stdout().flush().unwrap();
    until_stdin_ends().await;
    handle.shutdown().await;
}

async fn until_stdin_ends() {
    tokio::task::spawn_blocking(|| std::io::stdin().lines().count()).await.unwrap();
}

/// A child that says one line when it is ready and ends with its input.
struct Process {
    child: Child,
    line: String,
}

impl Process {
    fn start(args: &[String]) -> Self {
        let mut child = Command::new(std::env::current_exe().unwrap())
            .args(args)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .env("RUST_LOG", "error")
            .spawn()
            .unwrap();
        let mut line = String::new();
        BufReader::new(child.stdout.take().unwrap()).read_line(&mut line).unwrap();
        assert!(!line.trim().is_empty(), "a process did not start");
        Self { child, line: line.trim().to_owned() }
    }

    /// The most that was ever resident, in MiB.
    fn high_water(&self) -> u64 {
        let status = std::fs::read_to_string(format!("/proc/{}/status", self.child.id())).unwrap();
        let line = status.lines().find(|line| line.starts_with("VmHWM")).unwrap();
        line.split_whitespace().nth(1).unwrap().parse::<u64>().unwrap() / 1_024
    }

    fn end(mut self) {
        drop(self.child.stdin.take());
        self.child.wait().unwrap();
    }
}

/// The devnet by its control methods.
struct Net {
    http: reqwest::Client,
    url: String,
}

impl Net {
    async fn call(&self, method: &str, params: Value) -> Value {
        let body = json!({"jsonrpc": "2.0", "id": 1, "method": method, "params": params});
        let answer = self.http.post(&self.url).json(&body).send().await.unwrap();
        let mut answer: Value = answer.json().await.unwrap();
        assert!(answer.get("error").is_none_or(Value::is_null), "{method}: {}", answer["error"]);
        answer["result"].take()
    }

    async fn advance(&self, epochs: i64) {
        self.call("devnet_advance", json!([epochs])).await;
    }

    /// Calls by endpoint, control methods left out, each with its methods.
    async fn calls(&self) -> BTreeMap<String, (u64, BTreeMap<String, u64>)> {
        let endpoints = self.call("devnet_endpoints", json!([])).await;
        let list = endpoints
            .as_array()
            .cloned()
            .unwrap_or_else(|| endpoints.as_object().unwrap().values().cloned().collect());
        let shown = list.iter().map(|endpoint| {
            let calls = endpoint["calls"].as_object().unwrap().iter();
            let calls: BTreeMap<String, u64> = calls
                .filter(|(method, _)| !method.starts_with("devnet_"))
                .map(|(method, count)| (method.clone(), count.as_u64().unwrap()))
                .collect();
            (endpoint["name"].as_str().unwrap().to_owned(), (calls.values().sum(), calls))
        });
        shown.collect()
    }
}

/// The node by its API.
struct Watcher {
    http: reqwest::Client,
    process: Process,
}

impl Watcher {
    fn start(data: &Path, agree: u32, provider: &str, urls: &[String]) -> Self {
        let mut args =
            vec!["node".to_owned(), data.display().to_string(), agree.to_string(), provider.to_owned()];
        args.extend(urls.iter().cloned());
        let http = reqwest::Client::builder().timeout(Duration::from_secs(3_600)).build().unwrap();
        Self { http, process: Process::start(&args) }
    }

    async fn get(&self, path: &str) -> Value {
        self.http.get(format!("{}{path}", self.process.line)).send().await.unwrap().json().await.unwrap()
    }

    /// Comes to rest; how long it took.
    async fn quiesce(&self, all: bool) -> Duration {
        let began = Instant::now();
        let url = format!("{}/v1/node/quiesce?all={all}", self.process.line);
        let answer = self.http.post(url).send().await.unwrap();
        assert!(answer.status().is_success(), "{}", answer.text().await.unwrap());
        began.elapsed()
    }
}

/// Deals of one bulk order.
struct Made {
    provider: ProviderId,
    operator: OperatorId,
    first_piece: u64,
    first_deal: u64,
    first_sector: u64,
    count: u64,
    pending: u64,
    start: i64,
    end: i64,
}

async fn measure(wanted: &Wanted) {
    let began = Instant::now();
    let say = |what: &str| println!("{:>6} s  {what}", began.elapsed().as_secs());
    let devnet = Process::start(&["devnet".to_owned()]);
    let http = reqwest::Client::builder().timeout(Duration::from_secs(3_600)).build().unwrap();
    let net = Net { http, url: devnet.line.clone() };
    let mut urls = vec![devnet.line.clone()];
    for number in 2..=wanted.agree {
        let name = format!("voice{number}");
        net.call("devnet_setEndpoint", json!([name, {}])).await;
        urls.push(format!("{}/{name}", devnet.line));
    }
    net.advance(100).await;
    let made = build(&net, wanted).await;
    net.advance(FINAL).await;
    let replicas: u64 = made.iter().map(|made| made.count).sum();
    let folder = tempfile::tempdir().unwrap();
    say(&format!("{replicas} replicas of {} providers are on the devnet", wanted.providers + 1));
    let holdings = fill(folder.path(), &net, &made).await;
    say(&format!("the store has {holdings} holdings"));

    let outsider = "f01000";
    let node = Watcher::start(folder.path(), wanted.agree, outsider, &urls);
    let first = node.quiesce(false).await;
    say(&format!("first pass over everything: {:.1} s", first.as_secs_f64()));

    // 1 % turns faulty; a proving period later all of it is known.
    for made in made.iter().filter(|made| made.count > 100) {
        let sectors: Vec<u64> = (0..made.count / 100).map(|at| made.first_sector + at * 97).collect();
        net.call("devnet_fault", json!([made.provider.number(), sectors])).await;
    }
    net.advance(PERIOD + FINAL).await;
    let all = node.quiesce(true).await;
    say(&format!("full observe and plan of everything: {:.1} s (limit 20 s at 1 M)", all.as_secs_f64()));
    let memory = node.process.high_water();

    // At rest.
    let before = net.calls().await;
    let mut longest = Duration::ZERO;
    let rest = Instant::now();
    for _ in 0..wanted.epochs {
        net.advance(1).await;
        longest = longest.max(node.quiesce(false).await);
    }
    let pass = rest.elapsed().as_secs_f64() / wanted.epochs.max(1) as f64;
    let after = net.calls().await;
    for (name, (calls, methods)) in &after {
        let (earlier, earlier_methods) = before.get(name).cloned().unwrap_or_default();
        let per_second = (calls - earlier) as f64 / (wanted.epochs.max(1) as f64 * 30.0);
        say(&format!("endpoint {name}: {per_second:.2} calls per second at rest (limit 2 at 1 M)"));
        for (method, count) in methods {
            let count = count - earlier_methods.get(method).copied().unwrap_or(0);
            if count > 0 {
                println!("              {count:>8}  {method}");
            }
        }
    }
    say(&format!("a round at rest: {pass:.3} s on average, {:.2} s at most", longest.as_secs_f64()));
    say(&format!("memory at rest: {memory} MiB, now {} MiB (limit 600 at 1 M)", node.process.high_water()));

    // Restart.
    node.process.end();
    let started = Instant::now();
    let node = Watcher::start(folder.path(), wanted.agree, outsider, &urls);
    net.advance(1).await;
    node.quiesce(false).await;
    say(&format!("restart to ready: {:.1} s (limit 10 s at 1 M)", started.elapsed().as_secs_f64()));

    // One deal is terminated: the event is followed at its finality.
    let one = made.first().unwrap();
    net.call("devnet_terminate", json!([one.provider.number(), [one.first_sector + 3]])).await;
    let mut epochs = 0;
    let lost = loop {
        net.advance(1).await;
        node.quiesce(false).await;
        epochs += 1;
        let incidents = node.get("/v1/incidents").await;
        let lost = incidents["incidents"].as_array().unwrap().iter().find(|i| i["kind"] == "lost").cloned();
        if let Some(lost) = lost {
            break lost;
        }
        assert!(epochs < 200, "the loss is not seen");
    };
    say(&format!(
        "loss of one deal: in the plan {epochs} epochs after its message, at {}",
        lost["opened_at"]
    ));

    // A whole provider turns faulty, then is terminated.
    let big = made.last().unwrap();
    let of_big = |incidents: &Value, kind: &str| -> Vec<Value> {
        let all = incidents["incidents"].as_array().unwrap().iter();
        all.filter(|i| i["provider"] == json!(big.provider) && i["kind"] == kind).cloned().collect()
    };
    net.call("devnet_fault", json!([big.provider.number(), null])).await;
    net.advance(PERIOD + FINAL).await;
    let took = node.quiesce(false).await;
    let faulty = of_big(&node.get("/v1/incidents").await, "faulty");
    let breaker = node.get("/v1/node").await["breaker"].clone();
    say(&format!(
        "{} deals of one provider faulty: {:.1} s to the plan (limit 30 s)",
        big.count,
        took.as_secs_f64()
    ));
    println!("         incidents {}: {}", faulty.len(), serde_json::to_string(&faulty).unwrap());
    println!("         breaker: {breaker}");
    let mut longest = Duration::ZERO;
    for _ in 0..5 {
        net.advance(1).await;
        longest = longest.max(node.quiesce(false).await);
    }
    say(&format!("rounds after it: {:.2} s at most", longest.as_secs_f64()));
    net.call("devnet_terminate", json!([big.provider.number(), null])).await;
    let mut took = Duration::ZERO;
    for _ in 0..FINAL + 10 {
        net.advance(1).await;
        took = took.max(node.quiesce(false).await);
    }
    let lost = of_big(&node.get("/v1/incidents").await, "lost");
    say(&format!("{} deals of one provider terminated: {:.1} s to the plan", big.count, took.as_secs_f64()));
    println!("         incidents {}: {}", lost.len(), serde_json::to_string(&lost).unwrap());
    say(&format!("memory: {} MiB", node.process.high_water()));
    node.process.end();
    devnet.end();
}

/// Three layers of stripes over all providers, and a fourth of a third of the pieces at one provider more.
async fn build(net: &Net, wanted: &Wanted) -> Vec<Made> {
    let answer = net.call("devnet_addProviders", json!([wanted.providers + 1])).await;
    let ids: Vec<u64> = answer.as_array().unwrap().iter().map(number).collect();
    // 10/3 replicas of each piece.
    let stripe = STRIPE.min(wanted.replicas / 10 * 3 / wanted.providers).max(1);
    let pieces = wanted.replicas / 10 * 3 / stripe * stripe;
    let stripes = pieces / stripe;
    let mut made = Vec::new();
    for layer in 0..3 {
        for at in 0..stripes {
            let provider = ids[usize::try_from((at + layer * 151) % wanted.providers).unwrap()];
            let pending = if layer == 2 { stripe * 3 / 1_000 } else { 0 };
            made.push(order(net, provider, at * stripe, stripe, pending).await);
        }
    }
    let big = *ids.last().unwrap();
    made.push(order(net, big, 0, pieces / 3, 0).await);
    made
}

async fn order(net: &Net, provider: u64, first_piece: u64, count: u64, pending: u64) -> Made {
    let options = json!({ "firstPiece": first_piece, "pieceSize": PIECE_BYTES, "pending": pending });
    let made = net.call("devnet_bulkDeals", json!([provider, count, options])).await;
    Made {
        provider: ProviderId::new(provider),
        operator: OperatorId(ActorId(1_000_000 + provider)),
        first_piece,
        first_deal: made["firstDeal"].as_u64().unwrap(),
        first_sector: made["firstSector"].as_u64().unwrap(),
        count,
        pending,
        start: made["startEpoch"].as_i64().unwrap(),
        end: made["endEpoch"].as_i64().unwrap(),
    }
}

/// `"f01000"` or `1000`, bare or as the `id` of an object.
fn number(value: &Value) -> u64 {
    let value = value.get("id").unwrap_or(value);
    value.as_u64().unwrap_or_else(|| value.as_str().unwrap()[2..].parse().unwrap())
}

/// The holdings of all pieces in the node's store.
async fn fill(folder: &Path, net: &Net, made: &[Made]) -> usize {
    let store = Store::open(&folder.join("raas.sqlite"), "bench").await.unwrap();
    let now = net.call("devnet_now", json!([])).await;
    let head = now["height"].as_i64().unwrap();
    let mut by_piece: BTreeMap<u64, Vec<(usize, u64)>> = BTreeMap::new();
    for (at, made) in made.iter().enumerate() {
        for offset in 0..made.count {
            by_piece.entry(made.first_piece + offset).or_default().push((at, offset));
        }
    }
    let pieces: Vec<u64> = by_piece.keys().copied().collect();
    let mut holdings = 0;
    for page in pieces.chunks(1_000) {
        let cids = net.call("devnet_bulkPieces", json!([page[0], page.len()])).await;
        let imports: Vec<Import> = page
            .iter()
            .zip(cids.as_array().unwrap())
            .map(|(piece, cid)| {
                let text = cid["/"].as_str().unwrap();
                import(text, by_piece[piece].iter().map(|(at, offset)| (&made[*at], *offset)), head)
            })
            .collect();
        holdings += store.import(&imports).await.unwrap().len();
    }
    store.close().await;
    holdings
}

fn import<'a>(cid: &str, copies: impl Iterator<Item = (&'a Made, u64)>, head: i64) -> Import {
    let commitment: Commitment = cid.parse().unwrap();
    let size = PaddedSize::new(PIECE_BYTES).unwrap();
    let cid: DataCid = cid.parse().unwrap();
    let copies: Vec<Order> =
        copies.map(|(made, offset)| copy(made, offset, commitment, size, head)).collect();
    let target = u32::try_from(copies.len()).unwrap();
    Import {
        job: NewJob {
            owner: OwnerId::local(),
            cid: cid.clone(),
            duties: Duties::ALL,
            policy: policy(target),
            source: JobSource::Api,
            on_chain: None,
            position: None,
            at: Epoch(head),
            at_unix: 0,
            idempotency_key: None,
        },
        piece: NewPiece {
            root: cid,
            commitment,
            size,
            car_bytes: PIECE_BYTES / 128 * 127,
            payload_bytes: PIECE_BYTES / 2,
        },
        copies,
    }
}

fn copy(made: &Made, offset: u64, piece: Commitment, size: PaddedSize, head: i64) -> Order {
    let is_pending = offset >= made.count - made.pending;
    let term = Term { start: Epoch(made.start), end: Epoch(made.end) };
    let replica = ReplicaRef::Deal(DealId(made.first_deal + offset));
    let proven = HealthRecord {
        health: Health::Proven,
        fault: None,
        proven_at: Some(Epoch(head)),
        at: Epoch(head - FINAL),
    };
    let state = if is_pending {
        // Never sealed: it stays pending for as long as the measurement takes.
        let term = Term { start: Epoch(made.start + 20 * PERIOD), ..term };
        OrderState::Published(OnChain {
            replica,
            term,
            sector: None,
            health: HealthRecord::pending(Epoch(head)),
        })
    } else {
        let sector = Some(SectorNumber(made.first_sector + offset));
        OrderState::Active(OnChain { replica, term, sector, health: proven })
    };
    Order {
        id: OrderId(0),
        piece,
        size,
        within: None,
        provider: made.provider,
        operator: made.operator,
        cause: Cause::Adopt,
        price_per_epoch: AttoFil::ZERO,
        duration: Epochs::new(made.end - made.start).unwrap(),
        planned_at: Epoch(head),
        state,
    }
}

/// Patient enough that a fleet with faults is at rest.
fn policy(target: u32) -> Policy {
    Policy {
        replicas: Replicas { min: 1, target, max: target + 1 },
        renew_before: Epochs::days(30),
        repair_after: Epochs::days(14),
        duration: Epochs::days(540),
        start_delay: Epochs::days(3),
        ends_at: None,
        placement: Placement { allow: vec![], deny: vec![], price_max: AttoFil::fil(1) },
        keep_local: KeepLocal::Always,
    }
}
