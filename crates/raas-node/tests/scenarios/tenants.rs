//! Keys: what each may, over every route of the document, and that no tenant sees or changes what another one has.

use crate::harness::{Answer, Scene, Setting, small, start_with};
use raas_core::ids::OwnerId;
use raas_node::causes::chain;
use raas_node::node::StartError;
use raas_node::store::{KeyScope, NewKey};
use reqwest::Method;
use serde_json::{Value, json};
use std::collections::BTreeMap;
use std::net::{Ipv4Addr, SocketAddr};
use std::process::{Command, Output};

/// A key of a tenant; its text and its id.
async fn key(scene: &Scene, tenant: &str, scope: KeyScope) -> (String, String) {
    let tenant = OwnerId(tenant.to_owned());
    let wanted = NewKey { tenant, scope, name: String::new(), made_unix: 1, expires_unix: None };
    let (key, text) = scene.node().app.engine.store().make_key(&wanted).await.expect("a key");
    (text, key.id)
}

/// A call with a key.
async fn call(scene: &Scene, key: Option<&str>, method: &Method, path: &str, body: Option<&Value>) -> Answer {
    let mut request = client().request(method.clone(), format!("{}{path}", scene.admin()));
    if let Some(key) = key {
        request = request.bearer_auth(key);
    }
    if let Some(body) = body {
        request = request.json(body);
    }
    Answer::of(request.send().await).await
}

fn client() -> reqwest::Client {
    reqwest::Client::builder().no_proxy().build().expect("a client")
}

/// A route of the document.
struct Route {
    method: Method,
    path: String,
    name: String,
    /// None for an open one.
    scope: Option<String>,
    takes_json: bool,
}

async fn routes(scene: &Scene) -> Vec<Route> {
    let document = scene.get("/v1/openapi.json").await.expect(200);
    let mut routes = Vec::new();
    for (path, methods) in document["paths"].as_object().expect("paths") {
        for (method, said) in methods.as_object().expect("methods") {
            let scopes = said["security"][1]["key"].as_array();
            routes.push(Route {
                method: Method::from_bytes(method.to_uppercase().as_bytes()).expect("a method"),
                path: path.clone(),
                name: said["operationId"].as_str().expect("a name").to_owned(),
                scope: scopes.map(|scopes| scopes[0].as_str().expect("a scope").to_owned()),
                takes_json: said["requestBody"]["content"]["application/json"].is_object(),
            });
        }
    }
    // What makes something comes last: what a tenant has of its own would be in the way.
    routes.sort_by_key(|route| route.method == Method::POST);
    routes
}

/// What one tenant has: a job, its data, a pin, and a key's id.
struct Has {
    job: u64,
    cid: String,
    key: String,
}

/// The path and body of a route, about what `has` has.
fn about(route: &Route, has: &Has) -> (String, Option<Value>) {
    let id = match route.path.as_str() {
        path if path.starts_with("/v1/jobs/") => has.job.to_string(),
        path if path.starts_with("/v1/keys/") => has.key.clone(),
        _ => "1".to_owned(),
    };
    let mut path = route.path.replace("{id}", &id).replace("{cid}", &has.cid);
    assert!(!path.contains('{'), "{path}: say what stands here");
    if matches!(route.name.as_str(), "dealStatus" | "listJobs") {
        path = format!("{path}?cid={}", has.cid);
    }
    let body = match route.name.as_str() {
        "makeKey" => json!({ "tenant": "mallory", "scope": "admin" }),
        "rewind" => json!({ "from": 1, "gone": "x" }),
        "pay" => json!({ "do": "settle", "dry_run": true }),
        "putAggregate" => json!({ "pieces": [] }),
        _ => json!({ "cid": has.cid }),
    };
    (path, route.takes_json.then_some(body))
}

/// Everything that a tenant sees of its own.
async fn view(scene: &Scene, key: &str, has: &Has) -> BTreeMap<String, Value> {
    let mut seen = BTreeMap::new();
    for path in [
        "/v1/jobs".to_owned(),
        format!("/v1/jobs/{}", has.job),
        format!("/v1/holdings/{}/why", has.cid),
        "/v1/pins".to_owned(),
        format!("/api/deal_status?cid={}", has.cid),
    ] {
        let answer = call(scene, Some(key), &Method::GET, &path, None).await.expect(200);
        seen.insert(path, answer);
    }
    seen
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn no_key_of_another_tenant_sees_or_changes_anything_over_every_route() {
    let scene = Setting::new().start().await;
    // Before there is any key, everything is as it was.
    scene.upload_only(small(1)).await;
    let (alice, alice_key) = key(&scene, "alice", KeyScope::Write).await;
    let (alice_reads, _) = key(&scene, "alice", KeyScope::Read).await;
    let (bob, _) = key(&scene, "bob", KeyScope::Write).await;
    let (admin, _) = key(&scene, "local", KeyScope::Admin).await;
    let stored =
        client().post(format!("{}/api/uploadFile", scene.admin())).bearer_auth(&alice).body(small(2));
    let stored = Answer::of(stored.send().await).await.expect(201);
    let cid = stored["cid"].as_str().expect("a CID").to_owned();
    let pinned = call(&scene, Some(&alice), &Method::POST, "/v1/pins", Some(&json!({ "cid": cid }))).await;
    assert_eq!(pinned.status, 200, "{}", pinned.body);
    let has = Has { job: stored["job"].as_u64().expect("a job"), cid, key: alice_key };
    let before = view(&scene, &alice, &has).await;
    assert_eq!(before["/v1/jobs"]["jobs"][0]["owner"], "alice");
    assert_eq!(view(&scene, &alice_reads, &has).await, before, "a key that reads sees the same");

    let mut tried = 0;
    for route in routes(&scene).await {
        let (path, body) = about(&route, &has);
        let as_whom = async |key: Option<&str>| call(&scene, key, &route.method, &path, body.as_ref()).await;
        let name = format!("{} {path}", route.method);
        let Some(scope) = &route.scope else {
            let open = as_whom(None).await;
            assert!(open.status < 400 || route.name == "readyz", "{name}: {}", open.body);
            assert!(!open.body.to_string().contains("alice"), "{name}");
            continue;
        };
        tried += 1;
        for nobody in [None, Some("raas_0_0"), Some("x")] {
            let answer = as_whom(nobody).await;
            assert_eq!(answer.status, 401, "{name} with {nobody:?}: {}", answer.body);
        }
        let answer = match scope.as_str() {
            "admin" => {
                for tenant in [&alice, &bob] {
                    let answer = as_whom(Some(tenant)).await;
                    assert_eq!(answer.status, 403, "{name}: {}", answer.body);
                }
                continue;
            }
            "write" => {
                let reads = as_whom(Some(&alice_reads)).await;
                assert_eq!(reads.status, 403, "{name}: {}", reads.body);
                as_whom(Some(&bob)).await
            }
            _ => as_whom(Some(&bob)).await,
        };
        let text = answer.body.to_string();
        assert!(!text.contains("alice") && answer.status < 500, "{name} tells bob of alice: {text}");
        if route.path.contains('{') {
            assert_eq!(answer.status, 404, "{name} is not bob's: {text}");
        }
        if route.method == Method::GET {
            let piece = stored["pieceCid"].as_str().expect("a piece");
            assert!(!text.contains(piece), "{name} tells bob of alice's piece: {text}");
        }
    }
    assert!(tried > 25, "{tried} routes");
    assert_eq!(view(&scene, &alice, &has).await, before, "bob changed what alice has");
    // Whoever runs the node sees both.
    let all = call(&scene, Some(&admin), &Method::GET, "/v1/jobs", None).await.expect(200);
    let owners: Vec<&str> =
        all["jobs"].as_array().expect("jobs").iter().filter_map(|job| job["owner"].as_str()).collect();
    assert!(owners.contains(&"alice") && owners.contains(&"bob"), "{owners:?}");
    scene.end().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_api_leaves_loopback_only_with_a_key_and_lets_no_page_in() {
    let everywhere = SocketAddr::from((Ipv4Addr::UNSPECIFIED, 0));
    let setting = Setting::new().config(|config| config.listen.admin = everywhere);
    let mut scene = setting.devnet_only().await;
    let refused = start_with(&scene.config).await.err().expect("refused");
    assert!(matches!(refused, StartError::NoApiKey(_)), "{}", chain(&refused));
    assert!(chain(&refused).contains("raas key new"), "{}", chain(&refused));
    let file = scene.scratch().join("admin.key");
    let made = raas(&scene, &["key", "new", "--scope", "admin", "--to", file.to_str().expect("a path")]);
    assert!(made.status.success(), "{}", String::from_utf8_lossy(&made.stderr));
    scene.start_node().await;
    let key = std::fs::read_to_string(&file).expect("a key").trim().to_owned();
    let port = scene.node().admin.port();
    let ask = async |key: Option<&str>, origin: Option<&str>| {
        let mut request =
            client().get(format!("http://127.0.0.1:{port}/v1/jobs")).header("host", "raas.example");
        if let Some(key) = key {
            request = request.bearer_auth(key);
        }
        if let Some(origin) = origin {
            request = request.header("origin", origin);
        }
        request.send().await.expect("an answer")
    };
    assert_eq!(ask(None, None).await.status(), 401);
    assert_eq!(ask(Some(&key), None).await.status(), 200);
    let page = ask(Some(&key), Some("https://elsewhere.example")).await;
    assert!(!page.headers().keys().any(|name| name.as_str().starts_with("access-control")), "CORS is closed");
    let preflight = client()
        .request(Method::OPTIONS, format!("http://127.0.0.1:{port}/v1/jobs"))
        .header("origin", "https://elsewhere.example")
        .header("access-control-request-method", "POST");
    let preflight = preflight.send().await.expect("an answer");
    assert!(!preflight.status().is_success(), "{}", preflight.status());
    assert!(!preflight.headers().keys().any(|name| name.as_str().starts_with("access-control")));
    scene.end().await;
}

/// The command line on this node's files.
fn raas(scene: &Scene, arguments: &[&str]) -> Output {
    let mut command = Command::new(env!("CARGO_BIN_EXE_raas"));
    command.env_clear().args(arguments).arg("--data-dir").arg(&scene.config.data_dir);
    command.output().expect("raas runs")
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn keys_are_made_listed_and_revoked_beside_the_running_node() {
    let scene = Setting::new().start().await;
    let made = raas(
        &scene,
        &["--json", "key", "new", "--tenant", "alice", "--scope", "write", "--name", "ci", "--days", "9"],
    );
    let made: Value = serde_json::from_slice(&made.stdout).expect("JSON");
    let secret = made["secret"].as_str().expect("a secret").to_owned();
    let id = made["key"]["id"].as_str().expect("an id").to_owned();
    assert_eq!(scene.get("/v1/jobs").await.status, 401, "from the first key on one is needed");
    let jobs = |with: &str| {
        let mut command = Command::new(env!("CARGO_BIN_EXE_raas"));
        command.env_clear().env("RAAS_KEY", with).args([
            "--json",
            "job",
            "list",
            "--node",
            scene.admin().as_str(),
        ]);
        command
    };
    // The node answers on threads of this runtime, which stays free.
    let listed = tokio::task::block_in_place(|| jobs(&secret).output().expect("raas runs"));
    assert!(listed.status.success(), "{}", String::from_utf8_lossy(&listed.stderr));
    let list = raas(&scene, &["key", "list"]);
    let text = String::from_utf8_lossy(&list.stdout).into_owned();
    assert!(text.contains(&id) && text.contains("alice") && text.contains("until "), "{text}");
    assert!(!text.contains(secret.rsplit('_').next().expect("a secret")), "{text}");
    assert!(raas(&scene, &["key", "revoke", &id]).status.success());
    let refused = tokio::task::block_in_place(|| jobs(&secret).output().expect("raas runs"));
    assert_eq!(refused.status.code(), Some(1));
    let said = String::from_utf8_lossy(&refused.stderr).into_owned();
    assert!(said.contains("opens nothing"), "{said}");
    for (wrong, field) in [
        (&["key", "new", "--tenant", "Alice", "--scope", "read"][..], "--tenant"),
        (&["key", "new", "--tenant", "alice", "--scope", "admin"][..], "--scope"),
        (&["key", "revoke", "nobody"][..], "nobody"),
    ] {
        let refused = raas(&scene, wrong);
        assert_eq!(refused.status.code(), Some(2), "{wrong:?}");
        assert!(String::from_utf8_lossy(&refused.stderr).contains(field), "{wrong:?}");
    }
    scene.end().await;
}
