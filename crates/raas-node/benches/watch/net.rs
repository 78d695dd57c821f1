//! The processes of a measurement: a devnet, and the node that is measured.

use serde_json::{Value, json};
use std::collections::BTreeMap;
use std::io::{BufRead as _, BufReader};
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

/// A child that says one line when it is ready and ends with its input.
pub struct Process {
    child: Child,
    /// What it said.
    pub line: String,
}

impl Process {
    /// On one core, where the machine has more.
    pub fn start(core: usize, program: &Path, args: &[String]) -> Self {
        let cores = std::thread::available_parallelism().map_or(1, usize::from);
        let mut child = Command::new("taskset")
            .args(["-c", &(core % cores).to_string()])
            .arg(program)
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
    pub fn high_water(&self) -> u64 {
        let status = std::fs::read_to_string(format!("/proc/{}/status", self.child.id())).unwrap();
        let line = status.lines().find(|line| line.starts_with("VmHWM")).unwrap();
        line.split_whitespace().nth(1).unwrap().parse::<u64>().unwrap() / 1_024
    }

    /// Asks it to end, and waits for that.
    pub fn end(mut self) {
        drop(self.child.stdin.take());
        let asked = Command::new("kill").arg(self.child.id().to_string()).status();
        assert!(asked.is_ok_and(|status| status.success()), "it ended before");
        self.child.wait().unwrap();
    }
}

/// The devnet by its control methods.
pub struct Net {
    /// Without a limit that a large command would meet.
    pub http: reqwest::Client,
    /// Its endpoint.
    pub url: String,
}

impl Net {
    /// A call that succeeds.
    pub async fn call(&self, method: &str, params: Value) -> Value {
        let body = json!({"jsonrpc": "2.0", "id": 1, "method": method, "params": params});
        let answer = self.http.post(&self.url).json(&body).send().await.unwrap();
        let mut answer: Value = answer.json().await.unwrap();
        assert!(answer.get("error").is_none_or(Value::is_null), "{method}: {}", answer["error"]);
        answer["result"].take()
    }

    /// Lets time pass.
    pub async fn advance(&self, epochs: i64) {
        self.call("devnet_advance", json!([epochs])).await;
    }

    /// Calls by endpoint, control methods left out, each with its methods.
    pub async fn calls(&self) -> BTreeMap<String, BTreeMap<String, u64>> {
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
            (endpoint["name"].as_str().unwrap().to_owned(), calls)
        });
        shown.collect()
    }
}

/// The node, `raas up`, by its API.
pub struct Watcher {
    http: reqwest::Client,
    /// It alone: what it takes is what is measured.
    pub process: Process,
    admin: String,
}

impl Watcher {
    /// On the core that the devnet does not have. It moves by command only.
    pub fn start(folder: &Path) -> Self {
        let args = ["--json", "up", "--stepped", "--config"].map(str::to_owned);
        let args = [&args[..], &[folder.join("raas.toml").display().to_string()]].concat();
        let process = Process::start(1, Path::new(env!("CARGO_BIN_EXE_raas")), &args);
        let told: Value = serde_json::from_str(&process.line).unwrap();
        let url = |name: &str| told[name].as_str().unwrap().to_owned();
        let http = reqwest::Client::builder().timeout(Duration::from_secs(3_600)).build().unwrap();
        Self { http, admin: url("admin"), process }
    }

    /// What a route tells.
    pub async fn get(&self, path: &str) -> Value {
        self.http.get(format!("{}{path}", self.admin)).send().await.unwrap().json().await.unwrap()
    }

    /// Comes to rest; how long it took.
    pub async fn quiesce(&self, all: bool) -> Duration {
        let began = Instant::now();
        let url = format!("{}/v1/node/quiesce?all={all}", self.admin);
        let answer = self.http.post(url).send().await.unwrap();
        assert!(answer.status().is_success(), "{}", answer.text().await.unwrap());
        began.elapsed()
    }

    /// Stores a small file as a job and waits until its first order is made; how long that took from the answer on.
    pub async fn job(&self, number: u64) -> Duration {
        let url = format!("{}/api/uploadFile", self.admin);
        let stored = self.http.post(url).body(number.to_le_bytes().repeat(64));
        let stored: Value = stored.send().await.unwrap().json().await.unwrap();
        let cid = stored["cid"].as_str().unwrap_or_else(|| panic!("no upload: {stored}"));
        let began = Instant::now();
        loop {
            let why = self.get(&format!("/v1/holdings/{cid}/why")).await;
            if why["holdings"][0]["orders"].as_array().is_some_and(|orders| !orders.is_empty()) {
                return began.elapsed();
            }
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    }

    /// Incidents of one kind.
    pub async fn incidents(&self, kind: &str) -> Vec<Value> {
        let incidents = self.get("/v1/incidents").await;
        incidents["incidents"].as_array().unwrap().iter().filter(|one| one["kind"] == kind).cloned().collect()
    }
}
