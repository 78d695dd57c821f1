//! The node in numbers: what `/metrics` and `/readyz` say is so, and the rules and the dashboard use no number that is not there.

use crate::harness::{Scene, Setting, is_checked_in};
use raas_node::api::metrics::page;
use serde_json::json;
use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;

/// Samples by name and labels, as the answer has them.
async fn samples(scene: &Scene) -> BTreeMap<String, f64> {
    let answer = scene.get("/metrics").await;
    assert_eq!(answer.status, 200, "{}", answer.body);
    let text = answer.body.as_str().expect("text").to_owned();
    let sample = |line: &str| {
        let (name, value) = line.rsplit_once(' ').unwrap_or_else(|| panic!("{line}"));
        (name.to_owned(), value.parse().unwrap_or_else(|_| panic!("{line}")))
    };
    text.lines().filter(|line| !line.starts_with('#')).map(sample).collect()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn metrics_say_what_is_so_and_name_no_cid() {
    let scene = Setting::new().start().await;
    let before = samples(&scene).await;
    assert_eq!(before["raas_ready"], 0.0, "no round was seen yet");
    let (cid, piece) = scene.kept(1).await;
    let after = samples(&scene).await;
    for (name, value) in [
        ("raas_ready", 1.0),
        ("raas_jobs{state=\"open\"}", 1.0),
        ("raas_jobs{state=\"stopped\"}", 0.0),
        ("raas_replicas{state=\"proven\"}", 3.0),
        ("raas_replicas{state=\"suspect\"}", 0.0),
        ("raas_orders_total{cause=\"replicate\"}", 3.0),
        ("raas_orders_total{cause=\"repair\"}", 0.0),
        ("raas_breaker_open{scope=\"fleet\"}", 0.0),
        ("raas_renewal_due", 0.0),
        ("raas_steps_parked", 0.0),
        ("raas_account_halted{account=\"evm\"}", 0.0),
    ] {
        assert_eq!(after.get(name), Some(&value), "{name} of {after:?}");
    }
    assert!(after["raas_spent_fil{on=\"deals\"}"] >= 0.0);
    assert_eq!(after["raas_head_epoch"], scene.now().await as f64);
    let left = after["raas_replica_expiration_timestamp_seconds"] - after["raas_clock_timestamp_seconds"];
    let why = scene.why(&cid).await;
    let orders = why["holdings"][0]["orders"].as_array().expect("orders").clone();
    let first = orders.iter().filter_map(|order| order["endEpoch"].as_i64()).min().expect("an end");
    assert_eq!(left, ((first - scene.now().await) * 30) as f64);
    let text = scene.get("/metrics").await.body.to_string();
    assert!(!text.contains(&cid) && !text.contains(&piece), "labels are bounded");
    // In the window of renewal, before and after a successor is on its way.
    scene.step_until_epoch(first - 31 * 2_880, async |_| ()).await;
    scene.advance(3 * 2_880).await;
    assert_eq!(samples(&scene).await["raas_renewal_due"], 0.0, "by the head of the last round");
    scene
        .until("renewals", 30 * 2_880, async || {
            samples(&scene).await["raas_orders_total{cause=\"renew\"}"] == 3.0
        })
        .await;
    assert_eq!(samples(&scene).await["raas_renewal_due"], 0.0, "successors are on their way");
    scene.end().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn readyz_tells_each_check_when_it_is_asked_to() {
    let scene = Setting::new().start().await;
    let early = scene.get("/readyz?verbose").await;
    assert_eq!(early.status, 503, "{}", early.body);
    let failed = |body: &serde_json::Value| -> Vec<String> {
        let checks = body["checks"].as_array().expect("checks").iter();
        checks
            .filter(|check| check["ok"] == false)
            .map(|check| check["check"].as_str().expect("a name").to_owned())
            .collect()
    };
    assert!(failed(&early.body).contains(&"chain".to_owned()), "{}", early.body);
    scene.quiesce().await;
    let ready = scene.get("/readyz?verbose").await.expect(200);
    assert_eq!(failed(&ready), Vec::<String>::new(), "{ready}");
    assert_eq!(scene.get("/readyz").await.expect(200)["checks"], json!(null));
    scene.set_rpc("down").await;
    scene.advance(20).await;
    scene.quiesce().await;
    let away = scene.get("/readyz?verbose").await;
    assert_eq!(away.status, 503);
    assert!(failed(&away.body).contains(&"gate".to_owned()), "{}", away.body);
    assert_eq!(scene.get("/livez").await.status, 200, "a chain that is away does not end the process");
    scene.set_rpc("normal").await;
    scene.end().await;
}

/// Names of metrics in a text.
fn named(text: &str) -> BTreeSet<String> {
    let word = |c: char| c.is_ascii_alphanumeric() || c == '_';
    let words = text.split(|c: char| !word(c)).filter(|of| of.starts_with("raas_"));
    words.map(str::to_owned).collect()
}

#[test]
fn rules_and_dashboard_use_metrics_that_there_are_and_their_page_is_checked_in() {
    is_checked_in("docs/METRICS.md", &page());
    let there = named(&page());
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../ops");
    for file in ["prometheus/alerts.yml", "prometheus/alerts_test.yml", "grafana/raas.json"] {
        let text = std::fs::read_to_string(root.join(file)).expect("a file of ops");
        let used = named(&text);
        assert!(used.len() > 3, "{file} uses {used:?}");
        let unknown: Vec<_> = used.difference(&there).collect();
        assert!(unknown.is_empty(), "{file} uses {unknown:?}, which /metrics does not have");
    }
    let board = std::fs::read_to_string(root.join("grafana/raas.json")).expect("the dashboard");
    let board: serde_json::Value = serde_json::from_str(&board).expect("JSON");
    assert!(board["panels"].as_array().is_some_and(|panels| panels.len() > 10));
}
