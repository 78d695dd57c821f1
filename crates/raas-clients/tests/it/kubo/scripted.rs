//! A server that says what a Kubo node says, or should not say, when something goes wrong.

use super::{TOKEN, chunks, client, first_blocks, limited, packed};
use crate::server::{nowhere, silent};
use raas_clients::kubo::{Kubo, KuboError, KuboLimits};
use raas_piece::car::{CarError, CopyError, Limits};
use std::error::Error;
use std::io::Cursor;
use std::time::Duration;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpStream};

/// The end of a body in chunks.
const END: &[u8] = b"0\r\n\r\n";

/// HTTP 200 with a body in chunks, then `tail`.
fn answer(body: &[u8], tail: &[u8]) -> Vec<u8> {
    let head = "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\nTrailer: X-Stream-Error\r\n\r\n";
    let mut bytes = head.as_bytes().to_vec();
    for chunk in body.chunks(50_000) {
        bytes.extend_from_slice(format!("{:x}\r\n", chunk.len()).as_bytes());
        bytes.extend_from_slice(chunk);
        bytes.extend_from_slice(b"\r\n");
    }
    bytes.extend_from_slice(tail);
    bytes
}

fn stream_error(words: &str) -> Vec<u8> {
    format!("0\r\nX-Stream-Error: {words}\r\n\r\n").into_bytes()
}

/// Reads one request to its end, also one with a body in chunks.
async fn request(stream: &mut TcpStream) -> Vec<u8> {
    let mut seen = Vec::new();
    loop {
        let head = seen.windows(4).position(|four| four == b"\r\n\r\n").map(|at| &seen[..at]);
        let chunked = head.is_some_and(|head| {
            String::from_utf8_lossy(head).to_lowercase().contains("transfer-encoding: chunked")
        });
        if head.is_some() && (!chunked || seen.ends_with(END)) {
            return seen;
        }
        let mut buffer = vec![0; 65_536];
        let count = stream.read(&mut buffer).await.expect("a request");
        assert!(count > 0, "a whole request");
        seen.extend_from_slice(&buffer[..count]);
    }
}

/// A client of a server that answers every request with these bytes and closes.
async fn says(bytes: Vec<u8>) -> Kubo {
    let listener = TcpListener::bind("127.0.0.1:0").await.expect("a free port");
    let url = format!("http://{}", listener.local_addr().expect("bound"));
    tokio::spawn(async move {
        while let Ok((mut stream, _)) = listener.accept().await {
            let seen = request(&mut stream).await;
            assert!(seen.starts_with(b"POST /api/v0/"), "Kubo takes POST only");
            assert!(String::from_utf8_lossy(&seen).contains(&format!("Bearer {TOKEN}")), "with the token");
            // A client that has enough closes first.
            let _ = stream.write_all(&bytes).await;
            let _ = stream.shutdown().await;
        }
    });
    client(&url, Some(TOKEN))
}

/// What was said, with all causes; the token is in none of it.
fn words(error: &KuboError) -> String {
    let mut text = format!("{error} {error:?}");
    let mut cause = error.source();
    while let Some(inner) = cause {
        text = format!("{text}: {inner}");
        cause = inner.source();
    }
    assert!(!text.contains(TOKEN), "{text}");
    text
}

#[tokio::test]
async fn an_import_without_a_pin_is_a_failure_whatever_the_status() {
    let (_, root, car) = packed(300_000);
    let line = |message: &str| {
        format!("{{\"Root\":{{\"Cid\":{{\"/\":\"{root}\"}},\"PinErrorMsg\":\"{message}\"}}}}\n")
    };
    let import = async |bytes| says(bytes).await.import(&root, chunks(&car)).await;
    import(answer(line("").as_bytes(), END)).await.expect("pinned");

    let full = line(&format!("no space left\\nfor {TOKEN}"));
    let error = import(answer(full.as_bytes(), END)).await.expect_err("not pinned");
    let told = words(&error);
    assert!(
        matches!(&error, KuboError::NotPinned { root: named, .. } if *named == root.to_string()),
        "{told}"
    );
    assert!(told.contains("no space left for [token]"), "{told}");

    let other = line("").replace(&root.to_string(), &packed(10).1.to_string());
    for silent in ["", "{\"Stats\":{\"BlockCount\":2,\"BlockBytesCount\":9}}\n", other.as_str()] {
        let error = import(answer(silent.as_bytes(), END)).await.expect_err("nothing is said of the root");
        assert!(matches!(error, KuboError::NotPinned { .. }), "{silent}: {error}");
    }
    let late = import(answer(line("").as_bytes(), &stream_error("flush failed"))).await;
    let error = late.expect_err("it failed after the root");
    assert!(matches!(&error, KuboError::Stream { message, .. } if message == "flush failed"), "{error}");
    let broken = import(answer(line("").as_bytes(), b"")).await.expect_err("it broke off after the root");
    assert!(matches!(broken, KuboError::Broken { .. }), "{broken}");
}

#[tokio::test]
async fn a_car_that_cannot_be_read_is_not_imported() {
    let (_, root, car) = packed(300_000);
    let kubo = says(answer(b"", END)).await;
    let failing = futures_util::stream::iter([
        Ok(bytes::Bytes::from(car)),
        Err(std::io::Error::other("the disk is gone")),
    ]);
    let error = kubo.import(&root, failing).await.expect_err("no CAR");
    assert!(matches!(error, KuboError::Source(_)) && words(&error).contains("the disk is gone"), "{error}");
}

#[tokio::test]
async fn an_export_is_complete_and_right_or_an_error() {
    let (_, root, car) = packed(2_500_000);
    let export = async |bytes, limits| {
        let done = says(bytes).await.export(&root, Cursor::new(Vec::new()), limits).await;
        done.map(|(copied, file)| {
            assert_eq!(copied.root, root);
            file.into_inner()
        })
    };
    let all = Limits::default();
    assert!(export(answer(&car, END), all).await.expect("it is complete") == car);

    let part = first_blocks(&car, 2);
    let said = export(answer(&part, &stream_error("block was not found locally")), all).await;
    let error = said.expect_err("it says that it failed");
    assert!(matches!(&error, KuboError::Stream { message, .. } if message.contains("not found")), "{error}");
    let unsaid = export(answer(&part, END), all).await.expect_err("it ends between two blocks");
    assert!(matches!(unsaid, KuboError::Export(CopyError::Missing { .. })), "{unsaid}");
    let cut = export(answer(&part, b"5\r\nab"), all).await.expect_err("it is cut off");
    assert!(matches!(cut, KuboError::Broken { .. }), "{cut}");

    let mut wrong = car.clone();
    *wrong.last_mut().expect("bytes") ^= 1;
    let error = export(answer(&wrong, END), all).await.expect_err("a block is wrong");
    let source = |error: &KuboError| match error {
        KuboError::Export(CopyError::Source(source)) => format!("{source:?}"),
        other => panic!("{other}"),
    };
    assert!(source(&error).starts_with("Block"), "{error}");
    let small = Limits { total_bytes: 1_000_000, ..all };
    let error = export(answer(&car, END), small).await.expect_err("more than is wanted");
    assert!(matches!(error, KuboError::Export(CopyError::Source(CarError::TooLong { .. }))), "{error}");
    let other = says(answer(&packed(10).2, END)).await;
    let error = other.export(&root, Cursor::new(Vec::new()), all).await.map(|_| ()).expect_err("another DAG");
    assert!(matches!(error, KuboError::Export(CopyError::OtherRoot { .. })), "{error}");
}

#[tokio::test]
async fn blocks_and_answers_are_checked_and_capped() {
    let (_, root, _) = packed(10);
    let error = says(answer(b"other bytes", END)).await.block(&root).await.expect_err("other bytes");
    assert!(matches!(error, KuboError::Block(_)), "{error}");
    let huge = vec![b' '; 3 << 20];
    let kubo = says(answer(&huge, END)).await;
    for error in [
        kubo.block(&root).await.expect_err("over 2 MiB"),
        kubo.version().await.expect_err("over 1 MiB"),
        kubo.pin_ls(|_| {}).await.expect_err("a line over 1 MiB"),
    ] {
        assert!(matches!(error, KuboError::TooLarge { .. }), "{error}");
    }
    let listed = format!("{{\"Cid\":\"{root}\",\"Type\":\"recursive\"}}\n").repeat(50_000);
    let mut count = 0;
    let kubo = says(answer(listed.as_bytes(), END)).await;
    kubo.pin_ls(|pin| count += usize::from(pin == root)).await.expect("a long list");
    assert_eq!(count, 50_000);
    let said = says(answer(listed.as_bytes(), &stream_error("closed"))).await.pin_ls(|_| {}).await;
    assert!(matches!(said, Err(KuboError::Stream { .. })), "a part of the pins is no list");
    for error in [
        says(answer(b"<html>", END)).await.version().await.expect_err("a page"),
        says(answer(b"{\"Cid\":\"x\"}\n", END)).await.pin_ls(|_| {}).await.expect_err("no CID"),
    ] {
        assert!(matches!(error, KuboError::Answer { .. }), "{error}");
    }
    let unnamed = says(answer(b"{\"Pins\":[]}", END)).await.pin_add(&root).await;
    assert!(matches!(unnamed, Err(KuboError::NotPinned { .. })), "{unnamed:?}");
}

#[tokio::test]
async fn silence_and_refusals_are_told_apart() {
    let (_, root, car) = packed(300_000);
    let limits = KuboLimits { answer: Duration::from_millis(300), no_progress: Duration::from_millis(300) };
    let quiet = limited(&silent().await, None, limits);
    for outcome in [quiet.version().await.map(|_| ()), quiet.import(&root, chunks(&car)).await] {
        assert!(matches!(outcome, Err(KuboError::TooSlow { .. })), "{outcome:?}");
    }
    let stuck = futures_util::StreamExt::chain(chunks(&car), futures_util::stream::pending());
    let outcome = quiet.import(&root, stuck).await;
    assert!(matches!(outcome, Err(KuboError::TooSlow { .. })), "{outcome:?}");
    let nobody = client(&nowhere().await, None).version().await;
    assert!(matches!(nobody, Err(KuboError::Unreachable { .. })), "{nobody:?}");

    let body = format!("{{\"Message\":\"not {TOKEN}\",\"Code\":0,\"Type\":\"error\"}}");
    let length = body.len();
    let refusal = format!("HTTP/1.1 500 Oh\r\nContent-Length: {length}\r\n\r\n{body}");
    let kubo = says(refusal.into_bytes()).await;
    let error = kubo.pin_rm(&root).await.expect_err("refused");
    assert!(words(&error).contains("not [token]"), "{error}");
    assert!(matches!(error, KuboError::Refused { status: 500, .. }));
    assert!(!format!("{kubo:?}").contains(TOKEN));
}
