//! A devnet, a node and time between them.

use super::ledger::Ledger;
use super::start;
use raas_devnet::Devnet;
use raas_node::config::Config;
use raas_node::node::Handle;
use serde_json::{Value, json};
use std::path::{Path, PathBuf};
use std::sync::Mutex;
use tempfile::TempDir;

/// Epochs a node that waits for a round, in a world where nothing is about to happen, is left alone.
const ROUND_EPOCHS: i64 = 25;
/// Entries of the ledger and lines of `why` shown when a condition does not come.
const TAIL: usize = 25;

/// A node at rest: when it wants to be woken, and whether something of it waits for the next round.
#[derive(Clone, Copy)]
pub struct Rest {
    wake: Option<i64>,
    on_round: bool,
}

/// A running scene. [`Scene::end`] must be its last call.
pub struct Scene {
    /// The devnet.
    pub devnet: Devnet,
    /// As the node was started.
    pub config: Config,
    /// Epochs of a step at least: where thousands of things happen, the node need not rest between any two.
    pub pace: i64,
    pub(super) http: reqwest::Client,
    node: Option<Handle>,
    folder: TempDir,
    /// As far as it was read.
    ledger: Mutex<Ledger>,
    ended: bool,
}

impl Scene {
    pub(super) fn new(devnet: Devnet, config: Config, folder: TempDir) -> Self {
        let http = reqwest::Client::builder().no_proxy().build().expect("an HTTP client");
        Self { devnet, config, pace: 1, http, node: None, folder, ledger: Mutex::default(), ended: false }
    }

    /// A folder for the scene's own files.
    pub fn scratch(&self) -> &Path {
        self.folder.path()
    }

    /// Where the node keeps its copies.
    pub fn pieces(&self) -> PathBuf {
        self.config.data_dir.join("pieces")
    }

    /// Starts the node, again if it was stopped: on the same directory.
    pub async fn start_node(&mut self) {
        assert!(self.node.is_none(), "the node runs already");
        self.node = Some(start::node(&self.config).await);
    }

    /// Stops the node in good order.
    pub async fn stop_node(&mut self) {
        self.node.take().expect("a running node").shutdown().await;
    }

    /// The running node.
    pub fn node(&self) -> &Handle {
        self.node.as_ref().expect("a running node")
    }

    /// Where the API listens.
    pub fn admin(&self) -> String {
        self.node().admin_url()
    }

    /// Where bytes are served.
    pub fn data(&self) -> String {
        self.node().data_url()
    }

    /// The contract the node follows, 0x hex.
    pub fn contract(&self) -> String {
        self.node().app.engine.settings().contracts.first().expect("a contract").address.to_string()
    }

    /// The devnet's true epoch.
    pub async fn now(&self) -> i64 {
        self.rpc("devnet_now", json!([])).await["height"].as_i64().expect("a height")
    }

    /// Lets `epochs` pass behind the node's back.
    pub async fn advance(&self, epochs: i64) -> i64 {
        self.rpc("devnet_advance", json!([epochs])).await.as_i64().expect("a height")
    }

    /// Brings the node to rest at this head.
    pub async fn quiesce(&self) -> Rest {
        match self.node().quiesce().await {
            Ok(wake) => Rest { wake: wake.epoch.map(|epoch| epoch.0), on_round: wake.on_round },
            Err(error) => panic!("the node does not come to rest: {}", raas_node::causes::chain(&error)),
        }
    }

    /// One step of a node at rest: time to whatever comes first, its wake or an event of the world, but not past
    /// `limit`; then rest. `None` when nothing will ever happen.
    async fn step(&self, rest: Rest, limit: i64) -> Option<Rest> {
        let head = self.now().await;
        let event = self.rpc("devnet_nextEvent", json!([])).await.as_i64();
        let round = rest.on_round.then_some(head + ROUND_EPOCHS);
        let next = [rest.wake, event, round].into_iter().flatten().filter(|epoch| *epoch > head).min()?;
        if limit > head {
            self.advance(next.max(head + self.pace).min(limit) - head).await;
        }
        Some(self.quiesce().await)
    }

    /// Steps to `epoch` and rests there; calls `after_each` after every step.
    pub async fn step_until_epoch(&self, epoch: i64, mut after_each: impl AsyncFnMut(i64)) {
        let mut rest = self.quiesce().await;
        loop {
            let head = self.now().await;
            if head >= epoch {
                return;
            }
            rest = match self.step(rest, epoch).await {
                Some(rest) => rest,
                None => {
                    self.advance(epoch - head).await;
                    self.quiesce().await
                }
            };
            after_each(self.now().await).await;
        }
    }

    /// Steps `epochs` on.
    pub async fn pass(&self, epochs: i64) {
        let until = self.now().await + epochs;
        self.step_until_epoch(until, async |_| ()).await;
    }

    /// Steps until `holds`, at most `epochs_max` epochs. Fails with what is known.
    pub async fn until(
        &self,
        waited_for: &str,
        epochs_max: i64,
        mut holds: impl AsyncFnMut() -> bool,
    ) -> i64 {
        let start = self.now().await;
        let mut rest = self.quiesce().await;
        loop {
            if holds().await {
                return self.now().await;
            }
            let head = self.now().await;
            if head >= start + epochs_max {
                panic!("after {epochs_max} epochs still not: {waited_for}\n{}", self.state().await);
            }
            rest = match self.step(rest, start + epochs_max).await {
                Some(rest) => rest,
                None => panic!("at rest for ever at {head}, but not: {waited_for}\n{}", self.state().await),
            };
        }
    }

    /// Steps until `copies` distinct operators hold proven copies of `piece` by the ledger, and the node says so,
    /// too.
    pub async fn until_proven(&self, cid: &str, piece: &str, copies: usize) {
        let waited_for = format!("{copies} proven copies of {cid}");
        self.until(&waited_for, 10 * 2_880, async || {
            self.ledger().await.proven(piece) == copies && self.standing(cid).await["proven"] == json!(copies)
        })
        .await;
    }

    /// A small file, stored and proven on three operators, and the node at rest. CID and piece.
    pub async fn kept(&self, number: u64) -> (String, String) {
        let (cid, piece) = self.upload(super::small(number)).await;
        self.until_proven(&cid, &piece, 3).await;
        self.until_idle().await;
        (cid, piece)
    }

    /// Looks often: rests every `every` epochs for `epochs`, at every event in between.
    pub async fn watch(&self, epochs: i64, every: i64, mut after_each: impl AsyncFnMut()) {
        let end = self.now().await + epochs;
        while self.now().await < end {
            let next = end.min(self.now().await + every);
            self.step_until_epoch(next, async |_| after_each().await).await;
        }
    }

    /// Steps until the node has nothing on its way any more: no transaction, no order.
    pub async fn until_idle(&self) {
        self.until("nothing is on its way", 10 * 2_880, async || !self.quiesce().await.on_round).await;
    }

    /// All that happened.
    pub async fn ledger(&self) -> Ledger {
        let mut ledger = self.ledger.lock().expect("nobody panicked").clone();
        let settled = ledger.settled();
        ledger.go_on(settled, self.rpc("devnet_ledger", json!([settled])).await);
        *self.ledger.lock().expect("nobody panicked") = ledger.clone();
        ledger
    }

    /// Reads the ledger from its beginning next time: history is another one.
    pub(super) fn forget_ledger(&self) {
        *self.ledger.lock().expect("nobody panicked") = Ledger::default();
    }

    /// For the failure of a test: the ledger's end, and what the node says of every holding.
    pub async fn state(&self) -> String {
        let mut lines = vec![format!("now {}", self.now().await)];
        lines.push(format!("node {}", self.get("/v1/node").await.body));
        let jobs = self.get("/v1/jobs").await.body;
        let mut cids: Vec<String> = jobs["jobs"]
            .as_array()
            .into_iter()
            .flatten()
            .filter_map(|job| Some(job["cid"].as_str()?.to_owned()))
            .collect();
        cids.dedup();
        for cid in cids.into_iter().take(3) {
            let why = self.get(&format!("/v1/holdings/{cid}/why")).await.body;
            lines.push(format!("why {cid}: {}", why));
        }
        for parked in self.node().app.engine.store().parked().await.expect("steps") {
            lines.push(format!("parked {parked:?}"));
        }
        for step in self.node().app.engine.store().steps(TAIL as u32).await.expect("steps") {
            lines.push(format!("step {step:?}"));
        }
        let ledger = self.rpc("devnet_ledger", json!([])).await;
        let entries = ledger.as_array().expect("entries");
        lines.extend(entries.iter().rev().take(TAIL).rev().map(Value::to_string));
        lines.join("\n")
    }

    /// Ends node and devnet. No step may wait for a human.
    pub async fn end(mut self) {
        if let Some(node) = self.node.take() {
            let parked = node.app.engine.store().parked().await.expect("steps");
            assert!(parked.is_empty(), "parked: {parked:?}");
            node.shutdown().await;
        }
        self.ended = true;
    }
}

impl Drop for Scene {
    fn drop(&mut self) {
        assert!(
            self.ended || std::thread::panicking(),
            "a scene must be ended, since that is when it is checked"
        );
    }
}
