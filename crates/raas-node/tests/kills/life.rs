//! One life: a devnet and a node, each its own process, and a client that never gives up.
//!
//! The node kills itself where it is armed to, or is killed at a moment of the client's choosing; whoever notices
//! starts it again on the same directory and ports, unarmed, and repeats its question.

use super::ledger::Ledger;
use reqwest::Method;
use reqwest::header::HeaderMap;
use serde_json::{Value, json};
use std::net::TcpListener;
use std::os::unix::process::ExitStatusExt;
use std::process::Stdio;
use std::sync::atomic::{AtomicU16, Ordering};
use std::time::Duration;
use tempfile::TempDir;
use tokio::io::{AsyncBufReadExt, BufReader};
use tokio::process::{Child, Command};

/// Epochs a node that waits for a round, in a world where nothing is about to happen, is left alone; twice as many
/// each time that nothing came of it.
const ROUND_EPOCHS: std::ops::RangeInclusive<i64> = 25..=400;
/// Far more than any life takes.
const STEPS_MAX: u32 = 600;
/// A question is repeated at most so often; every repetition follows a death.
const ASKS_MAX: u32 = 6;
/// How long a dying process may take to die, and an answer to come.
const PATIENCE: Duration = Duration::from_secs(60);
/// Ports that are neither well known nor given out for outgoing connections, so that a node finds its own again.
const PORTS: std::ops::Range<u16> = 20_000..30_000;
const SIGKILL: i32 = 9;

/// What the client asks of the node.
#[derive(Clone, Debug)]
pub struct Ask {
    method: Method,
    of_data: bool,
    path: String,
    key: Option<String>,
    pays: bool,
    body: Vec<u8>,
}

impl Ask {
    /// GET at the admin listener.
    pub fn get(path: impl Into<String>) -> Self {
        Self {
            method: Method::GET,
            of_data: false,
            path: path.into(),
            key: None,
            pays: false,
            body: Vec::new(),
        }
    }

    /// GET at the data listener.
    pub fn data(path: impl Into<String>) -> Self {
        Self { of_data: true, ..Self::get(path) }
    }

    /// POST of bytes at the admin listener.
    pub fn post(path: impl Into<String>, body: Vec<u8>) -> Self {
        Self { method: Method::POST, body, ..Self::get(path) }
    }

    /// DELETE at the admin listener.
    pub fn delete(path: impl Into<String>) -> Self {
        Self { method: Method::DELETE, ..Self::get(path) }
    }

    /// POST of JSON under an idempotency key.
    pub fn keyed(path: impl Into<String>, key: &str, body: &Value) -> Self {
        Self { key: Some(key.to_owned()), ..Self::post(path, body.to_string().into_bytes()) }
    }

    /// The same by somebody who can read the node's files, and so may move its money.
    pub fn paying(path: impl Into<String>, key: &str, body: &Value) -> Self {
        Self { pays: true, ..Self::keyed(path, key, body) }
    }
}

/// What the node says.
#[derive(Debug)]
pub struct Answer {
    /// HTTP status.
    pub status: u16,
    /// Its headers.
    pub headers: HeaderMap,
    /// Its body.
    pub body: Vec<u8>,
}

impl Answer {
    /// The JSON of an answer that must have this status.
    #[track_caller]
    pub fn expect(&self, status: u16) -> Value {
        assert_eq!(self.status, status, "{}", String::from_utf8_lossy(&self.body));
        serde_json::from_slice(&self.body).expect("JSON")
    }
}

/// When the node is killed from outside: while the question after so many is open, so many round trips to the devnet
/// after it was put.
#[derive(Clone, Copy, Debug)]
pub struct Moment {
    /// Questions before; the start of the node is one.
    pub asks: u32,
    /// Round trips into the last one.
    pub trips: u32,
}

/// A running life.
pub struct Life {
    http: reqwest::Client,
    /// Without idle connections: none survives the node.
    to_node: reqwest::Client,
    rpc: String,
    _devnet: Child,
    node: Option<Child>,
    folder: TempDir,
    admin: u16,
    data: u16,
    environment: Vec<(&'static str, String)>,
    armed: Vec<String>,
    moment: Option<Moment>,
    /// The ledger at the last step, and the epochs of the next one.
    happened: Value,
    round: i64,
    /// Whether the node was killed from outside, and is not buried yet.
    shot: bool,
    /// Deaths at a failpoint.
    pub fell: u32,
    /// Deaths from outside.
    pub killed: u32,
}

impl Life {
    /// Starts a devnet, and nothing else.
    pub async fn begin() -> Self {
        // Listeners here speak plain HTTP; a client wants to know its TLS anyway.
        let _ = rustls::crypto::ring::default_provider().install_default();
        let folder = tempfile::tempdir().expect("a folder");
        let mut devnet = Command::new(env!("CARGO_BIN_EXE_raas"))
            .args(["--json", "devnet", "--port", "0", "--epoch-ms", "0", "--allow-private", "--data"])
            .arg(folder.path().join("devnet"))
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .kill_on_drop(true)
            .spawn()
            .expect("the devnet starts");
        let line = first_line(&mut devnet).await.expect("the devnet says where it listens");
        let client = || reqwest::Client::builder().no_proxy().timeout(PATIENCE);
        Self {
            http: client().build().expect("a client"),
            to_node: client().pool_max_idle_per_host(0).build().expect("a client"),
            rpc: line["rpc"].as_str().expect("an endpoint").to_owned(),
            _devnet: devnet,
            node: None,
            folder,
            admin: port(),
            data: port(),
            environment: Vec::new(),
            armed: Vec::new(),
            moment: None,
            happened: Value::Null,
            round: *ROUND_EPOCHS.start(),
            shot: false,
            fell: 0,
            killed: 0,
        }
    }

    /// Arms the next start of the node that is not armed yet.
    pub fn armed(mut self, failpoint: &str) -> Self {
        self.armed.insert(0, failpoint.to_owned());
        self
    }

    /// Kills the node at a moment.
    pub fn killed_at(mut self, moment: Moment) -> Self {
        self.moment = Some(moment);
        self
    }

    /// Configures the node.
    pub fn with(mut self, key: &'static str, value: impl Into<String>) -> Self {
        self.environment.push((key, value.into()));
        self
    }

    /// A folder of the node's.
    pub fn node_folder(&self, name: &str) -> std::path::PathBuf {
        self.folder.path().join("node").join(name)
    }

    /// Whether the moment of the kill is still to come.
    pub fn is_doomed(&self) -> bool {
        self.moment.is_some()
    }

    /// Brings the moment of the kill to the next question.
    pub fn hasten(&mut self) {
        if let Some(moment) = &mut self.moment {
            moment.asks = 0;
        }
    }

    /// Starts the node; again, armed as it was told to be, as often as it dies while it starts.
    pub async fn start(&mut self) {
        for _ in 0..ASKS_MAX {
            let moment = self.due();
            self.node = Some(self.spawn());
            let node = self.node.as_mut().expect("just spawned");
            let mut output = node.stdout.take().expect("its output");
            let mut first = BufReader::new(&mut output).lines();
            let line = match moment {
                Some(trips) => {
                    let (line, ()) = tokio::join!(first.next_line(), self.kill_after(trips));
                    line
                }
                None => first.next_line().await,
            };
            if moment.is_none() && line.expect("readable").is_some() {
                return;
            }
            self.bury().await;
        }
        panic!("the node does not start\n{}", self.log());
    }

    fn spawn(&mut self) -> Child {
        let log = std::fs::OpenOptions::new().create(true).append(true).open(self.folder.path().join("log"));
        let mut command = Command::new(env!("CARGO_BIN_EXE_raas"));
        command
            .args(["--json", "up", "--network", &self.rpc])
            .args(["--admin", &format!("127.0.0.1:{}", self.admin)])
            .args(["--data", &format!("127.0.0.1:{}", self.data)])
            .arg("--data-dir")
            .arg(self.folder.path().join("node"))
            .current_dir(self.folder.path())
            .stdout(Stdio::piped())
            .stderr(log.expect("a log"))
            .kill_on_drop(true);
        for (key, value) in &self.environment {
            command.env(key, value);
        }
        if let Some(point) = self.armed.pop() {
            command.env("RAAS_FAILPOINT", point);
        }
        command.spawn().expect("the node starts")
    }

    /// Counts a question; the round trips to wait if it is the last of this process.
    fn due(&mut self) -> Option<u32> {
        let moment = self.moment.as_mut()?;
        if moment.asks > 0 {
            moment.asks -= 1;
            return None;
        }
        self.moment.take().map(|moment| moment.trips)
    }

    async fn kill_after(&mut self, trips: u32) {
        for _ in 0..trips {
            self.now().await;
        }
        self.shot = true;
        self.node.as_mut().expect("a node").start_kill().expect("a kill");
    }

    /// Kills the node now, and leaves it dead.
    pub async fn kill(&mut self) {
        self.kill_after(0).await;
        self.bury().await;
    }

    /// Waits for the end of a dying node and notes its cause.
    async fn bury(&mut self) {
        let mut node = self.node.take().expect("a node");
        let ended = tokio::time::timeout(PATIENCE, node.wait()).await;
        let Ok(ended) = ended else { panic!("the node does not answer and does not end\n{}", self.log()) };
        let from_outside = std::mem::take(&mut self.shot);
        match ended.expect("its end").signal() {
            Some(SIGKILL) if from_outside => self.killed += 1,
            Some(SIGKILL) => self.fell += 1,
            other => panic!("the node ended by itself ({other:?})\n{}", self.log()),
        }
    }

    /// Asks once; `None` when the node died of it, and runs again.
    pub async fn ask_once(&mut self, ask: &Ask) -> Option<Answer> {
        match answer(self.request(ask)).await {
            Ok(answer) => Some(answer),
            Err(_) => {
                self.bury().await;
                self.start().await;
                None
            }
        }
    }

    /// What lies in the node's folder of pieces, what is being staged included.
    pub fn piece_files(&self) -> Vec<String> {
        let mut names = Vec::new();
        for folder in ["pieces", "pieces/staging"] {
            let entries = std::fs::read_dir(self.node_folder(folder)).expect("a folder");
            let files = entries.map(|entry| entry.expect("an entry").path()).filter(|path| path.is_file());
            names.extend(files.map(|path| path.file_name().expect("a name").to_string_lossy().into_owned()));
        }
        names.sort();
        names
    }

    /// Whether this node gives its own copies away.
    pub fn gives_away(&self) -> bool {
        self.environment.iter().any(|(key, value)| *key == "RAAS__POLICY__KEEP_LOCAL" && value == "never")
    }

    /// Asks until there is an answer, over the node's dead body if need be. The second is how often it was put.
    pub async fn ask(&mut self, ask: &Ask) -> (Answer, u32) {
        for put in 1..=ASKS_MAX {
            let moment = self.due();
            let sent = answer(self.request(ask));
            let answer = match moment {
                Some(trips) => {
                    let (answer, ()) = tokio::join!(sent, self.kill_after(trips));
                    answer
                }
                None => sent.await,
            };
            let died = moment.is_some() || answer.is_err();
            if died {
                self.bury().await;
                self.start().await;
            }
            if let Ok(answer) = answer {
                return (answer, put);
            }
        }
        panic!("no answer to {ask:?}\n{}", self.log());
    }

    fn request(&self, ask: &Ask) -> reqwest::RequestBuilder {
        let port = if ask.of_data { self.data } else { self.admin };
        let url = format!("http://127.0.0.1:{port}{}", ask.path);
        let mut request = self.to_node.request(ask.method.clone(), url).body(ask.body.clone());
        if let Some(key) = &ask.key {
            request = request.header("idempotency-key", key).header("content-type", "application/json");
        }
        if ask.pays {
            let token = std::fs::read_to_string(self.node_folder("wallet.token")).expect("a token");
            request = request.bearer_auth(token.trim());
        }
        request
    }

    /// A method of the devnet's endpoint.
    pub async fn rpc(&self, method: &str, params: Value) -> Value {
        let call = json!({ "jsonrpc": "2.0", "id": 1, "method": method, "params": params });
        let sent = self.http.post(&self.rpc).json(&call).send().await.expect("the devnet answers");
        let answer: Value = sent.json().await.expect("JSON");
        assert!(answer["error"].is_null(), "{method}: {answer}");
        answer["result"].clone()
    }

    /// The devnet's true epoch.
    pub async fn now(&self) -> i64 {
        self.rpc("devnet_now", json!([])).await["height"].as_i64().expect("a height")
    }

    /// All that happened.
    pub async fn ledger(&self) -> Ledger {
        Ledger::read(&self.rpc("devnet_ledger", json!([])).await)
    }

    /// Brings the node to rest; then time to its wake or the next event. False when nothing will ever happen.
    pub async fn step(&mut self) -> bool {
        let (rest, _) = self.ask(&Ask::post("/v1/node/quiesce", Vec::new())).await;
        let rest = rest.expect(200);
        let head = self.now().await;
        let event = self.rpc("devnet_nextEvent", json!([])).await.as_i64();
        let happened = self.rpc("devnet_ledgerHash", json!([])).await;
        let twice = (self.round * 2).min(*ROUND_EPOCHS.end());
        self.round = if happened == self.happened { twice } else { *ROUND_EPOCHS.start() };
        self.happened = happened;
        let round = (rest["on_round"] == true).then_some(head + self.round);
        let next = [rest["next_wake"].as_i64(), event, round].into_iter().flatten().filter(|at| *at > head);
        let Some(next) = next.min() else { return false };
        self.rpc("devnet_advance", json!([next - head])).await;
        true
    }

    /// Steps until `holds`.
    pub async fn until(&mut self, waited_for: &str, mut holds: impl AsyncFnMut(&mut Self) -> bool) {
        for _ in 0..STEPS_MAX {
            if holds(self).await {
                return;
            }
            if !self.step().await {
                panic!("at rest for ever, but not: {waited_for}\n{}", self.state().await);
            }
        }
        panic!("after {STEPS_MAX} steps not: {waited_for}\n{}", self.state().await);
    }

    /// Steps until nothing is on its way, and a day on.
    pub async fn settle(&mut self) {
        self.until("nothing is on its way", async |life| {
            let (rest, _) = life.ask(&Ask::post("/v1/node/quiesce", Vec::new())).await;
            rest.expect(200)["on_round"] == false
        })
        .await;
        self.rpc("devnet_advance", json!([2_880])).await;
        let (rest, _) = self.ask(&Ask::post("/v1/node/quiesce", Vec::new())).await;
        rest.expect(200);
    }

    /// Every job the node knows.
    pub async fn jobs(&mut self) -> Vec<Value> {
        let (jobs, _) = self.ask(&Ask::get("/v1/jobs")).await;
        jobs.expect(200)["jobs"].as_array().expect("jobs").clone()
    }

    /// For the failure of a test.
    pub async fn state(&mut self) -> String {
        let mut lines = vec![format!("now {}", self.now().await)];
        let jobs = self.jobs().await;
        if let Some(cid) = jobs.first().and_then(|job| job["cid"].as_str()) {
            let (why, _) = self.ask(&Ask::get(format!("/v1/holdings/{cid}/why"))).await;
            lines.push(String::from_utf8_lossy(&why.body).into_owned());
        }
        lines.push(format!("{jobs:?}"));
        lines.extend(self.ledger().await.tail());
        lines.push(self.log());
        lines.join("\n")
    }

    fn log(&self) -> String {
        std::fs::read_to_string(self.folder.path().join("log")).unwrap_or_default()
    }
}

async fn answer(request: reqwest::RequestBuilder) -> reqwest::Result<Answer> {
    let response = request.send().await?;
    let (status, headers) = (response.status().as_u16(), response.headers().clone());
    Ok(Answer { status, headers, body: response.bytes().await?.to_vec() })
}

/// The first line that a command prints with `--json`.
async fn first_line(child: &mut Child) -> Option<Value> {
    let mut lines = BufReader::new(child.stdout.take().expect("its output")).lines();
    let line = lines.next_line().await.expect("readable")?;
    Some(serde_json::from_str(&line).expect("JSON on one line"))
}

/// A free port that no other life has.
fn port() -> u16 {
    static NEXT: AtomicU16 = AtomicU16::new(0);
    let size = PORTS.end - PORTS.start;
    let first = (std::process::id().wrapping_mul(97) % u32::from(size)) as u16;
    loop {
        let offset = first.wrapping_add(NEXT.fetch_add(1, Ordering::Relaxed)) % size;
        if TcpListener::bind(("127.0.0.1", PORTS.start + offset)).is_ok() {
            return PORTS.start + offset;
        }
    }
}
