//! Keys and money on the command line: files of others, a signer in a process of its own, and nothing of a secret in
//! any byte that is printed.

use serde_json::Value;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::process::{Output, Stdio};
use tokio::io::{AsyncBufReadExt, AsyncReadExt, BufReader};
use tokio::process::{Child, Command};

/// The secret of these tests, and what it is in other clothes.
const CANARY: &str = "ca9a12ca9a12ca9a12ca9a12ca9a12ca9a12ca9a12ca9a12ca9a12ca9a12ca9a";
const PASSPHRASE: &str = "canary-passphrase-7731";

fn raas(folder: &Path) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_raas"));
    command.current_dir(folder).kill_on_drop(true).stdin(Stdio::null());
    command
}

async fn run(folder: &Path, args: &[&str]) -> Output {
    raas(folder).args(args).output().await.expect("it runs")
}

fn text(output: &Output) -> String {
    format!("{}{}", String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr))
}

fn json(output: &Output) -> Value {
    assert!(output.status.success(), "{}", text(output));
    serde_json::from_slice(&output.stdout).unwrap_or_else(|_| panic!("no JSON: {}", text(output)))
}

/// Fails when anything of the secrets shows.
#[track_caller]
fn no_canary(bytes: &str) {
    let secret = hex::decode(CANARY).expect("hex");
    let lotus = format!("{{\"Type\":\"secp256k1\",\"PrivateKey\":\"{}\"}}", base64(&secret));
    for hidden in [CANARY, &CANARY.to_uppercase(), &base64(&secret), &hex::encode(lotus), PASSPHRASE] {
        assert!(!bytes.contains(hidden), "a secret shows in {bytes}");
    }
    let decimal: Vec<String> = secret.iter().take(8).map(ToString::to_string).collect();
    assert!(!bytes.contains(&decimal.join(", ")), "a secret shows as numbers in {bytes}");
}

fn base64(bytes: &[u8]) -> String {
    const DIGITS: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    bytes
        .chunks(3)
        .flat_map(|part| {
            let number =
                part.iter().fold(0_u32, |sum, byte| (sum << 8) | u32::from(*byte)) << (8 * (3 - part.len()));
            (0..4).map(move |at| match at <= part.len() {
                true => DIGITS[(number >> (18 - 6 * at) & 63) as usize] as char,
                false => '=',
            })
        })
        .collect()
}

fn private(path: &Path, text: &str) {
    std::fs::write(path, text).expect("a file");
    std::fs::set_permissions(path, std::fs::Permissions::from_mode(0o600)).expect("its mode");
}

/// A folder with the secret in a plain file and its passphrase in another.
fn folder() -> tempfile::TempDir {
    let folder = tempfile::tempdir().expect("a folder");
    private(&folder.path().join("plain.key"), CANARY);
    private(&folder.path().join("pass"), &format!("{PASSPHRASE}\n"));
    private(&folder.path().join("wrong"), "another one\n");
    folder
}

#[tokio::test]
async fn keys_go_in_and_out_of_files_and_are_never_shown() {
    let folder = folder();
    let at = folder.path();
    let made =
        run(at, &["wallet", "import", "plain.key", "--to", "k.json", "--passphrase-file", "pass", "--json"])
            .await;
    let made_json = json(&made);
    no_canary(&text(&made));
    let mode = std::fs::metadata(at.join("k.json")).expect("a file").permissions().mode();
    assert_eq!(mode & 0o777, 0o600);
    no_canary(&std::fs::read_to_string(at.join("k.json")).expect("a file"));
    let listed = json(&run(at, &["wallet", "list", "--json"]).await);
    assert_eq!(listed["keys"][0]["native"], made_json["native"], "{listed}");

    // Out in Lotus's form, into another file, and the same key it is.
    let out = run(at, &["wallet", "export", "k.json", "--to", "lotus", "--passphrase-file", "pass"]).await;
    assert_eq!(out.status.code(), Some(2), "nobody said yes: {}", text(&out));
    let out =
        run(at, &["wallet", "export", "k.json", "--to", "lotus", "--passphrase-file", "pass", "--yes"]).await;
    assert!(out.status.success(), "{}", text(&out));
    no_canary(&text(&out));
    let lotus = String::from_utf8(
        hex::decode(std::fs::read_to_string(at.join("lotus")).expect("a file")).expect("hex"),
    );
    let lotus: Value = serde_json::from_str(&lotus.expect("UTF-8")).expect("JSON");
    assert_eq!(
        (&lotus["Type"], lotus["PrivateKey"].as_str().map(str::len)),
        (&Value::from("secp256k1"), Some(44))
    );
    let back =
        run(at, &["wallet", "import", "lotus", "--to", "l.json", "--passphrase-file", "pass", "--json"])
            .await;
    assert_eq!(json(&back)["eth"], made_json["eth"]);
    let again = [
        "wallet",
        "import",
        "k.json",
        "--from-passphrase-file",
        "pass",
        "--to",
        "m.json",
        "--passphrase-file",
        "wrong",
        "--json",
    ];
    assert_eq!(
        json(&run(at, &again).await)["eth"],
        made_json["eth"],
        "an encrypted file with a new passphrase"
    );

    // What is refused, with code 2 and the fix, and without a secret.
    private(
        &at.join("bls"),
        &hex::encode(format!("{{\"Type\":\"bls\",\"PrivateKey\":\"{}\"}}", base64(&[7; 32]))),
    );
    private(&at.join("garbage"), &format!("{CANARY}{CANARY}"));
    let cases: &[(&[&str], &str)] = &[
        (
            &["wallet", "import", "plain.key", "--to", "k.json", "--passphrase-file", "pass"],
            "never written over",
        ),
        (
            &[
                "wallet",
                "import",
                "k.json",
                "--from-passphrase-file",
                "wrong",
                "--to",
                "n.json",
                "--passphrase-file",
                "pass",
            ],
            "passphrase is wrong",
        ),
        (&["wallet", "import", "bls", "--to", "n.json", "--passphrase-file", "pass"], "BLS"),
        (&["wallet", "import", "garbage", "--to", "n.json", "--passphrase-file", "pass"], "Lotus"),
        (&["wallet", "import", "plain.key", "--to", "n.json"], "--passphrase-file"),
        (&["wallet", "new", "--to", "n.json", "--passphrase-file", "missing"], "missing"),
        (&["wallet", "export", "garbage", "--to", "-", "--yes"], "64 hex digits"),
    ];
    for (args, fix) in cases {
        let refused = run(at, args).await;
        assert_eq!(refused.status.code(), Some(2), "{args:?}: {}", text(&refused));
        assert!(text(&refused).contains(fix), "{args:?}: {}", text(&refused));
        no_canary(&text(&refused));
        assert!(!at.join("n.json").exists());
    }
    let open = at.join("open.key");
    std::fs::write(&open, CANARY).expect("a file");
    let refused = run(at, &["wallet", "signer", "--key-file", "open.key", "--socket", "s"]).await;
    assert!(text(&refused).contains("chmod 600"), "{}", text(&refused));
    // A passphrase from the environment, as documented.
    let mut new = raas(at);
    new.args(["wallet", "new", "--to", "env.json", "--json"]).env("RAAS_WALLET_PASSPHRASE", PASSPHRASE);
    let new = new.output().await.expect("it runs");
    assert!(json(&new)["native"].as_str().is_some_and(|address| address.starts_with("f1")));
    no_canary(&text(&new));
}

/// A command that runs; what it says is read all the time, since a full pipe would stop it.
struct Running {
    child: Child,
    said: tokio::task::JoinHandle<String>,
}

/// The first line a command prints, as JSON, and the command.
async fn started(mut command: Command) -> (Value, Running) {
    let mut child = command.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().expect("it starts");
    let mut stderr = child.stderr.take().expect("stderr");
    let said = tokio::spawn(async move {
        let mut said = String::new();
        stderr.read_to_string(&mut said).await.expect("text");
        said
    });
    let mut lines = BufReader::new(child.stdout.take().expect("stdout")).lines();
    let Some(line) = lines.next_line().await.expect("readable") else {
        panic!("it ended: {}", said.await.expect("read"));
    };
    let told = serde_json::from_str(&line).unwrap_or_else(|_| panic!("no JSON: {line}"));
    (told, Running { child, said })
}

/// Everything it said until it ended in good order.
async fn stopped(mut running: Running) -> String {
    let id = running.child.id().expect("running").to_string();
    let killed = Command::new("kill").args(["-TERM", &id]).status().await.expect("kill runs");
    assert!(killed.success());
    running.child.wait().await.expect("it ends");
    running.said.await.expect("read")
}

#[tokio::test]
async fn a_node_signs_through_a_process_of_its_own_and_neither_shows_the_secret() {
    let folder = folder();
    let at = folder.path();
    let made =
        run(at, &["wallet", "import", "plain.key", "--to", "k.json", "--passphrase-file", "pass", "--json"])
            .await;
    let addresses = json(&made);
    std::fs::remove_file(at.join("plain.key")).expect("the plain one is gone");
    let mut command = raas(at);
    command.args([
        "wallet",
        "signer",
        "--key-file",
        "k.json",
        "--passphrase-file",
        "pass",
        "--socket",
        "s.sock",
        "--json",
    ]);
    let (told, signer) = started(command).await;
    assert_eq!(told["native"], addresses["native"]);
    let mode = std::fs::metadata(at.join("s.sock")).expect("a socket").permissions().mode();
    assert_eq!(mode & 0o777, 0o600);
    std::fs::write(at.join("raas.toml"), "network = 'devnet'\n[wallet]\nsigner_socket = 's.sock'")
        .expect("a file");
    let mut command = raas(at);
    command.args([
        "-vv",
        "up",
        "--config",
        "raas.toml",
        "--json",
        "--admin",
        "127.0.0.1:0",
        "--data",
        "127.0.0.1:0",
    ]);
    command.args(["--devnet-port", "0", "--epoch-ms", "20"]);
    let (up, node) = started(command).await;
    let admin = up["admin"].as_str().expect("an address").to_owned();

    let call = async |args: &[&str]| {
        let all = [&["--node", admin.as_str(), "wallet"], args].concat();
        let output = run(at, &all).await;
        no_canary(&text(&output));
        output
    };
    let balance = json(&call(&["balance", "--json"]).await);
    assert_eq!(balance["accounts"][0]["address"], addresses["native"], "{balance}");
    let shown = text(&call(&["balance"]).await);
    assert!(
        shown.contains("attoFIL") && shown.contains("devnet") && shown.contains("deals paid for"),
        "{shown}"
    );
    let dry = text(&call(&["market-add", "2 FIL", "--dry-run"]).await);
    assert!(dry.contains("together at most") && dry.contains("nothing was sent"), "{dry}");
    let unsaid = call(&["market-add", "2 FIL"]).await;
    assert_eq!(unsaid.status.code(), Some(2), "{}", text(&unsaid));
    let paid = json(&call(&["market-add", "2 FIL", "--yes", "--json", "--key", "a"]).await);
    let id = paid["transaction"].to_string();
    // The devnet's epochs pass by themselves; finality is 30 of them.
    let mut state = Value::Null;
    for _ in 0..600 {
        let listed = json(&call(&["txs", &id, "--json"]).await);
        state = listed["transactions"][0]["state"].clone();
        if state == "final" {
            break;
        }
    }
    assert_eq!(state, "final", "signed by the other process, mined and final");
    let datacap = text(&call(&["datacap"]).await);
    assert!(datacap.contains("0 bytes") && datacap.contains("devnet"), "{datacap}");
    let piece = "baga6ea4seaqao7s73y24kcutaosvacpdjgfe5pw76ooefnyqw4ynr3d2y6x2mpq";
    let allocate = ["allocate", "--provider", "f01000", "--piece", piece, "--size", "1048576", "--yes"];
    let allocate = |expiration: &'static str| [&allocate[..], &["--expiration", expiration]].concat();
    let poor = text(&call(&allocate("5100000")).await);
    assert!(poor.contains("0 bytes of DataCap"), "{poor}");
    let late = text(&call(&allocate("9000000")).await);
    assert!(late.contains("allocation.expiration"), "{late}");
    let eth = addresses["eth"].as_str().expect("an address");
    let sent = call(&["send", eth, "1 FIL", "--yes"]).await;
    assert!(sent.status.success() && text(&sent).contains("is planned"), "{}", text(&sent));
    for (args, fix) in [
        (&["send", eth, "1", "--yes"][..], "unit"),
        (&["send", "f1x", "1 FIL", "--yes"], "to:"),
        (&["market-withdraw", "900 FIL", "--yes"], "free"),
        (&["market-add", "1 FIL", "--token-file", "missing", "--yes"], "wallet.token"),
        (&["release", "everything", "--yes"], "native"),
    ] {
        let refused = call(args).await;
        assert!(!refused.status.success() && text(&refused).contains(fix), "{args:?}: {}", text(&refused));
    }
    for page in ["/v1/wallet", "/v1/node", "/v1/wallet/transactions", "/readyz"] {
        let _ = rustls::crypto::ring::default_provider().install_default();
        let body = reqwest::Client::builder().no_proxy().build().expect("a client");
        let body = body.get(format!("{admin}{page}")).send().await.expect("an answer");
        no_canary(&body.text().await.expect("a body"));
    }
    no_canary(&stopped(node).await);
    let said = stopped(signer).await;
    no_canary(&said);
    assert!(said.contains("Message"), "it tells what it signed: {said}");
    assert!(!at.join("s.sock").exists(), "it cleans up");
    let gone = run(at, &["--node", &admin, "wallet", "balance"]).await;
    assert_eq!(gone.status.code(), Some(3), "{}", text(&gone));
    // Without the signer the node does not start, and says whom it misses.
    let alone = run(
        at,
        &[
            "up",
            "--config",
            "raas.toml",
            "--admin",
            "127.0.0.1:0",
            "--data",
            "127.0.0.1:0",
            "--devnet-port",
            "0",
        ],
    )
    .await;
    assert_eq!(alone.status.code(), Some(2), "{}", text(&alone));
    assert!(text(&alone).contains("wallet.signer_socket"), "{}", text(&alone));
}
