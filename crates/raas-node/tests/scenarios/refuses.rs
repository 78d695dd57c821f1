//! What is wrong is refused in words that name it, and nothing of it stays.

use crate::harness::{Scene, Setting, causes, sha256_counter, small, start_with};
use raas_node::config::{Overrides, load};
use serde_json::{Value, json};
use std::path::Path;
use std::process::Command;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};

const CID: &str = "bafybeigdyrzt5sfp7udm7hu76uh7y26nf3efuylqabf3oclgtqy55fbzdi";

async fn nothing_registered(scene: &Scene) {
    let jobs = scene.get("/v1/jobs").await.expect(200);
    assert_eq!(jobs["jobs"], json!([]));
    scene.quiesce().await;
    scene.pass(100).await;
    assert_eq!(scene.ledger().await.proposals().len(), 0);
    assert_eq!(scene.request_count().await, 0);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn every_wrong_field_of_a_registration_is_named_and_registers_nothing() {
    let scene = Setting::new().start().await;
    let wrong: &[(&str, Value)] = &[
        ("cid", json!("not a cid")),
        ("cid", json!("")),
        ("cid", json!(7)),
        ("cid", json!("bafybeigdyrzt5sfp7udm7hu76uh7y26nf3efuylqabf3oclgtqy55fbzd")),
        ("replicationTarget", json!(0)),
        ("replicationTarget", json!(-1)),
        ("replicationTarget", json!("-1")),
        ("replicationTarget", json!(18_446_744_073_709_551_616_f64)),
        ("replicationTarget", json!("18446744073709551616")),
        ("replicationTarget", json!(1.5)),
        ("replicationTarget", json!("three")),
        ("replicas", json!(65)),
        ("epochs", json!(-1)),
        ("epochs", json!("-5")),
        ("epochs", json!("9223372036854775808")),
        ("renewBefore", json!(-1)),
        ("renewBefore", json!(518_400)),
        ("repairAfter", json!(-1)),
        ("duration", json!(1_000)),
        ("duration", json!(100_000_000)),
        ("endDate", json!("2001-01-01")),
        ("endDate", json!("1999-12-31T23:59:59Z")),
        ("endDate", json!("soon")),
        ("endDate", json!(-1)),
        ("jobType", json!("magic")),
        ("aggregator", json!("nobody")),
        ("keepLocal", json!("sometimes")),
        ("onChain", json!("perhaps")),
        ("replicationTargte", json!(3)),
        ("price", json!(1)),
        ("cid", json!(["a"])),
    ];
    for path in ["/register_job", "/register_jobs", "/api/register_job", "/api/register_jobs", "/v1/jobs"] {
        for (field, value) in wrong {
            let mut job = json!({ "cid": CID });
            job[*field] = value.clone();
            for body in [job.clone(), json!({ "job": job })] {
                let answer = scene.post(path, &body).await;
                assert_eq!(answer.status, 400, "{path} {body}: {}", answer.body);
                assert_eq!(answer.body["field"], *field, "{path} {body}: {}", answer.body);
                let error = answer.refusal();
                assert!(error.contains(field) && error.len() > field.len() + 10, "{error}");
            }
        }
        for body in [json!({}), json!({ "job": {} }), json!({ "cid": null })] {
            let answer = scene.post(path, &body).await;
            assert_eq!((answer.status, &answer.body["field"]), (400, &json!("cid")), "{}", answer.body);
        }
        for text in ["", "[]", "{", "\"cid\"", "{\"cid\":\"a\",\"cid\":"] {
            let answer = scene.post_bytes(path, text.as_bytes().to_vec()).await;
            assert_eq!(answer.status, 400, "{path} {text}: {}", answer.body);
        }
    }
    nothing_registered(&scene).await;
    scene.end().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn every_wrong_query_path_method_and_type_is_refused_in_the_api_s_own_form() {
    let scene = Setting::new().start().await;
    let (admin, data) = (scene.admin(), scene.data());
    let cases: &[(&str, &str, u16, Option<&str>)] = &[
        // method, path at the admin listener or, with a +, at the data listener; status; field
        ("GET", "/v1/jobs?limit=x", 400, Some("limit")),
        ("GET", "/v1/jobs?limit=0", 400, Some("limit")),
        ("GET", "/v1/jobs?limit=1001", 400, Some("limit")),
        ("GET", "/v1/jobs?limit=1&limit=2", 400, Some("limit")),
        ("GET", "/v1/jobs?after=-1", 400, Some("after")),
        ("GET", "/v1/jobs?after=18446744073709551615", 400, Some("after")),
        ("GET", "/v1/jobs?cid=x", 400, Some("cid")),
        ("GET", "/v1/jobs?cidd=x", 400, Some("cidd")),
        ("GET", "/v1/jobs/abc", 400, Some("id")),
        ("GET", "/v1/jobs/-1", 400, Some("id")),
        ("GET", "/v1/jobs/18446744073709551615", 400, Some("id")),
        ("GET", "/v1/jobs/%FF", 400, None),
        ("GET", "/v1/jobs/7", 404, None),
        ("POST", "/v1/jobs/abc/stop", 400, Some("id")),
        ("POST", "/v1/jobs/7/stop", 404, None),
        ("DELETE", "/v1/jobs", 405, None),
        ("GET", "/v1/jobs/7/stop", 405, None),
        ("GET", "/v1/holdings/x/plan", 400, Some("cid")),
        ("GET", "/v1/holdings/x/why", 400, Some("cid")),
        ("GET", "/v1/holdings/%FF/why", 400, None),
        ("GET", "/v1/nowhere", 404, None),
        ("PUT", "/v1/node", 405, None),
        ("GET", "/v1/node/quiesce", 405, None),
        ("POST", "/v1/breaker/release?provider=x", 400, Some("provider")),
        ("POST", "/v1/breaker/release?operator=1", 400, Some("operator")),
        ("GET", "/api/deal_status", 400, Some("cid")),
        ("GET", "/api/deal_status?cid=x", 400, Some("cid")),
        ("GET", "/api/deal_status?cid=x&cid=y", 400, Some("cid")),
        ("POST", "/api/deal_status", 405, None),
        ("GET", "/api/uploadFile", 405, None),
        ("POST", "/api/uploadFile?cid=x&cid=y", 400, Some("cid")),
        ("GET", "/register_job", 405, None),
        ("PATCH", "/livez", 405, None),
        ("GET", "+/ipfs/x", 400, Some("cid")),
        ("GET", "+/ipfs/%FF", 400, None),
        ("GET", "+/piece/x", 400, Some("cid")),
        ("POST", "+/ipfs/x", 405, None),
        ("GET", "+/nowhere", 404, None),
    ];
    for (method, path, status, field) in cases {
        let url = match path.strip_prefix('+') {
            Some(path) => format!("{data}{path}"),
            None => format!("{admin}{path}"),
        };
        let method = reqwest::Method::from_bytes(method.as_bytes()).expect("a method");
        let answer = scene.call(method.clone(), &url, None, Vec::new()).await;
        assert_eq!(answer.status, *status, "{method} {path}: {}", answer.body);
        assert!(answer.refusal().len() > 15, "{method} {path}: {}", answer.body);
        assert_eq!(answer.body["field"].as_str(), *field, "{method} {path}: {}", answer.body);
    }
    let bodies: &[(&str, &str, &[u8], Option<&str>)] = &[
        ("/v1/jobs", "text/plain", b"cid=x", None),
        ("/v1/jobs", "application/x-www-form-urlencoded", b"cid=x&cid=y", Some("cid")),
        ("/v1/jobs", "application/json", b"\xff\xfe", None),
        ("/v1/jobs", "multipart/form-data", b"no boundary", None),
        ("/v1/jobs", "multipart/form-data; boundary=x", b"--y\r\n", None),
        ("/api/uploadFile", "multipart/form-data", b"no boundary", None),
        ("/api/uploadFile", "multipart/form-data; boundary=x", b"--x--\r\n", Some("file")),
    ];
    for (path, kind, body, field) in bodies {
        let url = format!("{admin}{path}");
        let answer = scene.call(reqwest::Method::POST, &url, Some(kind), body.to_vec()).await;
        assert_eq!(answer.status, 400, "{path} {kind}: {}", answer.body);
        assert!(answer.refusal().len() > 15, "{path} {kind}: {}", answer.body);
        assert_eq!(answer.body["field"].as_str(), *field, "{path} {kind}: {}", answer.body);
    }
    nothing_registered(&scene).await;
    scene.end().await;
}

/// A name and its bytes.
type Part<'a> = (&'a str, &'a [u8]);

/// A multipart body of these parts and boundary `x`.
fn multipart(parts: &[Part<'_>]) -> Vec<u8> {
    let mut body = Vec::new();
    for (name, bytes) in parts {
        let head = format!("--x\r\nContent-Disposition: form-data; name=\"{name}\"\r\n\r\n");
        body.extend_from_slice(head.as_bytes());
        body.extend_from_slice(bytes);
        body.extend_from_slice(b"\r\n");
    }
    body.extend_from_slice(b"--x--\r\n");
    body
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn long_unknown_and_repeated_form_fields_are_refused_before_they_are_kept() {
    let scene = Setting::new().start().await;
    let long = vec![b'a'; 100_000];
    let bytes = small(82);
    let file = ("file", bytes.as_slice());
    let cases: &[(&[Part<'_>], &str)] = &[
        (&[("cid", &long), file], "cid"),
        (&[("nobody-knows", &long), file], "nobody-knows"),
        (&[("deal", b"false"), ("deal", b"false"), file], "deal"),
        (&[("cid", b"\xff"), file], "cid"),
        (&[("deal", b"false"), file, ("cid", b"late")], "cid"),
        (&[file, file], "file"),
    ];
    for (parts, field) in cases {
        let url = format!("{}/api/uploadFile", scene.admin());
        let kind = Some("multipart/form-data; boundary=x");
        let answer = scene.call(reqwest::Method::POST, &url, kind, multipart(parts)).await;
        assert_eq!(answer.status, 400, "{}", answer.body);
        assert_eq!(answer.body["field"], *field, "{}", answer.body);
    }
    assert_eq!(files(&scene.pieces()), 0, "nothing is left on the disk");
    nothing_registered(&scene).await;
    scene.end().await;
}

/// Sends head and body by hand and closes; the answer, if there is one.
async fn raw(scene: &Scene, declared: usize, body: &[u8]) -> String {
    let address = scene.admin().replace("http://", "");
    let mut socket = TcpStream::connect(&address).await.expect("the admin listener");
    let head = format!(
        "POST /api/uploadFile HTTP/1.1\r\nHost: {address}\r\nContent-Type: application/octet-stream\r\n\
         Content-Length: {declared}\r\nConnection: close\r\n\r\n"
    );
    socket.write_all(head.as_bytes()).await.expect("sent");
    socket.write_all(body).await.expect("sent");
    socket.shutdown().await.expect("no more");
    let mut answer = String::new();
    // A server may close without an answer; what matters is what it keeps.
    let _ = socket.read_to_string(&mut answer).await;
    answer
}

/// Everything in the folder of pieces, staging included.
fn files(folder: &Path) -> usize {
    let entries = std::fs::read_dir(folder).expect("a folder");
    entries
        .map(|entry| entry.expect("an entry").path())
        .map(|path| if path.is_dir() { files(&path) } else { 1 })
        .sum()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_upload_that_is_cut_off_or_not_what_it_says_leaves_nothing() {
    let scene = Setting::new().start().await;
    let bytes = small(80);
    let answer = raw(&scene, bytes.len() + 1, &bytes).await;
    assert!(answer.is_empty() || answer.starts_with("HTTP/1.1 400"), "{answer}");
    let empty = scene.post_bytes("/api/uploadFile", Vec::new()).await;
    assert_eq!((empty.status, &empty.body["field"]), (400, &json!("file")), "{}", empty.body);
    let other = scene.post_bytes(&format!("/api/uploadFile?cid={CID}"), bytes.clone()).await;
    assert_eq!((other.status, &other.body["field"]), (400, &json!("cid")), "{}", other.body);
    let no_car = scene.post_bytes("/api/uploadFile?format=car", bytes.clone()).await;
    assert_eq!((no_car.status, &no_car.body["field"]), (400, &json!("file")), "{}", no_car.body);
    for (query, field) in
        [("cid=x", "cid"), ("deal=maybe", "deal"), ("format=zip", "format"), ("deals=1", "deals")]
    {
        let answer = scene.post_bytes(&format!("/api/uploadFile?{query}"), bytes.clone()).await;
        assert_eq!((answer.status, &answer.body["field"]), (400, &json!(field)), "{}", answer.body);
    }
    // Far more than any socket holds: it is heard out, so that the client reads why.
    let long = scene.post_bytes("/api/uploadFile?format=zip", vec![0; 48 << 20]).await;
    assert_eq!((long.status, &long.body["field"]), (400, &json!("format")), "{}", long.body);
    assert_eq!(files(&scene.pieces()), 0, "nothing is left on the disk");
    nothing_registered(&scene).await;
    scene.end().await;
}

/// A small file system of its own; unmounted when dropped.
struct Mounted(std::path::PathBuf);

impl Mounted {
    /// `None` where this process may not mount.
    fn new(at: &Path, size: &str) -> Option<Self> {
        std::fs::create_dir_all(at).expect("a folder");
        let size = format!("size={size}");
        let done = Command::new("mount").args(["-t", "tmpfs", "-o", &size, "tmpfs"]).arg(at).output().ok()?;
        done.status.success().then(|| Self(at.to_owned()))
    }
}

impl Drop for Mounted {
    fn drop(&mut self) {
        let _ = Command::new("umount").arg(&self.0).output();
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_full_disk_is_said_and_the_node_goes_on_when_there_is_room() {
    let mut scene = Setting::new().devnet_only().await;
    let Some(_mounted) = Mounted::new(&scene.pieces(), "8m") else {
        println!("SKIPPED: a full disk needs a small file system, and this user may not mount one");
        scene.end().await;
        return;
    };
    // The whole of so small a disk would stay free otherwise.
    scene.config.store.reserve_mib = 0;
    scene.start_node().await;
    let answer =
        scene.post_bytes("/api/uploadFile", sha256_counter("more than there is room for", 12 << 20)).await;
    assert_eq!(answer.status, 503, "{}", answer.body);
    assert!(answer.refusal().contains("disk"), "{}", answer.body);
    assert_eq!(files(&scene.pieces()), 0, "nothing is left on the disk");
    nothing_registered(&scene).await;
    scene.kept(81).await;
    scene.stop_node().await;
    scene.end().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_upload_that_comes_to_the_reserve_on_its_way_is_refused_and_leaves_nothing() {
    let mut scene = Setting::new().devnet_only().await;
    let Some(_mounted) = Mounted::new(&scene.pieces(), "96m") else {
        println!("SKIPPED: a reserve needs a small file system, and this user may not mount one");
        scene.end().await;
        return;
    };
    scene.config.store.reserve_mib = 48;
    scene.start_node().await;
    let answer = scene.post_bytes("/api/uploadFile", sha256_counter("into the reserve", 80 << 20)).await;
    assert_eq!(answer.status, 507, "{}", answer.body);
    assert!(answer.refusal().contains("store.reserve_mib"), "{}", answer.body);
    assert_eq!(files(&scene.pieces()), 0, "nothing is left on the disk");
    nothing_registered(&scene).await;
    scene.kept(82).await;
    scene.stop_node().await;
    scene.end().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_taken_port_is_named_and_nothing_stays_bound() {
    let scene = Setting::new().devnet_only().await;
    let taken = TcpListener::bind("127.0.0.1:0").await.expect("a port");
    let address = taken.local_addr().expect("bound");
    for key in ["listen.admin", "listen.data"] {
        let mut config = scene.config.clone();
        match key {
            "listen.admin" => config.listen.admin = address,
            _ => config.listen.data = address,
        }
        let Err(error) = start_with(&config).await else { panic!("{key} was bound twice") };
        let error = causes(&error);
        assert!(error.contains(key) && error.contains(&address.port().to_string()), "{error}");
        assert!(!config.data_dir.join("raas.sqlite").exists(), "nothing was made before everything is bound");
    }
    scene.end().await;
}

#[test]
fn an_unknown_or_wrong_configuration_key_is_named() {
    let folder = tempfile::tempdir().expect("a folder");
    let file = folder.path().join("raas.toml");
    for (text, named) in [
        ("netwrok = \"devnet\"", "netwrok"),
        ("[policy]\nreplicas_traget = 3", "replicas_traget"),
        ("[policy]\nreplicas_target = 0", "replicas"),
        ("[policy]\nrenew_before_epochs = -1", "renew_before_epochs"),
        ("[policy]\nkeep_local = \"sometimes\"", "keep_local"),
        ("network = \"moon\"", "network"),
        ("[contract]\naddress = \"0x12\"", "contract.address"),
        ("[deals]\nproviders = [\"nobody\"]", "deals.providers"),
        ("[budget]\ntotal_attofil = \"1.5\"", "budget.total_attofil"),
        ("[chain]\nagree = 3", "chain.agree"),
    ] {
        std::fs::write(&file, text).expect("a file");
        let error = load(Some(&file), &Overrides::default()).map(|_| ()).expect_err(text);
        let error = causes(&error);
        assert!(error.contains(named), "{text}: {error}");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_cannot_go_as_a_registration_says_is_told_at_once() {
    let scene = Setting::new().start().await;
    scene.quiesce().await;
    let warned = async |field: &str, value: Value| {
        let mut job = json!({ "cid": CID });
        job[field] = value;
        let answer = scene.post("/v1/jobs", &job).await.expect(201);
        let warnings = answer["warnings"].as_array().expect("warnings").clone();
        warnings.iter().map(|text| text.as_str().expect("text").to_owned()).collect::<Vec<_>>()
    };
    assert_eq!(warned("replicas", json!(3)).await, Vec::<String>::new());
    for (field, value, word) in
        [("replicas", json!(60), "operators"), ("repairAfter", json!(500_000), "repairAfter")]
    {
        let warnings = warned(field, value).await;
        assert!(warnings.iter().any(|text| text.contains(word)), "{field}: {warnings:?}");
    }
    scene.end().await;
}
