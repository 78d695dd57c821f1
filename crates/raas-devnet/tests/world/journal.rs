//! The same devnet after a restart.

use crate::rpc::Endpoint;
use raas_devnet::{Config, journal::Journal, spawn};
use serde_json::{Value, json};
use sha2::Digest as _;
use std::path::Path;

fn config(dir: &Path) -> Config {
    Config { data_dir: Some(dir.to_owned()), ..Config::default() }
}

async fn hash(endpoint: &Endpoint) -> Value {
    endpoint.ask("devnet_ledgerHash", json!([])).await
}

#[tokio::test]
async fn a_restarted_devnet_has_the_same_history() {
    let dir = tempfile::tempdir().unwrap();
    let endpoint = Endpoint::new(config(dir.path())).await;
    let key = raas_devnet::codec::SecretKey::from_seed(b"sender").address().to_string();
    endpoint.ask("devnet_fund", json!([key, "5"])).await;
    endpoint.ask("devnet_fund", json!(["0x52963ef50e27e06d72d59fcb4f3c2a687be3cfef", "7"])).await;
    endpoint.ask("devnet_nullRounds", json!([2])).await;
    endpoint.ask("devnet_advance", json!([100])).await;
    endpoint.ask("devnet_setProvider", json!(["f01003", "reject", 2])).await;
    // A refused command leaves no trace.
    endpoint.error("devnet_fault", json!(["f01003", [5]])).await;
    let before = hash(&endpoint).await;
    let head = endpoint.ask("Filecoin.ChainHead", json!([])).await;
    // As after kill -9: nothing is closed in an orderly way.
    drop(endpoint);

    let again = Endpoint::new(config(dir.path())).await;
    assert_eq!(hash(&again).await, before);
    assert_eq!(again.ask("Filecoin.ChainHead", json!([])).await, head);
    assert_eq!(again.ask("Filecoin.WalletBalance", json!([key])).await, "5");
    assert_eq!(again.ask("devnet_providers", json!([])).await[3]["mode"], "reject");
    again.devnet.shutdown().await;
}

#[tokio::test]
async fn a_torn_last_line_is_cut_off_and_damage_elsewhere_is_told() {
    let dir = tempfile::tempdir().unwrap();
    let file = dir.path().join("journal.jsonl");
    let endpoint = Endpoint::new(config(dir.path())).await;
    endpoint.ask("devnet_advance", json!([10])).await;
    endpoint.ask("devnet_advance", json!([20])).await;
    endpoint.devnet.shutdown().await;
    let whole = std::fs::read(&file).unwrap();

    std::fs::write(&file, &whole[..whole.len() - 7]).unwrap();
    let endpoint = Endpoint::new(config(dir.path())).await;
    assert_eq!(endpoint.ask("devnet_now", json!([])).await["height"], 5_000_010, "the torn command is gone");
    endpoint.ask("devnet_advance", json!([5])).await;
    endpoint.devnet.shutdown().await;
    let endpoint = Endpoint::new(config(dir.path())).await;
    assert_eq!(
        endpoint.ask("devnet_now", json!([])).await["height"],
        5_000_015,
        "and nothing after it is harmed"
    );
    endpoint.devnet.shutdown().await;

    let middle = whole.iter().position(|byte| *byte == b'\n').unwrap() + 3;
    let mut damaged = whole;
    damaged[middle] ^= 1;
    std::fs::write(&file, &damaged).unwrap();
    let error = Journal::open(dir.path(), &config(dir.path())).expect_err("damaged").to_string();
    assert!(error.contains("damaged at line 2"), "{error}");
}

#[tokio::test]
async fn another_configuration_or_format_is_refused_by_name() {
    let dir = tempfile::tempdir().unwrap();
    Endpoint::new(config(dir.path())).await.devnet.shutdown().await;
    let error = spawn(Config { seed: 2, ..config(dir.path()) }).await.expect_err("other seed").to_string();
    assert!(error.starts_with("seed differs"), "{error}");
    // How fast the clock runs is no history.
    let faster = Endpoint::new(Config { epoch_ms: 60_000, ..config(dir.path()) }).await;
    faster.devnet.shutdown().await;

    let file = dir.path().join("journal.jsonl");
    let newer = std::fs::read_to_string(&file).unwrap().replace("\"version\":1", "\"version\":2");
    std::fs::write(&file, newer).unwrap();
    let error = spawn(config(dir.path())).await.expect_err("other version").to_string();
    assert!(error.contains("version 2"), "{error}");
    let whole = std::fs::read_to_string(&file).unwrap().replace("\"version\":2", "\"version\":1");
    let json =
        r#"{"do":"onboard","provider":1000,"pieces":[{"cid":"bafkqaaa","size":128,"client":"f0100"}]}"#;
    let sum = &hex::encode(sha2::Sha256::digest(json))[..8];
    std::fs::write(&file, format!("{whole}{sum} {json}\n")).unwrap();
    let error = spawn(config(dir.path())).await.expect_err("an old command").to_string();
    assert!(error.contains("command at line 2 that this program does not know"), "{error}");
    std::fs::write(&file, "notes\n").unwrap();
    let error = spawn(config(dir.path())).await.expect_err("no journal").to_string();
    assert!(error.contains("does not begin as a journal"), "{error}");
}

/// A journal as version 1 wrote it, kept to be read for as long as there is a version 1.
#[tokio::test]
async fn a_journal_of_version_1_is_read() {
    let dir = tempfile::tempdir().unwrap();
    std::fs::write(dir.path().join("journal.jsonl"), include_str!("../vectors/journal-v1.jsonl")).unwrap();
    let endpoint = Endpoint::new(config(dir.path())).await;
    assert_eq!(endpoint.ask("devnet_now", json!([])).await["height"], 5_000_107);
    let ethereum = json!(["0x52963ef50e27e06d72d59fcb4f3c2a687be3cfef", "latest"]);
    assert_eq!(endpoint.ask("eth_getBalance", ethereum).await, "0x7");
    let providers = endpoint.ask("devnet_providers", json!([])).await;
    assert_eq!((&providers[3]["mode"], &providers[3]["modeCount"]), (&json!("reject"), &json!(2)));
    let past = endpoint.ask("Filecoin.ChainGetTipSetByHeight", json!([5_000_101, null])).await;
    assert_eq!(past["Height"], 5_000_100, "null rounds");
    let kinds = endpoint.ask("devnet_ledger", json!([null])).await;
    assert_eq!(kinds[1]["kind"], "message", "{kinds}");
    endpoint.devnet.shutdown().await;
}
