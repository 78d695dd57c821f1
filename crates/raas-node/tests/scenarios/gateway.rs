//! The data listener as a stranger finds it: what can be checked, what is refused, and how much one client gets.

use crate::harness::{Answer, Scene, Setting, sha256_counter, small};
use futures_util::future::join_all;
use raas_piece::block::{DAG_PB, MemoryBlocks, RAW, cid_v1};
use raas_piece::car::{CarExport, Limits, Reader, Scope};
use raas_piece::cid::PieceCid;
use raas_piece::commp::of_reader;
use raas_piece::unixfs::{FileBuilder, Profile};
use reqwest::{Method, Response};
use serde_json::json;
use std::fs::OpenOptions;
use std::os::unix::fs::FileExt as _;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

fn header(response: &Response, name: &str) -> String {
    response.headers().get(name).map(|value| value.to_str().expect("text").to_owned()).unwrap_or_default()
}

async fn bytes(response: Response) -> Vec<u8> {
    response.bytes().await.expect("a whole body").to_vec()
}

/// CIDs of the sections of a CAR, in their order.
fn sections(car: &[u8]) -> Vec<cid::Cid> {
    let mut reader = Reader::new(car, Limits::default()).expect("a CAR");
    let mut found = Vec::new();
    while let Some(block) = reader.next_block().expect("a good block") {
        found.push(block.cid);
    }
    found
}

/// Bytes that repeat nowhere.
fn noise(bytes: usize) -> Vec<u8> {
    sha256_counter("gateway", bytes)
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_client_that_checks_gets_blocks_cars_and_ranges_of_entities() {
    let scene = Setting::new().start().await;
    let content = noise(3_500_000);
    let (cid, _) = scene.upload_only(content.clone()).await;
    let get = async |what: &str| scene.ask(Method::GET, &format!("/ipfs/{what}"), &[]).await;

    // The probe that finds out whether this is a gateway.
    let probe = get("bafkqaaa?format=raw").await;
    assert_eq!(
        (probe.status().as_u16(), header(&probe, "content-type")),
        (200, "application/vnd.ipld.raw".into())
    );
    assert!(bytes(probe).await.is_empty());
    assert_eq!(scene.ask(Method::HEAD, "/ipfs/bafkqaaa?format=raw", &[]).await.status().as_u16(), 200);
    let car = bytes(get("bafkqaaa?format=car").await).await;
    let reader = Reader::new(&car[..], Limits::default()).expect("a CAR");
    assert_eq!(reader.header().roots.iter().map(ToString::to_string).collect::<Vec<_>>(), ["bafkqaaa"]);
    assert!(sections(&car).is_empty());

    // Every block by its own CID, which nobody uploaded by name.
    let whole = bytes(get(&format!("{cid}?format=car")).await).await;
    let blocks = sections(&whole);
    assert_eq!(blocks.len(), 5, "a root and four leaves");
    for block in &blocks {
        let answer = get(&format!("{block}?format=raw")).await;
        assert_eq!((answer.status().as_u16(), header(&answer, "content-length").is_empty()), (200, false));
        assert_eq!(cid_v1(block.codec(), &bytes(answer).await), *block);
    }
    let leaf = bytes(get(&format!("{}?format=car", blocks[1])).await).await;
    assert_eq!(sections(&leaf), [blocks[1]]);

    // A range of the file: the root, and the one leaf that has it.
    let part = get(&format!("{cid}?format=car&dag-scope=entity&entity-bytes=1048576:1048577")).await;
    assert_eq!(header(&part, "accept-ranges"), "none");
    let tag = header(&part, "etag");
    assert!(tag.contains("1048576:1048577"), "{tag}");
    assert_eq!(sections(&bytes(part).await), [blocks[0], blocks[2]]);
    let last = get(&format!("{cid}?format=car&entity-bytes=-1:*")).await;
    assert_ne!(header(&last, "etag"), tag);
    assert_eq!(sections(&bytes(last).await), [blocks[0], blocks[4]]);
    let beyond = get(&format!("{cid}?format=car&entity-bytes=9999999:*")).await;
    assert_eq!(sections(&bytes(beyond).await), [blocks[0]]);

    // By header alone: the answer says how to ask for it by its address, for caches.
    let accept = [("accept", "application/vnd.ipld.car;version=1;order=dfs;dups=y")];
    let with_duplicates = scene.ask(Method::GET, &format!("/ipfs/{cid}"), &accept).await;
    assert_eq!(
        header(&with_duplicates, "content-type"),
        "application/vnd.ipld.car; version=1; order=dfs; dups=y"
    );
    assert_eq!(header(&with_duplicates, "x-content-type-options"), "nosniff");
    assert_eq!(header(&with_duplicates, "x-ipfs-roots"), cid);
    assert!(header(&with_duplicates, "cache-control").contains("immutable"));
    assert!(header(&with_duplicates, "content-disposition").starts_with("attachment"));
    let address = header(&with_duplicates, "content-location");
    let again = scene.ask(Method::GET, &address, &[]).await;
    assert_eq!(header(&again, "etag"), header(&with_duplicates, "etag"));
    assert_eq!(bytes(again).await, bytes(with_duplicates).await);
    scene.end().await;
}

/// Kubo and others ask who has a CID before they fetch it.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn who_asks_who_has_a_cid_is_told_of_this_gateway_or_nobody() {
    let scene = Setting::new().start().await;
    let (cid, _) = scene.upload_only(noise(3_500_000)).await;
    let whole = bytes(scene.ask(Method::GET, &format!("/ipfs/{cid}?format=car"), &[]).await).await;
    let leaf = sections(&whole)[2];
    let ask = async |cid: &str, query: &str, accept: &str| {
        let path = format!("/routing/v1/providers/{cid}{query}");
        let answer = scene.ask(Method::GET, &path, &[("accept", accept)]).await;
        (answer.status().as_u16(), header(&answer, "content-type"), answer.text().await.expect("text"))
    };
    let (status, kind, body) = ask(&cid, "", "application/json").await;
    assert_eq!((status, kind.as_str()), (200, "application/json"));
    let told: serde_json::Value = serde_json::from_str(&body).expect("JSON");
    let [record] = told["Providers"].as_array().expect("a list").as_slice() else { panic!("one: {body}") };
    let port = scene.data().rsplit(':').next().expect("a port").to_owned();
    assert_eq!(record["Schema"], "peer");
    assert_eq!(record["Addrs"], json!([format!("/ip4/127.0.0.1/tcp/{port}/http")]));
    assert_eq!(record["Protocols"], json!(["transport-ipfs-gateway-http"]));

    // In lines, as Kubo reads it; of a block inside; and only to those who speak HTTP.
    let lines = "application/x-ndjson, application/json";
    let (status, kind, body) = ask(&leaf.to_string(), "", lines).await;
    assert_eq!((status, kind.as_str()), (200, "application/x-ndjson"));
    let line: serde_json::Value =
        serde_json::from_str(body.strip_suffix('\n').expect("a line")).expect("JSON");
    assert_eq!(line, *record);
    let filtered = "?filter-protocols=unknown,transport-bitswap";
    assert_eq!(ask(&cid, filtered, lines).await, (200, "application/x-ndjson".into(), String::new()));
    let none = (200, "application/json".into(), r#"{"Providers":[]}"#.to_owned());
    assert_eq!(ask(&cid, filtered, "*/*").await, none);
    // What is not here, what is of no data, and what could not be here at all: a hash that is not taken.
    for absent in [
        "bafkreigh2akiscaildcqabsyg3dfr6chu3fgpregiymsck7e7aqa4s52zy",
        "bafk2bzaceadqobyha4dqobyha4dqobyha4dqobyha4dqobyha4dqobyha4dqo",
    ] {
        assert_eq!(ask(absent, "", "*/*").await, none, "{absent}");
    }
    let (status, _, body) = ask("no-cid", "", "*/*").await;
    assert!(status == 400 && body.contains("\"field\":\"cid\""), "{body}");
    scene.end().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn equal_blocks_come_as_often_as_they_are_linked_when_duplicates_are_asked_for() {
    let scene = Setting::new().start().await;
    let (cid, _) = scene.upload_only(vec![7; 4 << 20]).await;
    let count = async |query: &str| {
        let answer = scene.ask(Method::GET, &format!("/ipfs/{cid}?format=car{query}"), &[]).await;
        sections(&bytes(answer).await).len()
    };
    assert_eq!((count("").await, count("&car-dups=n").await, count("&car-dups=y").await), (2, 2, 5));
    scene.end().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn refusals_are_those_of_the_specification() {
    let scene = Setting::new().config(|config| config.gateway.plain_files = Some(false)).start().await;
    let (cid, _) = scene.upload_only(small(70)).await;
    let status = async |method: Method, what: &str, headers: &[(&str, &str)]| {
        let answer = scene.ask(method, &format!("/ipfs/{what}"), headers).await;
        (answer.status().as_u16(), header(&answer, "allow"))
    };
    let cached = [("cache-control", "only-if-cached")];
    let unknown = "bafkreigh2akiscaildcqabsyg3dfr6chu3fgpregiymsck7e7aqa4s52zy?format=raw";
    let known = format!("{cid}?format=raw");
    let plain = |answer: (u16, String)| answer.0;
    for method in [Method::GET, Method::HEAD] {
        assert_eq!(plain(status(method.clone(), unknown, &[]).await), 404);
        assert_eq!(plain(status(method.clone(), unknown, &cached).await), 412);
        assert_eq!(plain(status(method.clone(), &known, &cached).await), 200);
        assert_eq!(plain(status(method.clone(), "bafkqaaa?format=car", &cached).await), 200);
        // Nothing that could be checked was asked for.
        assert_eq!(plain(status(method.clone(), &cid, &[("accept", "*/*")]).await), 400);
        assert_eq!(plain(status(method, "no-cid?format=raw", &[]).await), 400);
    }
    for method in [Method::POST, Method::PUT, Method::DELETE, Method::PATCH] {
        assert_eq!(status(method, &known, &[]).await, (405, "GET,HEAD".to_owned()));
    }
    for query in
        ["format=tar", "format=car&dag-scope=x", "format=car&entity-bytes=9:1", "format=car&car-version=2"]
    {
        assert_eq!(plain(status(Method::GET, &format!("{cid}?{query}"), &[]).await), 400, "{query}");
    }
    let no_car = [("accept", "application/vnd.ipld.car;order=bfs")];
    assert_eq!(plain(status(Method::GET, &cid, &no_car).await), 400);

    // What is gone from this disk is not fetched for a reader who only wants what is cached.
    for entry in std::fs::read_dir(scene.pieces()).expect("pieces") {
        let path = entry.expect("an entry").path();
        if path.is_file() {
            std::fs::remove_file(path).expect("deleted");
        }
    }
    assert_eq!(plain(status(Method::GET, &known, &cached).await), 412);
    scene.end().await;
}

/// A CAR whose root comes first, so that what is cut off at its end is found late.
fn root_first(content: &[u8]) -> (cid::Cid, Vec<u8>) {
    let mut blocks = MemoryBlocks::default();
    let mut file = FileBuilder::new(Profile::default());
    file.write(content, &mut blocks).expect("blocks");
    let root = file.finish(&mut blocks).expect("a root").cid;
    let mut car = Vec::new();
    CarExport::new(&blocks, root, Vec::new(), Scope::All).write_to(&mut car).expect("a CAR");
    (root, car)
}

/// Changes the file of a piece from `at` on.
fn overwrite(scene: &Scene, piece: &str, at: usize, bytes: &[u8]) {
    let file =
        OpenOptions::new().write(true).open(scene.pieces().join(format!("{piece}.car"))).expect("a file");
    file.write_all_at(bytes, at as u64).expect("written");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_answer_that_fails_midway_breaks_the_connection() {
    let scene = Setting::new().config(|config| config.gateway.public_pieces = true).start().await;
    let content = noise(6 << 20);
    let (root, car) = root_first(&content);
    let stored = scene.post_bytes("/api/uploadFile?deal=false&format=car", car.clone()).await;
    let piece = stored.text("pieceCid");
    let made = aggregate(&scene, std::slice::from_ref(&piece), None).await.text("pieceCid");
    // Far from the end, which alone is looked at when a piece is opened.
    let leaf = cid_v1(RAW, &content[2 << 20..3 << 20]);
    let digest = leaf.hash().digest();
    let at = car.windows(digest.len()).rposition(|bytes| bytes == digest).expect("its section");
    overwrite(&scene, &piece, at, &[!digest[0]]);
    for what in [format!("/ipfs/{root}?format=car"), format!("/ipfs/{root}"), format!("/piece/{made}")] {
        let answer = scene.ask(Method::GET, &what, &[]).await;
        assert_eq!(answer.status().as_u16(), 200, "{what}: its beginning is there");
        let error = answer.bytes().await.expect_err("the end is missing");
        assert!(error.is_body() || error.is_decode() || error.is_request(), "{what}: {error:?}");
    }
    // What fails before the first byte has a status of its own: the piece is looked into, put aside, and not here any more.
    assert_eq!(scene.ask(Method::GET, &format!("/ipfs/{leaf}?format=raw"), &[]).await.status().as_u16(), 404);
    assert!(!scene.pieces().join(format!("{piece}.car")).exists());
    assert_eq!(root.codec(), DAG_PB);
    scene.end().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_piece_that_was_cut_off_is_put_aside_and_not_begun() {
    let scene = Setting::new().config(|config| config.gateway.public_pieces = true).start().await;
    let (root, car) = root_first(&noise(2 << 20));
    let stored = scene.post_bytes("/api/uploadFile?deal=false&format=car", car.clone()).await;
    let piece = stored.text("pieceCid");
    let file = scene.pieces().join(format!("{piece}.car"));
    let half = car.len() as u64 / 2;
    OpenOptions::new().write(true).open(&file).expect("a file").set_len(half).expect("cut off");
    for (what, status) in [(format!("/piece/{piece}"), 404), (format!("/ipfs/{root}?format=car"), 503)] {
        assert_eq!(scene.ask(Method::GET, &what, &[]).await.status().as_u16(), status, "{what}");
    }
    assert!(!file.exists(), "it is in quarantine");
    scene.end().await;
}

/// The open file of a piece is one for all answers, so none may move its offset.
#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn downloads_of_one_piece_at_the_same_time_each_get_their_own_bytes() {
    let scene = Setting::new().config(|config| config.gateway.public_pieces = true).start().await;
    let (root, car) = root_first(&noise(6 << 20));
    let stored = scene.post_bytes("/api/uploadFile?deal=false&format=car", car.clone()).await;
    let address = format!("/piece/{}", stored.text("pieceCid"));
    let part = |first: usize, last: usize| (format!("bytes={first}-{last}"), car[first..=last].to_vec());
    let end = car.len() - 1;
    let ranges =
        [part(0, end), part(1, end - 1), part(700_000, 5_000_000), part(3_000_000, end), part(end, end)];
    let ranges = ranges.iter().cycle().take(20).map(async |(range, wanted)| {
        let answer = scene.ask(Method::GET, &address, &[("range", range)]).await;
        assert_eq!(answer.status().as_u16(), 206, "{range}");
        assert!(bytes(answer).await == *wanted, "{range}");
    });
    let wholes = (0..4).map(async |_| {
        assert!(bytes(scene.ask(Method::GET, &address, &[]).await).await == car, "the whole piece");
        let dag = bytes(scene.ask(Method::GET, &format!("/ipfs/{root}?format=car"), &[]).await).await;
        assert!(dag == car, "its DAG, which was exported in the same order");
    });
    tokio::join!(join_all(ranges), join_all(wholes));
    scene.end().await;
}

/// Puts pieces together in a deal of this padded size.
async fn aggregate(scene: &Scene, pieces: &[String], size: Option<u64>) -> Answer {
    scene.post("/v1/aggregates", &json!({ "pieces": pieces, "size": size })).await
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn pieces_and_aggregates_are_served_by_both_their_cids_whole_and_in_ranges() {
    let scene = Setting::new().config(|config| config.gateway.public_pieces = true).start().await;
    let mut pieces = Vec::new();
    for content in [noise(1_500_000), small(71), small(72)] {
        pieces.push(scene.upload_only(content).await.1);
    }
    pieces.push(pieces[1].clone());
    let made = aggregate(&scene, &pieces, None).await;
    assert_eq!(made.status, 201, "{}", made.body);
    let (v1, v2) = (made.text("pieceCid"), made.text("pieceCidV2"));
    assert_eq!(aggregate(&scene, &pieces, None).await.text("pieceCid"), v1, "the same again is the same");

    let whole = scene.ask(Method::GET, &format!("/piece/{v1}"), &[]).await;
    let tag = header(&whole, "etag");
    let whole = bytes(whole).await;
    let info = of_reader(&whole[..]).expect("a piece");
    assert_eq!(PieceCid::V1(info.commitment()).to_cid().to_string(), v1);
    assert_eq!(whole.len() as u64, info.padded().capacity());
    assert_eq!(bytes(scene.ask(Method::GET, &format!("/piece/{v2}"), &[]).await).await, whole);
    let car = bytes(scene.ask(Method::GET, &format!("/piece/{}", pieces[0]), &[]).await).await;
    assert_eq!(whole[..car.len()], car, "the first piece stands first");

    let part = async |range: &str, if_range: &str| {
        let headers = [("range", range), ("if-range", if_range)];
        let answer = scene.ask(Method::GET, &format!("/piece/{v1}"), &headers).await;
        (answer.status().as_u16(), header(&answer, "content-range"), bytes(answer).await)
    };
    let total = whole.len();
    for (range, first, last) in [
        ("bytes=0-0".to_owned(), 0, 0),
        ("bytes=1400000-1700000".to_owned(), 1_400_000, 1_700_000),
        ("bytes=-1000".to_owned(), total - 1_000, total - 1),
        (format!("bytes=5-{}", total * 2), 5, total - 1),
    ] {
        let answer = part(&range, &tag).await;
        assert_eq!((answer.0, answer.1), (206, format!("bytes {first}-{last}/{total}")));
        assert!(answer.2 == whole[first..=last], "{range}");
    }
    assert_eq!(part("bytes=0-9", "\"other\"").await.2.len(), total);
    assert_eq!(part(&format!("bytes={total}-"), &tag).await.0, 416);
    let headers = [("if-none-match", tag.as_str())];
    assert_eq!(scene.ask(Method::GET, &format!("/piece/{v1}"), &headers).await.status().as_u16(), 304);
    let head = scene.ask(Method::HEAD, &format!("/piece/{v1}"), &[]).await;
    assert_eq!(header(&head, "content-length"), total.to_string());
    assert!(
        header(&head, "accept-ranges") == "bytes" && header(&head, "cache-control").starts_with("public")
    );

    // A v2 CID tells the length: the CAR's own, or with the zeros that fill its piece.
    let own = of_reader(&car[..]).expect("a piece");
    let v2_of = |info| PieceCid::V2(info).to_cid().to_string();
    let by = async |cid: String| scene.ask(Method::GET, &format!("/piece/{cid}"), &[]).await;
    assert_eq!(bytes(by(v2_of(own)).await).await, car);
    let full = raas_piece::PieceInfo::full(own.commitment(), own.padded());
    let filled = bytes(by(v2_of(full)).await).await;
    assert_eq!(filled.len() as u64, own.padded().capacity());
    assert!(filled[..car.len()] == car && filled[car.len()..].iter().all(|byte| *byte == 0));
    let shorter = raas_piece::PieceInfo::new(own.commitment(), own.payload_bytes() - 1).expect("a size");
    assert_eq!(by(v2_of(shorter)).await.status().as_u16(), 404);
    let other = raas_piece::PieceInfo::new(own.commitment(), 4 * own.payload_bytes()).expect("a size");
    assert_eq!(by(v2_of(other)).await.status().as_u16(), 404);
    assert_eq!(by("bafkqaaa".to_owned()).await.status().as_u16(), 400);

    let told = scene.get(&format!("/v1/aggregates/{v2}")).await.expect(200);
    assert_eq!(told["pieces"].as_array().map(Vec::len), Some(4));
    assert_eq!(told["pieces"][3]["pieceCid"], pieces[1].as_str());

    // An answer that would need what is not here is not begun.
    std::fs::remove_file(scene.pieces().join(format!("{}.car", pieces[0]))).expect("it was there");
    let status = async |range: &str| part(range, &tag).await.0;
    assert_eq!((status("bytes=0-").await, status("bytes=1400000-1700000").await), (404, 404));
    assert_eq!(status("bytes=-1000").await, 206, "these come from no piece");
    scene.end().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_makes_no_aggregate_is_refused_and_without_a_secret_nothing_is_given() {
    let scene = Setting::new().start().await;
    let (_, piece) = scene.upload_only(small(73)).await;
    let unknown = "baga6ea4seaqao7s73y24kcutaosvacpdjgfe5pw76ooefnyqw4ynr3d2y6x2mpq".to_owned();
    for (pieces, size, field) in [
        (vec![], None, "pieces"),
        (vec![unknown], None, "pieces"),
        (vec![piece.clone()], Some(1_000), "size"),
        (vec![piece.clone()], Some(256), "size"),
        (vec![piece.clone(); 2], Some(1 << 50), "size"),
    ] {
        let refused = aggregate(&scene, &pieces, size).await;
        assert_eq!((refused.status, refused.text("field")), (400, field.to_owned()), "{}", refused.body);
    }
    let made = aggregate(&scene, std::slice::from_ref(&piece), None).await.text("pieceCid");
    for cid in [piece, made] {
        assert_eq!(scene.ask(Method::GET, &format!("/piece/{cid}"), &[]).await.status().as_u16(), 404);
        let wrong = [("authorization", "Bearer wrong")];
        assert_eq!(scene.ask(Method::GET, &format!("/piece/{cid}"), &wrong).await.status().as_u16(), 404);
    }
    scene.end().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn who_does_not_read_holds_its_own_seat_for_a_while_and_no_longer() {
    let setting = Setting::new().config(|config| {
        config.gateway.public_pieces = true;
        config.gateway.answers_per_client = 1;
        config.gateway.requests_per_second = 1_000_000;
        config.gateway.stall_ms = 300;
    });
    let scene = setting.start().await;
    let (_, piece) = scene.upload_only(small(74)).await;
    // More than the system keeps for a connection, and no byte of it is on the disk.
    let made = aggregate(&scene, std::slice::from_ref(&piece), Some(256 << 20)).await.text("pieceCid");
    let address = scene.data().trim_start_matches("http://").to_owned();
    let mut lazy = TcpStream::connect(&address).await.expect("a connection");
    let request = format!("GET /piece/{made} HTTP/1.1\r\nhost: {address}\r\n\r\n");
    lazy.write_all(request.as_bytes()).await.expect("sent");
    lazy.readable().await.expect("an answer that begins");

    let asked = async || scene.ask(Method::GET, &format!("/piece/{piece}"), &[]).await;
    let refused = asked().await;
    assert_eq!((refused.status().as_u16(), header(&refused, "retry-after")), (429, "1".to_owned()));
    // The one that does not read is cut off, and its seat is free.
    while asked().await.status().as_u16() != 200 {
        tokio::task::yield_now().await;
    }
    let mut got = Vec::new();
    let ended = lazy.read_to_end(&mut got).await;
    assert!(got.len() < 200 << 20, "{ended:?} after {} bytes", got.len());
    scene.end().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn too_many_requests_are_told_when_to_come_back() {
    let setting = Setting::new().config(|config| config.gateway.requests_per_second = 1);
    let scene = setting.start().await;
    let (cid, _) = scene.upload_only(small(75)).await;
    let what = format!("/ipfs/{cid}?format=raw");
    let mut refused = None;
    for _ in 0..50 {
        let answer = scene.ask(Method::GET, &what, &[]).await;
        if answer.status().as_u16() != 200 {
            refused = Some(answer);
            break;
        }
    }
    let refused = refused.expect("ten are free, and few more come in the time they take");
    assert_eq!(refused.status().as_u16(), 429);
    assert_eq!(header(&refused, "retry-after"), "1");
    scene.end().await;
}
