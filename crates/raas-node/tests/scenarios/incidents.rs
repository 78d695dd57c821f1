//! A provider's trouble is one incident, and whatever it concerns says that it is part of it.

use crate::harness::{Scene, Setting};
use serde_json::{Value, json};

const DAY: i64 = 2_880;

/// What a command prints, and how it ends.
async fn raas(scene: &Scene, args: &[&str]) -> (Option<i32>, String) {
    let mut command = tokio::process::Command::new(env!("CARGO_BIN_EXE_raas"));
    let output = command.args(["--node", &scene.admin()]).args(args).output().await.expect("it runs");
    let text = [output.stdout, output.stderr].concat();
    (output.status.code(), String::from_utf8_lossy(&text).into_owned())
}

/// The incidents that the only holding of `cid` is part of: as its plan tells, and as why does.
async fn part_of(scene: &Scene, cid: &str) -> Vec<Value> {
    let plan = scene.get(&format!("/v1/holdings/{cid}/plan")).await.expect(200);
    let why = scene.why(cid).await;
    assert_eq!(plan["holdings"][0]["incidents"], why["holdings"][0]["incidents"]);
    plan["holdings"][0]["incidents"].as_array().expect("a list").clone()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_plan_says_which_incident_its_copies_are_part_of() {
    let scene = Setting::new().start().await;
    let (cid, piece) = scene.kept(115).await;
    assert_eq!(part_of(&scene, &cid).await, Vec::<Value>::new());
    assert_eq!(scene.get("/v1/incidents").await.expect(200)["incidents"], json!([]));
    let deal = scene.ledger().await.deals(&piece).into_values().next().expect("a deal");
    let (provider, name) = (json!(deal.provider), format!("f0{}", deal.provider));

    scene.rpc("devnet_fault", json!([deal.provider])).await;
    scene.until("suspect", 2 * DAY, async || scene.standing(&cid).await["suspect"] == 1).await;
    let listed = scene.get("/v1/incidents").await.expect(200);
    let [incident] = listed["incidents"].as_array().expect("a list").as_slice() else { panic!("{listed}") };
    assert_eq!((&incident["provider"], &incident["kind"]), (&provider, &json!("faulty")), "{incident}");
    let part = part_of(&scene, &cid).await;
    let [only] = part.as_slice() else { panic!("{part:?}") };
    assert_eq!((&only["incident"], only["orders"].as_array().map(Vec::len)), (incident, Some(1)));
    let id = incident["id"].to_string();
    let shown = scene.get(&format!("/v1/incidents/{id}")).await.expect(200);
    assert_eq!((&shown["incident"], &shown["cids"]), (incident, &json!([cid])));
    assert_eq!(scene.get("/v1/incidents/999").await.status, 404);
    assert_eq!(scene.get("/v1/incidents/x").await.status, 400);

    let opened =
        format!("incident {id}: provider {name}, 1 replicas faulty since epoch {}", incident["opened_at"]);
    for args in [&["incidents", "list"][..], &["incidents", "show", &id]] {
        let (code, text) = raas(&scene, args).await;
        assert!(code == Some(0) && text.contains(&opened), "{args:?}: {text}");
    }
    assert!(raas(&scene, &["incidents", "show", &id]).await.1.contains(&cid));
    for command in ["plan", "why"] {
        let (code, text) = raas(&scene, &[command, &cid]).await;
        assert!(code == Some(0) && text.contains(&format!("part of {opened}")), "{text}");
    }
    let (code, text) = raas(&scene, &["--json", "incidents", "list"]).await;
    let told: Value = serde_json::from_str(&text).expect("JSON");
    assert_eq!((code, &told), (Some(0), &listed));
    let (code, text) = raas(&scene, &["incidents", "show", "999"]).await;
    assert!(code == Some(1) && text.contains("999"), "{text}");

    scene.rpc("devnet_recover", json!([deal.provider])).await;
    scene.until("proven again", 2 * DAY, async || scene.standing(&cid).await["suspect"] == 0).await;
    assert_eq!(part_of(&scene, &cid).await, Vec::<Value>::new());
    let listed = scene.get("/v1/incidents").await.expect(200);
    assert!(listed["incidents"][0]["closed_at"].is_i64(), "{listed}");

    // A loss is part of its incident until a successor is proven.
    scene.rpc("devnet_terminate", json!([deal.provider, [deal.sector]])).await;
    let is_part =
        async |kind: &str| part_of(&scene, &cid).await.iter().any(|part| part["incident"]["kind"] == kind);
    scene.until("the loss is told", DAY, async || is_part("lost").await).await;
    scene.until_proven(&cid, &piece, 3).await;
    assert_eq!(part_of(&scene, &cid).await, Vec::<Value>::new());
    scene.end().await;
}
