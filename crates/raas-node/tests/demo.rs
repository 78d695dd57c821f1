//! Runs `raas demo` as a process and checks every line of it once more, by public RPC and HTTP alone.
//!
//! Nothing of the product is called here: what a line claims is read from the devnet's endpoint, its ledger, its
//! providers and the node's listeners.

use serde_json::{Value, json};
use sha2::{Digest, Sha256};
use std::collections::{BTreeMap, BTreeSet};
use std::process::Stdio;
use tokio::io::{AsyncBufReadExt, AsyncReadExt, BufReader};
use tokio::process::{Child, Command};
use tokio::task::JoinHandle;

/// Bytes of the file that is shown: several blocks of a CAR, and a directory of them.
const FILE_BYTES: usize = 3_000_000;

struct Demo {
    child: Child,
    /// What it said on stderr until its end.
    said: JoinHandle<String>,
    lines: Vec<Value>,
    http: reqwest::Client,
    rpc: String,
}

impl Demo {
    /// Starts it and reads its lines up to `done`; it stays up.
    async fn run(path: &std::path::Path) -> Self {
        let mut child = Command::new(env!("CARGO_BIN_EXE_raas"))
            .args(["--json", "demo"])
            .arg(path)
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .env_remove("RUST_LOG")
            .kill_on_drop(true)
            .spawn()
            .expect("the demo starts");
        let mut errors = child.stderr.take().expect("its errors");
        let said = tokio::spawn(async move {
            let mut text = String::new();
            errors.read_to_string(&mut text).await.expect("text");
            text
        });
        let mut output = BufReader::new(child.stdout.take().expect("its output")).lines();
        let mut lines: Vec<Value> = Vec::new();
        while let Some(line) = output.next_line().await.expect("a line") {
            let line: Value = serde_json::from_str(&line).expect("every line is JSON");
            let done = line["step"] == "done";
            lines.push(line);
            if done {
                break;
            }
        }
        let rpc = lines[0]["rpc"].as_str().expect("the first line names the endpoint").to_owned();
        let http = reqwest::Client::builder().no_proxy().build().expect("a client");
        Self { child, said, lines, http, rpc }
    }

    /// The only line of a step.
    fn line(&self, step: &str) -> &Value {
        let found: Vec<&Value> = self.lines.iter().filter(|line| line["step"] == step).collect();
        assert_eq!(found.len(), 1, "lines of step {step}: {:#?}", self.lines);
        found[0]
    }

    async fn try_rpc(&self, method: &str, params: Value) -> Result<Value, String> {
        let request = json!({ "jsonrpc": "2.0", "id": 1, "method": method, "params": params });
        let answer = self.http.post(&self.rpc).json(&request).send().await.expect("an answer");
        let answer: Value = answer.json().await.expect("JSON");
        match answer["error"]["message"].as_str() {
            Some(error) => Err(error.to_owned()),
            None => Ok(answer["result"].clone()),
        }
    }

    async fn rpc(&self, method: &str, params: Value) -> Value {
        self.try_rpc(method, params).await.unwrap_or_else(|error| panic!("{method}: {error}"))
    }

    async fn get(&self, url: &str) -> Vec<u8> {
        let answer = self.http.get(url).send().await.expect("an answer");
        assert!(answer.status().is_success(), "{url}: {}", answer.status());
        answer.bytes().await.expect("bytes").to_vec()
    }

    /// The tipset of a round is the one at its height.
    async fn check_round(&self, round: &Value) -> Value {
        let key = key(round);
        let tipset = self.rpc("Filecoin.ChainGetTipSet", json!([key])).await;
        assert_eq!(tipset["Height"], round["finalized"], "{round}");
        assert!(round["finalized"].as_i64() < round["head"].as_i64());
        key
    }

    /// The copy's deal is on chain at the tipset, active or not, faulty or not, as it is claimed to be.
    async fn check_copy(&self, key: &Value, copy: &Value, piece: &Value, active: bool, faulty: bool) {
        let deal = self.rpc("Filecoin.StateMarketStorageDeal", json!([copy["dealId"], key])).await;
        let (proposal, state) = (&deal["Proposal"], &deal["State"]);
        assert_eq!(proposal["PieceCID"]["/"], *piece);
        assert_eq!(number(&proposal["Provider"]), number(&copy["provider"]));
        assert_eq!(proposal["EndEpoch"], copy["endEpoch"]);
        assert_eq!(state["SectorStartEpoch"].as_i64().expect("a start") >= 0, active, "{copy}");
        assert_eq!(state["SlashEpoch"], -1);
        let miner = self.rpc("Filecoin.StateMinerInfo", json!([copy["provider"], key])).await;
        assert_eq!(number(&miner["Owner"]), number(&copy["operator"]));
        if active {
            assert_eq!(state["SectorNumber"], copy["sector"]);
            let faults = self.rpc("Filecoin.StateMinerFaults", json!([copy["provider"], key])).await;
            assert_eq!(contains(&faults, copy["sector"].as_u64().expect("a sector")), faulty, "{copy}");
        }
    }

    async fn check_contract(&self, line: &Value, cid: &[u8]) -> BTreeSet<u64> {
        let mut data = hex::decode(selector()).expect("hex");
        data.extend(word(32));
        data.extend(word(cid.len() as u64));
        data.extend(cid);
        data.resize(4 + 64 + cid.len().div_ceil(32) * 32, 0);
        let call = json!({ "to": line["contract"], "data": format!("0x{}", hex::encode(data)) });
        let answer = self.rpc("eth_call", json!([call, line["block"]])).await;
        let bytes = hex::decode(&answer.as_str().expect("hex")[2..]).expect("hex");
        let words: Vec<u64> = bytes
            .chunks(32)
            .map(|word| u64::from_be_bytes(word[24..].try_into().expect("8 bytes")))
            .collect();
        let listed: BTreeSet<u64> = words[2..].chunks(2).map(|pair| pair[0]).collect();
        assert_eq!(words[1] as usize, listed.len());
        assert_eq!(listed, ids(&line["activeDeals"]));
        listed
    }
}

fn key(round: &Value) -> Value {
    round["tipset"].as_str().expect("a tipset key").split(',').map(|cid| json!({ "/": cid })).collect()
}

/// Of an address such as `f01000` or `t01000`.
fn number(address: &Value) -> u64 {
    address.as_str().and_then(|text| text.get(2..)?.parse().ok()).unwrap_or_else(|| panic!("{address}"))
}

fn contains(runs: &Value, wanted: u64) -> bool {
    let mut bits = Vec::new();
    for (index, run) in runs.as_array().expect("runs").iter().enumerate() {
        bits.extend(std::iter::repeat_n(index % 2 == 1, run.as_u64().expect("a run") as usize));
    }
    bits.get(wanted as usize) == Some(&true)
}

/// Of `getActiveDeals(bytes)`.
fn selector() -> String {
    hex::encode(&alloy_primitives::keccak256("getActiveDeals(bytes)")[..4])
}

fn word(number: u64) -> [u8; 32] {
    let mut word = [0; 32];
    word[24..].copy_from_slice(&number.to_be_bytes());
    word
}

fn ids(list: &Value) -> BTreeSet<u64> {
    list.as_array().expect("a list").iter().filter_map(Value::as_u64).collect()
}

fn list(value: &Value) -> &[Value] {
    value.as_array().expect("a list")
}

fn deals(copies: &Value) -> BTreeSet<u64> {
    list(copies).iter().filter_map(|copy| copy["dealId"].as_u64()).collect()
}

fn operators(copies: &Value) -> BTreeSet<u64> {
    list(copies).iter().map(|copy| number(&copy["operator"])).collect()
}

fn binary_cid(text: &Value) -> Vec<u8> {
    cid::Cid::try_from(text.as_str().expect("a CID")).expect("a CID").to_bytes()
}

/// Bytes that no two blocks have in common.
fn contents() -> Vec<u8> {
    (0..FILE_BYTES as u64 / 8).flat_map(|index| Sha256::digest(index.to_be_bytes())[..8].to_vec()).collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn every_line_of_the_demo_is_true() {
    // The listeners speak plain HTTP; a client wants to know its TLS anyway.
    let _ = rustls::crypto::ring::default_provider().install_default();
    let folder = tempfile::tempdir().expect("a folder");
    let path = folder.path().join("subject");
    let contents = contents();
    std::fs::write(&path, &contents).expect("a file");
    let hash = hex::encode(Sha256::digest(&contents));

    let mut demo = Demo::run(&path).await;
    let steps: Vec<&str> = demo.lines.iter().filter_map(|line| line["step"].as_str()).collect();
    assert_eq!(
        steps,
        [
            "started",
            "stored",
            "proven",
            "attested",
            "waits",
            "overlap",
            "renewed",
            "ended",
            "fault",
            "repaired",
            "terminated",
            "repaired",
            "listed",
            "deleted",
            "retrieved",
            "done",
        ]
    );
    for line in &demo.lines {
        assert!(line["network"].as_str().is_some_and(|name| name.contains("devnet")), "{line}");
    }

    let ledger = Ledger::read(&demo).await;
    let started = demo.line("started");
    let node: Value =
        serde_json::from_slice(&demo.get(&format!("{}/v1/node", text(&started["admin"]))).await)
            .expect("JSON");
    assert_eq!(node["contract"], started["contract"]);
    assert_eq!(node["network"], started["network"]);
    assert_eq!(started["sha256"], hash);

    let stored = demo.line("stored");
    let (cid, piece) = (binary_cid(&stored["cid"]), stored["pieceCid"].clone());
    assert_eq!(stored["bytes"], FILE_BYTES);
    assert_eq!(stored["sha256"], hash);
    let job = demo.get(&format!("{}/v1/jobs/{}", text(&started["admin"]), stored["job"])).await;
    let job: Value = serde_json::from_slice(&job).expect("JSON");
    assert_eq!(job["job"]["cid"], stored["cid"]);

    let proven = demo.line("proven");
    let key = demo.check_round(&proven["round"]).await;
    assert_eq!(operators(&proven["copies"]).len(), 3);
    for copy in list(&proven["copies"]) {
        demo.check_copy(&key, copy, &piece, true, false).await;
        ledger.check(copy);
        let deal = demo.rpc("Filecoin.StateMarketStorageDeal", json!([copy["dealId"], key])).await;
        assert_eq!(deal["Proposal"]["PieceSize"], stored["pieceSize"]);
    }
    let first = deals(&proven["copies"]);
    assert_eq!(demo.check_contract(demo.line("attested"), &cid).await, first);

    let (waits, overlap) = (demo.line("waits"), demo.line("overlap"));
    assert!(overlap["round"]["head"].as_i64() >= waits["opens"].as_i64());
    assert!(overlap["round"]["head"].as_i64() < waits["end"].as_i64());
    let ends = list(&proven["copies"]).iter().filter_map(|copy| copy["endEpoch"].as_i64());
    assert_eq!(waits["end"].as_i64(), ends.min());
    let after_first =
        ledger.of("proposed", |_| true).into_iter().skip(3).filter_map(|fact| fact["epoch"].as_i64());
    assert!(after_first.min() >= waits["opens"].as_i64(), "nothing was bought before the window");
    let key = demo.check_round(&overlap["round"]).await;
    assert_eq!(deals(&overlap["old"]), first);
    for copy in list(&overlap["old"]) {
        demo.check_copy(&key, copy, &piece, true, false).await;
    }
    for copy in list(&overlap["renewals"]) {
        demo.check_copy(&key, copy, &piece, false, false).await;
        ledger.check(copy);
    }

    let renewed = demo.line("renewed");
    let key = demo.check_round(&renewed["round"]).await;
    let second = deals(&renewed["copies"]);
    assert_eq!(second, deals(&overlap["renewals"]));
    assert!(second.is_disjoint(&first) && second.len() == 3 && operators(&renewed["copies"]).len() == 3);
    for copy in list(&renewed["old"]).iter().chain(list(&renewed["copies"])) {
        demo.check_copy(&key, copy, &piece, true, false).await;
    }

    let ended = demo.line("ended");
    let key = demo.check_round(&ended["round"]).await;
    for copy in list(&ended["old"]) {
        assert!(copy["endEpoch"].as_i64() <= ended["round"]["finalized"].as_i64());
    }
    for copy in list(&ended["copies"]) {
        demo.check_copy(&key, copy, &piece, true, false).await;
    }
    assert_eq!(demo.check_contract(ended, &cid).await, second);

    let fault = demo.line("fault");
    let key = demo.check_round(&fault["round"]).await;
    demo.check_copy(&key, &fault["copy"], &piece, true, true).await;
    let faulted = ledger.epoch("faulted", |fact| {
        fact["provider"] == number(&fault["copy"]["provider"]) && fact["sector"] == fault["copy"]["sector"]
    });
    for (line, kind) in [(fault, "faulty"), (demo.line("terminated"), "lost")] {
        let incident = &line["incident"];
        let at = incident["provider"].as_u64().unwrap_or_else(|| number(&incident["provider"]));
        assert_eq!(number(&line["copy"]["provider"]), at, "{line}");
        assert_eq!(
            (&incident["kind"], incident["worst"].as_u64() >= Some(1)),
            (&json!(kind), true),
            "{line}"
        );
    }
    assert!((fault["since"].as_i64().expect("F") - faulted).abs() <= 1, "{fault} {faulted}");

    let patience = job["job"]["policy"]["repair_after"].as_i64().expect("a patience");
    assert_eq!(fault["until"].as_i64().expect("a height"), fault["since"].as_i64().expect("F") + patience);

    let terminated = demo.line("terminated");
    let key = demo.check_round(&terminated["round"]).await;
    let gone = demo
        .try_rpc("Filecoin.StateMarketStorageDeal", json!([terminated["copy"]["dealId"], key]))
        .await
        .expect_err("the market has it no more");
    assert!(gone.contains("not found"), "{gone}");
    let lost = ledger.epoch("terminated", |fact| fact["dealId"] == terminated["copy"]["dealId"]);
    assert!(lost < terminated["round"]["finalized"].as_i64().expect("a height"));

    let repairs: Vec<&Value> = demo.lines.iter().filter(|line| line["step"] == "repaired").collect();
    for (repaired, cause) in repairs.iter().zip([fault, terminated]) {
        assert_eq!(repaired["of"]["dealId"], cause["copy"]["dealId"]);
        let key = demo.check_round(&repaired["round"]).await;
        assert_eq!(operators(&repaired["copies"]).len(), 3);
        assert!(!operators(&repaired["copies"]).contains(&number(&cause["copy"]["operator"])));
        assert!(deals(&repaired["copies"]).contains(&repaired["repair"]["dealId"].as_u64().expect("a deal")));
        for copy in list(&repaired["copies"]) {
            demo.check_copy(&key, copy, &piece, true, false).await;
        }
        ledger.check(&repaired["repair"]);
        let proposed =
            ledger.epoch("proposed", |fact| fact["proposalCid"] == repaired["repair"]["proposalCid"]);
        assert!(proposed >= repaired["orderedAt"]["finalized"].as_i64().expect("a height"));
        let patience = cause["until"].as_i64().unwrap_or_default();
        assert!(repaired["orderedAt"]["finalized"].as_i64().expect("a height") >= patience);
    }
    let proposals = ledger.count("proposed", |fact| fact["accepted"] == true);
    assert_eq!(proposals, 8, "three copies, three renewals, two repairs, and nothing else was bought");

    let listed = demo.check_contract(demo.line("listed"), &cid).await;
    let mut last = deals(&repairs[1]["copies"]);
    last.extend(ids(&demo.line("listed")["faultyDeals"]));
    assert_eq!(listed, last);

    let retrieved = demo.line("retrieved");
    assert_eq!(retrieved["sha256"], hash);
    let url = format!("{}/piece/{}", text(&retrieved["sourceUrl"]), text(&retrieved["pieceCid"]));
    let stored_there = demo.get(&url).await;
    // Providers serve the piece with its padding.
    let car_bytes = demo.line("deleted")["carBytes"].as_u64().expect("bytes") as usize;
    assert!(stored_there[car_bytes - 1] != 0 && stored_there[car_bytes..].iter().all(|byte| *byte == 0));
    assert_eq!(demo.line("deleted")["pieceCid"], piece);
    for block in contents.chunks(1 << 20) {
        assert!(holds(&stored_there, block), "the provider's piece holds the file's blocks");
    }
    let served = demo.get(&format!("{}/ipfs/{}", text(&started["data"]), text(&stored["cid"]))).await;
    assert_eq!(served, contents);

    let done = demo.line("done");
    let hash = demo.rpc("devnet_ledgerHash", json!([done["ledgerEntries"]])).await;
    assert_eq!((&done["verified"], &done["ledgerHash"]), (&json!(true), &hash));
    assert!(done["ledgerEntries"].as_u64() > Some(50), "{done}");

    interrupt(&demo.child);
    let status = demo.child.wait().await.expect("its end");
    assert!(status.success(), "Ctrl-C ends it in order: {status}");
    assert_eq!(demo.said.await.expect("read"), "", "what its node warns of is told in the demo's own lines");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_directory_is_shown_as_well_and_exit_says_that_all_was_verified() {
    let folder = tempfile::tempdir().expect("a folder");
    for (name, bytes) in [("a.txt", contents()), ("below/b.bin", contents()[..70_000].to_vec())] {
        let path = folder.path().join("subject").join(name);
        std::fs::create_dir_all(path.parent().expect("a parent")).expect("a folder");
        std::fs::write(path, bytes).expect("a file");
    }
    let output = Command::new(env!("CARGO_BIN_EXE_raas"))
        .args(["--json", "demo", "--exit"])
        .arg(folder.path().join("subject"))
        .output()
        .await
        .expect("it runs");
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    let text = String::from_utf8(output.stdout).expect("text");
    let lines: Vec<Value> = text.lines().map(|line| serde_json::from_str(line).expect("JSON")).collect();
    let line = |step: &str| lines.iter().find(|line| line["step"] == step).expect(step);
    assert_eq!(line("retrieved")["sha256"], line("started")["sha256"]);
    assert_eq!(line("retrieved")["cid"], line("stored")["cid"]);
    assert_eq!(lines.last().expect("a line")["step"], "done");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_demo_of_nothing_is_refused() {
    let output = Command::new(env!("CARGO_BIN_EXE_raas"))
        .args(["demo", "no-such-file-anywhere", "--exit"])
        .output()
        .await
        .expect("it runs");
    assert_eq!(output.status.code(), Some(2));
    assert!(String::from_utf8_lossy(&output.stderr).contains("no-such-file-anywhere"));
}

fn text(value: &Value) -> &str {
    value.as_str().unwrap_or_else(|| panic!("{value} is no text"))
}

fn holds(haystack: &[u8], needle: &[u8]) -> bool {
    let head = &needle[..32];
    haystack
        .windows(32)
        .enumerate()
        .any(|(at, window)| window == head && haystack.get(at..at + needle.len()) == Some(needle))
}

fn interrupt(child: &Child) {
    let id = child.id().expect("it runs").to_string();
    let sent = std::process::Command::new("kill").args(["-INT", &id]).status().expect("kill runs");
    assert!(sent.success());
}

/// The devnet's record, by kind.
struct Ledger(BTreeMap<String, Vec<Value>>);

impl Ledger {
    async fn read(demo: &Demo) -> Self {
        let mut facts: BTreeMap<String, Vec<Value>> = BTreeMap::new();
        for fact in list(&demo.rpc("devnet_ledger", json!([0])).await) {
            facts.entry(text(&fact["kind"]).to_owned()).or_default().push(fact.clone());
        }
        Self(facts)
    }

    fn of(&self, kind: &str, which: impl Fn(&Value) -> bool) -> Vec<&Value> {
        self.0.get(kind).into_iter().flatten().filter(|fact| which(fact)).collect()
    }

    fn count(&self, kind: &str, which: impl Fn(&Value) -> bool) -> usize {
        self.of(kind, which).len()
    }

    /// Epoch of the only such fact.
    fn epoch(&self, kind: &str, which: impl Fn(&Value) -> bool) -> i64 {
        let found = self.of(kind, which);
        assert_eq!(found.len(), 1, "{kind}: {found:?}");
        found[0]["epoch"].as_i64().expect("an epoch")
    }

    /// The copy's proposal became this deal, and no other.
    fn check(&self, copy: &Value) {
        let published = self.of("published", |fact| fact["dealId"] == copy["dealId"]);
        assert_eq!(published.len(), 1, "{copy}");
        assert_eq!(published[0]["proposalCid"], copy["proposalCid"]);
        assert_eq!(self.count("published", |fact| fact["proposalCid"] == copy["proposalCid"]), 1);
    }
}
