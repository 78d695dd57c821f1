//! The command line as a person meets it: exit codes, messages that name what to change, and a node driven by its
//! client commands.

use serde_json::Value;
use std::net::TcpListener;
use std::path::Path;
use std::process::{Output, Stdio};
use tokio::io::{AsyncBufReadExt, AsyncWriteExt, BufReader};
use tokio::process::{Child, Command};

const CID: &str = "bafybeigdyrzt5sfp7udm7hu76uh7y26nf3efuylqabf3oclgtqy55fbzdi";

fn raas(folder: &Path) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_raas"));
    command.current_dir(folder).kill_on_drop(true);
    command
}

async fn run(folder: &Path, args: &[&str]) -> Output {
    raas(folder).args(args).output().await.expect("it runs")
}

fn said(output: &Output) -> String {
    String::from_utf8_lossy(&output.stderr).into_owned()
}

fn printed(output: &Output) -> String {
    String::from_utf8_lossy(&output.stdout).into_owned()
}

fn taken() -> (TcpListener, u16) {
    let listener = TcpListener::bind(("127.0.0.1", 0)).expect("a port");
    let port = listener.local_addr().expect("an address").port();
    (listener, port)
}

#[tokio::test]
async fn wrong_usage_is_code_2_and_says_what_would_be_right() {
    let folder = tempfile::tempdir().expect("a folder");
    std::fs::write(folder.path().join("unknown.toml"), "network = 'devnet'\n[chain]\nendpionts = []")
        .expect("a file");
    std::fs::write(folder.path().join("range.toml"), "network = 'devnet'\n[chain]\nagree = 0")
        .expect("a file");
    // Readable by everybody.
    std::fs::write(folder.path().join("open.token"), "x").expect("a file");
    std::fs::write(folder.path().join("kubo.toml"), "[kubo]\ntoken_file = 'open.token'").expect("a file");
    let cases: &[(&[&str], &[&str])] = &[
        (&["up"], &["--network devnet", "--network calibration", "--network mainnet"]),
        (&["up", "--network", "mian"], &["network", "\"mian\"", "devnet"]),
        (&["up", "--netwrok", "devnet"], &["--network"]),
        (&["demmo"], &["demo"]),
        (&["up", "--config", "unknown.toml"], &["endpionts"]),
        (&["up", "--config", "range.toml"], &["chain.agree"]),
        (&["up", "--network", "devnet", "--admin", "0.0.0.0:0"], &["listen.admin"]),
        (&["up", "--network", "devnet", "--admin", "here"], &["--admin"]),
        (&["devnet", "--network-version", "27"], &["network_version", "28"]),
        (&["why", "nonsense"], &["cid"]),
        (&["plan", "nonsense"], &["cid"]),
        (&["get", "nonsense"], &["cid"]),
        (&["pin", "rm", "nonsense"], &["cid"]),
        (&["store", "verify", "nonsense"], &["cid"]),
        (&["upload", "missing"], &["missing"]),
        (&["kubo", "import", "missing"], &["missing", "CID", "CAR"]),
        (&["kubo", "export", "nonsense", "-o", "x.car"], &["cid"]),
        (&["kubo", "export", CID, "-o", "unknown.toml"], &["unknown.toml", "--force"]),
        (&["kubo", "status", "--config", "kubo.toml"], &["kubo.token_file", "open.token"]),
        (&["upload", "--car", "."], &["--car"]),
        (&["--node", "ftp://x", "job", "list"], &["--node"]),
    ];
    for (args, words) in cases {
        let output = run(folder.path(), args).await;
        let text = said(&output);
        assert_eq!(output.status.code(), Some(2), "{args:?}: {text}");
        for word in *words {
            assert!(text.contains(word), "{args:?} names {word}: {text}");
        }
        assert!(output.stdout.is_empty(), "{args:?}");
    }
}

#[tokio::test]
async fn an_unknown_key_from_the_environment_is_refused() {
    let folder = tempfile::tempdir().expect("a folder");
    let output = raas(folder.path())
        .args(["up", "--network", "devnet"])
        .env("RAAS__CHAIN__ENDPIONTS", "x")
        .output()
        .await
        .expect("it runs");
    assert_eq!(output.status.code(), Some(2));
    assert!(said(&output).contains("endpionts"), "{}", said(&output));
}

#[tokio::test]
async fn a_node_that_is_not_there_is_code_3() {
    let folder = tempfile::tempdir().expect("a folder");
    let (listener, port) = taken();
    drop(listener);
    let node = format!("http://127.0.0.1:{port}");
    std::fs::write(folder.path().join("file"), "x").expect("a file");
    let cases: &[&[&str]] = &[
        &["job", "list"],
        &["job", "show", "1"],
        &["job", "register", CID],
        &["why", CID],
        &["plan", CID],
        &["incidents", "list"],
        &["incidents", "show", "1"],
        &["get", CID],
        &["pin", "add", CID],
        &["kubo", "import", CID],
        &["store", "ls"],
        &["upload", "file"],
    ];
    for args in cases {
        let output = run(folder.path(), &[&["--node", &node], *args].concat()).await;
        assert_eq!(output.status.code(), Some(3), "{args:?}: {}", said(&output));
        assert!(said(&output).contains(&node) && said(&output).contains("raas up"), "{}", said(&output));
    }
}

#[tokio::test]
async fn a_taken_port_names_the_flag() {
    let folder = tempfile::tempdir().expect("a folder");
    let (_listener, port) = taken();
    let port = port.to_string();
    let address = format!("127.0.0.1:{port}");
    let free = "127.0.0.1:0";
    let up = ["up", "--network", "devnet", "--data-dir", "data"];
    let cases: &[(&[&str], &[&str])] = &[
        (&["devnet", "--port", &port], &["--port"]),
        (&[&up[..], &["--devnet-port", &port, "--admin", free, "--data", free]].concat(), &["--devnet-port"]),
        (
            &[&up[..], &["--devnet-port", "0", "--admin", &address, "--data", free]].concat(),
            &["listen.admin", "--admin"],
        ),
        (
            &[&up[..], &["--devnet-port", "0", "--admin", free, "--data", &address]].concat(),
            &["listen.data", "--data"],
        ),
    ];
    for (args, words) in cases {
        let output = run(folder.path(), args).await;
        let text = said(&output);
        assert_eq!(output.status.code(), Some(1), "{args:?}: {text}");
        for word in words.iter().chain([&port.as_str()]) {
            assert!(text.contains(word), "{args:?} names {word}: {text}");
        }
        assert_eq!(text.matches("os error").count(), 1, "every cause once: {text}");
    }
}

#[tokio::test]
async fn help_has_examples_and_exit_codes() {
    let folder = tempfile::tempdir().expect("a folder");
    let output = run(folder.path(), &["--help"]).await;
    assert!(output.status.success());
    for word in ["raas demo", "raas up --network devnet", "Exit codes", "--json"] {
        assert!(printed(&output).contains(word), "{word}");
    }
}

/// The first line that a command prints with `--json`.
async fn first_line(child: &mut Child) -> Value {
    let mut lines = BufReader::new(child.stdout.take().expect("its output")).lines();
    let line = lines.next_line().await.expect("readable").expect("a line");
    serde_json::from_str(&line).expect("JSON on one line")
}

fn signal(child: &Child, name: &str) {
    let id = child.id().expect("it runs").to_string();
    assert!(std::process::Command::new("kill").args([name, &id]).status().expect("kill runs").success());
}

#[tokio::test]
async fn a_devnet_alone_says_where_it_listens_and_ends_by_signal() {
    let folder = tempfile::tempdir().expect("a folder");
    let mut child = raas(folder.path())
        .args(["--json", "devnet", "--port", "0", "--data", "world"])
        .stdout(Stdio::piped())
        .spawn()
        .expect("it runs");
    let line = first_line(&mut child).await;
    assert!(line["rpc"].as_str().is_some_and(|url| url.ends_with("/rpc/v1")), "{line}");
    assert!(line["network"].as_str().is_some_and(|name| name.contains("devnet")), "{line}");
    assert!(line["providers"].as_object().is_some_and(|providers| providers.len() >= 6), "{line}");
    signal(&child, "-TERM");
    assert!(child.wait().await.expect("its end").success());
}

/// The doctor of a node that is not there, whose ports are its own.
async fn doctor(folder: &Path, before: &[&str], network: &str) -> Output {
    let mut command = raas(folder);
    for port in ["ADMIN", "DATA"] {
        command.env(format!("RAAS__LISTEN__{port}"), "127.0.0.1:0");
    }
    command.args(before).args(["doctor", "--network", network]).output().await.expect("it runs")
}

#[tokio::test]
async fn the_doctor_ends_with_0_1_or_2() {
    let folder = tempfile::tempdir().expect("a folder");
    let output = run(folder.path(), &["doctor"]).await;
    assert_eq!(output.status.code(), Some(2), "{}", said(&output));
    assert!(said(&output).contains("--network"), "{}", said(&output));
    let few = "network = 'devnet'\n[chain]\nendpoints = ['http://127.0.0.1:1/rpc/v1']\nagree = 2";
    std::fs::write(folder.path().join("few.toml"), few).expect("a file");
    let output = run(folder.path(), &["doctor", "--config", "few.toml"]).await;
    assert_eq!(output.status.code(), Some(2), "{}", said(&output));
    assert!(said(&output).contains("chain.agree") && said(&output).contains("1..=1"), "{}", said(&output));

    // Nobody listens there: a trouble, with what mends it.
    let (listener, port) = taken();
    drop(listener);
    let away = format!("http://127.0.0.1:{port}/rpc/v1");
    let output = doctor(folder.path(), &["--json"], &away).await;
    assert_eq!(output.status.code(), Some(1), "{}", said(&output));
    let told: Value = serde_json::from_str(&printed(&output)).expect("JSON");
    assert_eq!(told["network"], away.as_str());
    let findings = told["findings"].as_array().expect("findings");
    for found in findings {
        let fields: Vec<&str> = found.as_object().expect("a finding").keys().map(String::as_str).collect();
        assert_eq!(fields, ["area", "code", "fix", "found", "level", "subject"], "{found}");
        assert!(["ok", "warning", "problem"].contains(&found["level"].as_str().expect("a level")), "{found}");
    }
    let warnings = findings.iter().filter(|found| found["level"] == "warning").count();
    assert_eq!(told["warnings"], serde_json::json!(warnings), "{told}");
    let troubles: Vec<&Value> = findings.iter().filter(|found| found["level"] == "problem").collect();
    assert_eq!(told["problems"], serde_json::json!(troubles.len()), "{told}");
    let silent = troubles.iter().find(|found| found["code"] == "endpoint_silent").expect("told");
    assert_eq!(
        (&silent["area"], &silent["subject"]),
        (&serde_json::json!("endpoint"), &serde_json::json!(format!("127.0.0.1:{port}")))
    );
    assert!(troubles.iter().all(|found| found["fix"].as_str().is_some_and(|fix| !fix.is_empty())), "{told}");

    let mut child = raas(folder.path())
        .args(["--json", "devnet", "--port", "0"])
        .stdout(Stdio::piped())
        .spawn()
        .expect("it runs");
    let rpc = first_line(&mut child).await["rpc"].as_str().expect("a URL").to_owned();
    let output = doctor(folder.path(), &[], &rpc).await;
    assert_eq!(output.status.code(), Some(0), "{}{}", printed(&output), said(&output));
    for area in ["endpoint", "chain", "clock", "wallet", "disk", "data listener", "node"] {
        assert!(printed(&output).contains(area), "{area}: {}", printed(&output));
    }
    child.kill().await.expect("it ends");
}

#[tokio::test]
async fn a_node_of_its_own_is_driven_by_the_client_commands() {
    let folder = tempfile::tempdir().expect("a folder");
    let here = folder.path();
    let mut node = up(here, "devnet");
    let line = first_line(&mut node).await;
    let admin = line["admin"].as_str().expect("an address").to_owned();
    let call = async |args: &[&str]| run(here, &[&["--node", admin.as_str()], args].concat()).await;
    let json = async |args: &[&str]| -> Value {
        let output = call(&[&["--json"], args].concat()).await;
        assert!(output.status.success(), "{args:?}: {}", said(&output));
        serde_json::from_slice(&output.stdout).expect("JSON")
    };

    // A directory with a name that a URL has to escape.
    std::fs::create_dir_all(here.join("tree").join("a b")).expect("a folder");
    std::fs::write(here.join("tree").join("a b").join("ü.txt"), "deep").expect("a file");
    std::fs::write(here.join("tree").join("top"), vec![7; 2_500_000]).expect("a file");
    let stored = json(&["upload", "tree", "--no-deal"]).await;
    let tree = stored["cid"].as_str().expect("a CID").to_owned();
    assert!(stored["job"].is_null() && stored["network"] == line["network"]);
    assert_eq!(call(&["get", &tree, "-o", "back"]).await.status.code(), Some(0));
    assert_eq!(std::fs::read(here.join("back").join("a b").join("ü.txt")).expect("a file"), b"deep");
    assert_eq!(std::fs::read(here.join("back").join("top")).expect("a file"), vec![7; 2_500_000]);
    // What the node has goes to Kubo; its CAR begins with the root.
    let root: cid::Cid = tree.parse().expect("a CID");
    let url = kubo(&tree, "", &root.to_bytes()).await;
    let import = ["--node", admin.as_str(), "--json", "kubo", "import", &tree];
    let given = raas(here).args(import).env("RAAS__KUBO__URL", url).output().await.expect("it runs");
    assert!(given.status.success(), "{}", said(&given));
    let given: Value = serde_json::from_slice(&given.stdout).expect("JSON");
    assert_eq!((&given["root"], &given["pinned"]), (&stored["cid"], &Value::Bool(true)));

    let path = format!("{tree}/a b/ü.txt");
    assert_eq!(printed(&call(&["get", &path, "-o", "-"]).await), "deep");
    assert_eq!(call(&["get", &path]).await.status.code(), Some(0));
    assert_eq!(std::fs::read(here.join("ü.txt")).expect("named by the path"), b"deep");
    let missing = call(&["get", &format!("{tree}/none"), "-o", "none"]).await;
    assert_eq!(missing.status.code(), Some(1), "{}", said(&missing));
    assert!(said(&missing).contains("none") && !here.join("none").exists());

    gateway(line["data"].as_str().expect("an address"), &tree).await;

    // An existing file is safe without --force.
    std::fs::write(here.join("mine"), "mine").expect("a file");
    let refused = call(&["get", &path, "-o", "mine"]).await;
    assert_eq!(refused.status.code(), Some(2));
    assert!(said(&refused).contains("--force"));
    assert_eq!(std::fs::read(here.join("mine")).expect("a file"), b"mine");
    assert!(call(&["get", &path, "-o", "mine", "--force"]).await.status.success());
    assert_eq!(std::fs::read(here.join("mine")).expect("a file"), b"deep");

    // From stdin, with a CID that must be right.
    let from_stdin = async |cid: &str| {
        let mut child = raas(here)
            .args(["--json", "--node", admin.as_str(), "upload", "-", "--cid", cid])
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .expect("it runs");
        let mut stdin = child.stdin.take().expect("its input");
        stdin.write_all(b"hello raas").await.expect("written");
        drop(stdin);
        child.wait_with_output().await.expect("its end")
    };
    let wrong = from_stdin(&tree).await;
    assert_eq!(wrong.status.code(), Some(2), "{}", said(&wrong));
    assert!(said(&wrong).contains("cid"));
    // `ipfs add --cid-version=1 --raw-leaves` of these bytes: identity of a raw leaf is its sha2-256.
    let digest = <sha2::Sha256 as sha2::Digest>::digest(b"hello raas");
    let raw =
        cid::Cid::new_v1(0x55, cid::multihash::Multihash::wrap(0x12, &digest).expect("a hash")).to_string();
    let right = from_stdin(&raw).await;
    assert!(right.status.success(), "{}", said(&right));
    let stored: Value = serde_json::from_slice(&right.stdout).expect("JSON");
    assert_eq!(stored["cid"], raw.as_str());

    // Jobs.
    let job = stored["job"].to_string();
    let shown = json(&["job", "show", &job]).await;
    assert_eq!(shown["job"]["cid"], raw.as_str());
    let registered = json(&["job", "register", &raw, "--replicas", "2", "--repair-after", "5760"]).await;
    assert_eq!(registered["holding"], shown["job"]["holding"], "one owner, one CID, one holding");
    let bad = call(&["job", "register", &raw, "--replicas", "0"]).await;
    assert_eq!(bad.status.code(), Some(2));
    assert!(said(&bad).contains("replicas"), "{}", said(&bad));
    for (flag, field) in [
        ("--replicas", "replicas"),
        ("--repair-after", "repairAfter"),
        ("--renew-before", "renewBefore"),
        ("--duration", "duration"),
    ] {
        let negative = call(&["job", "register", &raw, flag, "-1"]).await;
        assert_eq!(negative.status.code(), Some(2), "{}", said(&negative));
        assert!(said(&negative).contains(&format!("{field}: ")), "{}", said(&negative));
    }
    assert_eq!(json(&["job", "list", "--cid", &raw]).await["jobs"].as_array().map(Vec::len), Some(2));
    let stopped = json(&["job", "stop", &registered["job"].to_string()]).await;
    assert_eq!(stopped["stopped_now"], true);
    assert_eq!(call(&["job", "show", "999"]).await.status.code(), Some(1));
    let of_cid = json(&["job", "show", &raw]).await;
    let ids: Vec<&Value> =
        of_cid["jobs"].as_array().expect("jobs").iter().map(|one| &one["job"]["id"]).collect();
    assert_eq!(ids, [&stored["job"], &registered["job"]], "every job of the CID");
    let unknown = call(&["job", "show", CID]).await;
    assert_eq!(unknown.status.code(), Some(1));
    assert!(said(&unknown).contains("raas job register"), "{}", said(&unknown));
    for args in [["job", "show", "x"], ["job", "show", "-1"], ["job", "stop", &raw], ["job", "stop", "-1"]] {
        let wrong = call(&args).await;
        assert_eq!(wrong.status.code(), Some(2), "{}", said(&wrong));
        assert!(said(&wrong).contains("raas job list"), "{}", said(&wrong));
    }

    // People read the same with the network's name in it.
    let network = line["network"].as_str().expect("a name");
    for args in [
        &["why", &raw][..],
        &["plan", &raw],
        &["job", "show", &job],
        &["job", "show", &raw],
        &["job", "list"],
    ] {
        let output = call(args).await;
        assert!(output.status.success(), "{args:?}: {}", said(&output));
        let all = printed(&output) + &said(&output);
        assert!(all.contains(network) && all.contains(&raw), "{args:?}: {all}");
        assert!(!all.contains('\u{1b}'), "no colour: {all}");
    }
    let nobody = call(&["why", CID]).await;
    assert_eq!(nobody.status.code(), Some(1));
    assert!(said(&nobody).contains(CID));

    signal(&node, "-TERM");
    assert!(node.wait().await.expect("its end").success(), "the first signal drains");
}

/// The data listener as an HTTP client meets it. `top` in the tree is 2,500,000 bytes of seven.
async fn gateway(data: &str, tree: &str) {
    use reqwest::{Method, StatusCode};
    // The first provider wins; a second call says that there is one.
    let _ = rustls::crypto::ring::default_provider().install_default();
    let client = reqwest::Client::builder().build().expect("a client");
    let ask = async |method: Method, path: &str, headers: &[(&str, &str)]| {
        let mut request = client.request(method, format!("{data}/ipfs/{tree}{path}"));
        for (name, value) in headers {
            request = request.header(*name, *value);
        }
        request.send().await.expect("an answer")
    };
    let header = |answer: &reqwest::Response, name: &str| {
        answer.headers().get(name).and_then(|value| value.to_str().ok()).unwrap_or_default().to_owned()
    };
    let whole = ask(Method::HEAD, "/top", &[]).await;
    assert_eq!(header(&whole, "content-length"), "2500000");
    let tag = header(&whole, "etag");
    let same = ask(Method::GET, "/top", &[("if-none-match", &tag)]).await;
    assert_eq!(same.status(), StatusCode::NOT_MODIFIED);
    let part = ask(Method::GET, "/top", &[("range", "bytes=1048570-1048585"), ("if-range", &tag)]).await;
    assert_eq!(part.status(), StatusCode::PARTIAL_CONTENT);
    assert_eq!(header(&part, "content-range"), "bytes 1048570-1048585/2500000");
    assert_eq!(part.bytes().await.expect("bytes")[..], [7; 16]);
    let other = ask(Method::HEAD, "/top", &[("range", "bytes=0-1"), ("if-range", "\"x\"")]).await;
    assert_eq!(other.status(), StatusCode::OK);
    let past = ask(Method::GET, "/top", &[("range", "bytes=2500000-")]).await;
    assert_eq!(past.status(), StatusCode::RANGE_NOT_SATISFIABLE);
    assert_eq!(header(&past, "content-range"), "bytes */2500000");
    let text = ask(Method::HEAD, "/a%20b/%C3%BC.txt", &[]).await;
    assert_eq!(header(&text, "content-type"), "text/plain; charset=utf-8");

    let raw = ask(Method::GET, "", &[("accept", "application/vnd.ipld.raw")]).await;
    assert_eq!(header(&raw, "content-type"), "application/vnd.ipld.raw");
    assert!(header(&raw, "content-disposition").contains(".bin"));
    let block = raw.bytes().await.expect("bytes");
    assert_eq!(raas_piece::block::cid_v1(raas_piece::block::DAG_PB, &block).to_string(), tree);
    assert_eq!(ask(Method::GET, "/top?format=raw", &[]).await.status(), StatusCode::BAD_REQUEST);
    assert_eq!(ask(Method::GET, "?format=car&dag-scope=x", &[]).await.status(), StatusCode::BAD_REQUEST);
    let car = ask(Method::GET, "?format=car&dag-scope=block", &[]).await;
    assert_eq!(header(&car, "accept-ranges"), "none");
    assert_ne!(header(&car, "etag"), header(&ask(Method::HEAD, "?format=car", &[]).await, "etag"));
    assert_eq!(ask(Method::GET, "/none", &[]).await.status(), StatusCode::NOT_FOUND);
    let post = ask(Method::POST, "", &[]).await;
    assert_eq!(post.status(), StatusCode::METHOD_NOT_ALLOWED);
    assert_eq!(header(&post, "allow"), "GET,HEAD");
}

/// The first line on stderr that contains `word`.
async fn wait_for(child: &mut Child, word: &str) {
    let mut lines = BufReader::new(child.stderr.take().expect("its talk")).lines();
    while let Some(line) = lines.next_line().await.expect("readable") {
        if line.contains(word) {
            return;
        }
    }
    panic!("it ended without saying {word:?}");
}

fn up(folder: &Path, network: &str) -> Child {
    raas(folder)
        .args(["--json", "up", "--network", network, "--data-dir", "data", "--epoch-ms", "0"])
        .args(["--devnet-port", "0", "--admin", "127.0.0.1:0", "--data", "127.0.0.1:0"])
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .expect("it runs")
}

#[tokio::test]
async fn the_first_signal_waits_for_an_upload_and_the_second_does_not() {
    let folder = tempfile::tempdir().expect("a folder");
    let mut node = up(folder.path(), "devnet");
    let admin = first_line(&mut node).await["admin"].as_str().expect("an address").to_owned();
    let mut upload = raas(folder.path())
        .args(["--node", &admin, "upload", "-"])
        .stdin(Stdio::piped())
        .stderr(Stdio::null())
        .stdout(Stdio::null())
        .spawn()
        .expect("it runs");
    // An upload that has begun and never ends: its bytes are in the staging folder.
    let mut stdin = upload.stdin.take().expect("its input");
    stdin.write_all(&vec![1; 4 << 20]).await.expect("written");
    stdin.flush().await.expect("written");
    let staging = folder.path().join("data").join("pieces").join("staging");
    while std::fs::read_dir(&staging).expect("a folder").count() == 0 {
        tokio::task::yield_now().await;
    }
    signal(&node, "-INT");
    wait_for(&mut node, "stopping").await;
    assert!(node.try_wait().expect("its state").is_none(), "the upload is waited for");
    signal(&node, "-INT");
    assert_eq!(node.wait().await.expect("its end").code(), Some(1));
    assert_ne!(upload.wait().await.expect("its end").code(), Some(0));
}

#[tokio::test]
async fn a_node_whose_store_is_taken_over_ends_by_itself() {
    let folder = tempfile::tempdir().expect("a folder");
    let mut devnet = raas(folder.path())
        .args(["--json", "devnet", "--port", "0", "--allow-private"])
        .stdout(Stdio::piped())
        .spawn()
        .expect("it runs");
    let rpc = first_line(&mut devnet).await["rpc"].as_str().expect("an endpoint").to_owned();
    let mut first = up(folder.path(), &rpc);
    assert!(first_line(&mut first).await["admin"].is_string());
    let mut second = up(folder.path(), &rpc);
    let line = first_line(&mut second).await;
    assert!(line["admin"].is_string(), "{line}");
    wait_for(&mut first, "ended by itself").await;
    assert_eq!(first.wait().await.expect("its end").code(), Some(1));
    signal(&second, "-TERM");
    assert!(second.wait().await.expect("its end").success());
}

/// Answers every request with these bytes.
async fn serving(bytes: Vec<u8>) -> String {
    let listener = tokio::net::TcpListener::bind(("127.0.0.1", 0)).await.expect("a port");
    let url = format!("http://{}", listener.local_addr().expect("an address"));
    let router = axum::Router::new().fallback(move || async move { bytes });
    tokio::task::spawn(async move { axum::serve(listener, router).await });
    url
}

#[tokio::test]
async fn what_a_node_serves_is_not_believed() {
    let folder = tempfile::tempdir().expect("a folder");
    let options = raas_piece::pack::PackOptions::default();
    let car = |bytes: &[u8]| {
        let out = std::io::Cursor::new(Vec::new());
        let (packed, out) = raas_piece::pack::pack_reader(bytes, out, &options).expect("packed");
        (packed.root.to_string(), out.into_inner())
    };
    let contents: Vec<u8> = (0..3_000_000_u32).flat_map(u32::to_be_bytes).collect();
    let (cid, good) = car(&contents);
    let mut flipped = good.clone();
    *flipped.last_mut().expect("a byte") ^= 1;
    let mut cut = good.clone();
    cut.truncate(good.len() / 2);
    let cases = [
        ("good", good, Some(0)),
        ("flipped", flipped, Some(1)),
        ("cut", cut, Some(1)),
        ("other", car(b"something else").1, Some(1)),
        ("text", b"<html>hello</html>".to_vec(), Some(1)),
    ];
    for (name, bytes, code) in cases {
        let url = serving(bytes).await;
        let output = run(folder.path(), &["--data-url", &url, "get", &cid, "-o", name]).await;
        assert_eq!(output.status.code(), code, "{name}: {}", said(&output));
        assert_eq!(folder.path().join(name).exists(), name == "good", "{name}");
    }
    assert_eq!(std::fs::read(folder.path().join("good")).expect("a file"), contents);
    let left = std::fs::read_dir(folder.path()).expect("a folder").count();
    assert_eq!(left, 1, "nothing half-written stays");
}

/// Answers as Kubo does: of every import it says `pin` about the root. `car` is in what it is sent, and what it exports.
async fn kubo(root: &str, pin: &str, car: &[u8]) -> String {
    use axum::body::Body;
    let imported = serde_json::json!({ "Root": { "Cid": { "/": root }, "PinErrorMsg": pin } }).to_string();
    let (listed, exported) = (format!("{{\"Cid\":\"{root}\",\"Type\":\"recursive\"}}\n"), car.to_vec());
    let router = axum::Router::new().fallback(move |request: axum::extract::Request| async move {
        let path = request.uri().path().to_owned();
        let sent = axum::body::to_bytes(request.into_body(), 8 << 20).await.expect("a body");
        match path.as_str() {
            "/api/v0/version" => Body::from("{\"Version\":\"0.43.0\"}"),
            "/api/v0/pin/ls" => Body::from(listed),
            "/api/v0/dag/import" => {
                assert!(sent.windows(exported.len()).any(|part| part == exported), "the CAR is sent");
                Body::from(imported)
            }
            "/api/v0/dag/export" => Body::from(exported),
            other => panic!("{other}"),
        }
    });
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.expect("a port");
    let url = format!("http://{}", listener.local_addr().expect("an address"));
    tokio::spawn(async move { axum::serve(listener, router).await });
    url
}

#[tokio::test]
async fn a_kubo_node_is_given_a_car_and_asked_for_it() {
    let folder = tempfile::tempdir().expect("a folder");
    std::fs::write(folder.path().join("file"), "some bytes").expect("a file");
    let packed = run(folder.path(), &["--json", "piece", "car", "file", "-o", "file.car"]).await;
    assert!(packed.status.success(), "{}", said(&packed));
    let packed: Value = serde_json::from_str(&printed(&packed)).expect("JSON");
    let root = packed["root"].as_str().expect("a root");
    let car = std::fs::read(folder.path().join("file.car")).expect("a CAR");
    let at = async |url: &str, args: &[&str]| {
        raas(folder.path()).args(args).env("RAAS__KUBO__URL", url).output().await.expect("it runs")
    };

    let good = kubo(root, "", &car).await;
    let status = at(&good, &["kubo", "status"]).await;
    assert!(status.status.success() && printed(&status).contains("0.43.0"), "{}", said(&status));
    let done = at(&good, &["kubo", "import", "file.car"]).await;
    assert!(done.status.success() && printed(&done).contains(root), "{}", said(&done));
    let done = at(&good, &["kubo", "export", root, "-o", "back.car"]).await;
    assert!(done.status.success(), "{}", said(&done));
    assert_eq!(std::fs::read(folder.path().join("back.car")).expect("written"), car);

    let bad = kubo(root, "disk full", &car[..car.len() - 1]).await;
    let failed = at(&bad, &["kubo", "import", "file.car"]).await;
    assert_eq!(failed.status.code(), Some(1));
    assert!(said(&failed).contains("disk full") && failed.stdout.is_empty(), "{}", said(&failed));
    let failed = at(&bad, &["kubo", "export", root, "-o", "cut.car"]).await;
    assert_eq!(failed.status.code(), Some(1), "{}", said(&failed));
    let left = std::fs::read_dir(folder.path()).expect("a folder").count();
    assert_eq!(left, 3, "nothing is written: file, file.car, back.car");

    std::fs::write(folder.path().join("bad.car"), &car[..car.len() - 1]).expect("written");
    let failed = at(&good, &["kubo", "import", "bad.car"]).await;
    assert_eq!(failed.status.code(), Some(1), "{}", said(&failed));
    let (listener, port) = taken();
    drop(listener);
    let nobody = at(&format!("http://127.0.0.1:{port}"), &["kubo", "status"]).await;
    assert_eq!(nobody.status.code(), Some(3), "{}", said(&nobody));
}
