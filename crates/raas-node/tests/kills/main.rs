//! The node is killed at every effect, before and after it, and at seeded moments from outside; answers to what it
//! does are lost, and providers break their word. After it has been started again there are exactly three deals,
//! nothing is lost, nothing is paid twice: by the devnet's ledger, devnet and node each a process of its own.

mod judge;
mod ledger;
mod life;

use judge::{COPIES, Verdict, judge, until_attested};
use life::{Ask, Life, Moment};
use serde_json::{Value, json};
use sha2::{Digest, Sha256};
use std::collections::BTreeSet;
use std::future::Future;

/// Passed by every life that stores a file.
const BY_STORING: &[&str] = &[
    "devnet.fund",
    "devnet.deploy",
    "follow.window",
    "follow.apply",
    "observe.apply",
    "plan.commit",
    "deliver.escrow",
    "deliver.sign",
    "deliver.store",
    "deliver.propose",
    "deliver.settle",
    "register.store",
    "upload.note",
    "index.write",
    "blocks.keep",
    "upload.record",
    "step.finish",
];
/// Passed by every transaction that such a life sends.
const BY_SENDING: &[&str] =
    &["send.batch", "send.quote", "send.prepare", "send.store", "send.broadcast", "send.settle"];
/// Passed by a life that gives its own copy away and needs it again.
const BY_MOVING: &[&str] = &[
    "probe.verify",
    "probe.record",
    "evict.delete",
    "evict.record",
    "deliver.fetch",
    "deliver.local",
    "serve.fetch",
    "serve.record",
];
/// Passed by an admin who pays.
const BY_PAYING: &[&str] = &["pay.store"];
/// Passed by a life whose bytes come from a gateway.
const BY_IMPORT: &[&str] = &["fetch.bytes", "fetch.record"];
/// Passed where bytes that nothing keeps are deleted.
const BY_COLLECTING: &[&str] = &["gc.delete"];
/// Moments of the kills from outside.
const MOMENTS: u64 = 20;
/// Questions within which a plain life is over, and round trips within which the longest of them is answered.
const ASKS: u64 = 22;
const TRIPS: u64 = 60;

/// Bytes that no other life has.
fn contents(name: &str) -> Vec<u8> {
    (0..400_u64)
        .flat_map(|at| Sha256::new().chain_update(name).chain_update(at.to_be_bytes()).finalize())
        .collect()
}

/// Uploads; the node registers by itself, and a repetition may register again.
async fn upload(life: &mut Life, bytes: Vec<u8>) -> (String, Verdict) {
    let (answer, put) = life.ask(&Ask::post("/api/uploadFile", bytes)).await;
    let cid = answer.expect(201)["cid"].as_str().expect("a CID").to_owned();
    (cid, Verdict { repeated: put as usize - 1, ..Verdict::PLAIN })
}

/// Uploads without a job and registers by the specification's route under a key; a repetition is the same job.
async fn upload_and_register(life: &mut Life, bytes: Vec<u8>) -> (String, Verdict) {
    let (answer, _) = life.ask(&Ask::post("/api/uploadFile?deal=false", bytes)).await;
    let cid = answer.expect(201)["cid"].as_str().expect("a CID").to_owned();
    register(life, &cid).await;
    (cid, Verdict::PLAIN)
}

async fn register(life: &mut Life, cid: &str) {
    let job = json!({ "cid": cid, "jobType": "all", "replicationTarget": COPIES.to_string() });
    let (answer, _) = life.ask(&Ask::keyed("/api/register_job", cid, &job)).await;
    assert!(answer.expect(201)["message"].is_string());
}

/// Runs lives one after the other and names all that fail.
#[expect(clippy::print_stdout, reason = "which life took how long")]
async fn each<L: Future<Output = ()> + 'static>(lives: impl IntoIterator<Item = (String, L)>) {
    let mut failed = Vec::new();
    for (name, life) in lives {
        let began = std::time::Instant::now();
        let here = tokio::task::LocalSet::new();
        let ended = here.run_until(here.spawn_local(life)).await;
        println!("{name}: {} ms", began.elapsed().as_millis());
        if ended.is_err() {
            failed.push(name);
        }
    }
    assert!(failed.is_empty(), "failed: {failed:#?}");
}

fn sides(names: &'static [&str]) -> impl Iterator<Item = String> {
    names.iter().flat_map(|name| [format!("{name}:before"), format!("{name}:after")])
}

async fn storing(point: String, keyed: bool) {
    let mut life = Life::begin().await.armed(&point);
    life.start().await;
    let bytes = contents(&point);
    let (_, verdict) =
        if keyed { upload_and_register(&mut life, bytes).await } else { upload(&mut life, bytes).await };
    until_attested(&mut life).await;
    judge(&mut life, verdict).await;
    assert_eq!(life.fell, 1, "{point} is passed");
}

#[test]
fn every_effect_has_its_life() {
    let lives: Vec<&str> = [BY_STORING, BY_SENDING, BY_MOVING, BY_IMPORT, BY_PAYING, BY_COLLECTING].concat();
    let all: BTreeSet<&str> = raas_node::failpoint::ALL.iter().copied().collect();
    assert_eq!(lives.iter().copied().collect::<BTreeSet<_>>(), all);
    assert_eq!(lives.len(), all.len());
}

#[tokio::test]
async fn killed_at_each_effect_of_an_upload() {
    let points = sides(BY_STORING).filter(|point| !ACCEPTED.contains(&point.as_str()));
    each(points.map(|point| (point.clone(), storing(point, false)))).await;
}

/// Between a provider's yes and the record of it.
const ACCEPTED: &[&str] = &["deliver.propose:after", "deliver.settle:before"];

/// The same bytes are handed over once more under the same id: the provider has one proposal.
#[tokio::test]
async fn fault_01_killed_between_a_providers_yes_and_the_record_of_it() {
    each(ACCEPTED.iter().map(|point| ((*point).to_owned(), storing((*point).to_owned(), false)))).await;
}

/// Between signature, broadcast and record: the same bytes are sent again, and each purpose is mined once.
#[tokio::test]
async fn fault_02_killed_between_sign_broadcast_and_record() {
    each(sides(BY_SENDING).map(|point| (point.clone(), storing(point, false)))).await;
}

/// Whatever stood beside the step that kills goes on at once, and that one goes on by itself, hours later.
#[tokio::test]
async fn killed_again_and_again_in_one_step() {
    const DEATHS: u32 = 5;
    each(["deliver.propose:before", "send.broadcast:before", "send.settle:after"].map(|point| {
        let life = async move {
            let mut life = Life::begin().await;
            for _ in 0..DEATHS {
                life = life.armed(point);
            }
            life.start().await;
            let (_, verdict) = upload(&mut life, contents(&format!("{point} {DEATHS}"))).await;
            until_attested(&mut life).await;
            judge(&mut life, verdict).await;
            assert_eq!(life.fell, DEATHS, "{point} kills");
        };
        (format!("{point} {DEATHS} times"), life)
    }))
    .await;
}

#[tokio::test]
async fn killed_at_each_effect_of_a_registration() {
    const ITS_OWN: &[&str] =
        &["register.store", "upload.record", "follow.apply", "plan.commit", "send.broadcast"];
    each(sides(ITS_OWN).map(|point| (point.clone(), storing(point, true)))).await;
}

/// Three jobs for one CID wait at once and go together: each is registered once, in one transaction.
async fn together(point: String) {
    // keccak-256 of submitRaaSMany((bytes,(uint32,uint64,uint64,uint64),bytes,uint64)[]).
    let selector = hex::encode(
        &alloy_primitives::keccak256("submitRaaSMany((bytes,(uint32,uint64,uint64,uint64),bytes,uint64)[])")
            [..4],
    );
    let mut life = Life::begin().await.armed(&point);
    life.start().await;
    let bytes = contents(&point);
    let (answer, _) = life.ask(&Ask::post("/api/uploadFile?deal=false", bytes)).await;
    let cid = answer.expect(201)["cid"].as_str().expect("a CID").to_owned();
    for number in 0..3 {
        let job = json!({ "cid": cid, "jobType": "all", "replicationTarget": COPIES.to_string() });
        let (answer, _) = life.ask(&Ask::keyed("/api/register_job", &format!("job {number}"), &job)).await;
        answer.expect(201);
    }
    until_attested(&mut life).await;
    judge(&mut life, Verdict { jobs: 3, ..Verdict::PLAIN }).await;
    let ledger = life.ledger().await;
    let many = ledger.of("transaction").filter(|entry| entry["selector"] == selector).count();
    assert_eq!(many, 1, "{point}: one transaction");
    assert_eq!(life.fell, 1, "{point} is passed");
}

#[tokio::test]
async fn killed_where_registrations_go_together() {
    const ITS_OWN: &[&str] = &["send.batch", "send.store", "send.broadcast", "send.settle", "follow.apply"];
    each(sides(ITS_OWN).map(|point| (point.clone(), together(point)))).await;
}

/// Later passages of points that a life passes often: the second order, the third round, the last transaction.
const LATER: &[&str] = &[
    "observe.apply:after:4",
    "plan.commit:after:2",
    "deliver.sign:after:2",
    "deliver.sign:before:3",
    "deliver.propose:after:3",
    "deliver.settle:before:2",
    "send.broadcast:after:2",
    "send.settle:before:3",
    "follow.apply:after:2",
    "step.finish:before:5",
    "devnet.deploy:before:2",
    "devnet.deploy:after:2",
    "upload.note:after:2",
    "upload.note:before:3",
    // Between the names of index and CAR is the first passage's after; this is the CAR's own.
    "blocks.keep:before:2",
    "blocks.keep:after:2",
];

#[tokio::test]
async fn killed_at_later_passages_of_an_effect() {
    each(LATER.iter().map(|point| ((*point).to_owned(), storing((*point).to_owned(), true)))).await;
}

/// The client of an upload that got no answer never comes back.
async fn forsaken(point: String) {
    let mut life = Life::begin().await.armed(&point);
    life.start().await;
    let sent = life.ask_once(&Ask::post("/api/uploadFile", contents(&point))).await;
    assert!(sent.is_none() && life.fell == 1, "{point} is passed");
    assert_eq!(life.piece_files(), Vec::<String>::new(), "{point}");
    assert_eq!(life.jobs().await, Vec::<Value>::new(), "{point}");
    // A second client with the same bytes is served as ever.
    let (answer, _) = life.ask(&Ask::post("/api/uploadFile?deal=false", contents(&point))).await;
    answer.expect(201);
    assert_eq!(life.piece_files().len(), 2, "{point}");
    life.ask(&Ask::post("/v1/node/quiesce", Vec::new())).await;
}

#[tokio::test]
async fn an_upload_that_nobody_repeats_leaves_nothing_on_the_disk() {
    let points = [
        "index.write:before",
        "index.write:after",
        "blocks.keep:after",
        "blocks.keep:after:2",
        "upload.record:before",
        "upload.record:after",
        "register.store:before",
    ];
    each(points.map(|point| (point.to_owned(), forsaken(point.to_owned())))).await;
}

/// The node gives its copy away once three others are proven; one of these is terminated, so that the piece has to
/// be fetched back for a new copy, and is given away again; then somebody reads it.
async fn moving(point: String) {
    let mut life = Life::begin().await.with("RAAS__POLICY__KEEP_LOCAL", "never").armed(&point);
    life.start().await;
    let bytes = contents(&point);
    let (cid, verdict) = upload(&mut life, bytes.clone()).await;
    until_attested(&mut life).await;
    until_given_away(&mut life).await;
    let ledger = life.ledger().await;
    let first = ledger.of("published").next().expect("a deal")["provider"].clone();
    life.rpc("devnet_terminate", json!([first, null])).await;
    life.until("a fourth deal", async |life| life.ledger().await.deals().len() > COPIES).await;
    until_attested(&mut life).await;
    until_given_away(&mut life).await;
    let read = Ask::data(format!("/ipfs/{cid}"));
    life.ask(&read).await;
    // Whatever a death left of that, nothing of it stays.
    until_given_away(&mut life).await;
    life.until("a provider's bytes are read", async |life| {
        // Just started, the node has not seen the chain yet and says so.
        let (answer, _) = life.ask(&read).await;
        assert!(answer.status == 503 || (answer.status == 200 && answer.body == bytes), "{}", answer.status);
        answer.status == 200 && answer.headers["raas-source"] != "local"
    })
    .await;
    judge(&mut life, Verdict { lost: 1, ..verdict }).await;
    assert_eq!(life.fell, 1, "{point} is passed");
}

async fn until_given_away(life: &mut Life) {
    let pieces = life.node_folder("pieces");
    life.until("the local copy is given away", async |_| {
        let kept = std::fs::read_dir(&pieces).expect("a folder").filter_map(Result::ok);
        kept.filter(|entry| entry.path().extension().is_some()).count() == 0
    })
    .await;
}

#[tokio::test]
async fn killed_where_copies_are_given_away_and_fetched_back() {
    each(sides(BY_MOVING).map(|point| (point.clone(), moving(point)))).await;
}

async fn importing(point: String) {
    let bytes = contents(&point);
    let options = raas_piece::pack::PackOptions::default();
    let out = std::io::Cursor::new(Vec::new());
    let (packed, car) = raas_piece::pack::pack_reader(bytes.as_slice(), out, &options).expect("a CAR");
    let mut life =
        Life::begin().await.with("RAAS__SOURCES__GATEWAYS", gateway(car.into_inner()).await).armed(&point);
    life.start().await;
    register(&mut life, &packed.root.to_string()).await;
    until_attested(&mut life).await;
    judge(&mut life, Verdict::PLAIN).await;
    assert_eq!(life.fell, 1, "{point} is passed");
}

/// A trustless gateway that has one thing.
async fn gateway(car: Vec<u8>) -> String {
    let listener = tokio::net::TcpListener::bind(("127.0.0.1", 0)).await.expect("a port");
    let url = format!("http://{}", listener.local_addr().expect("an address"));
    let answer = move || async move { ([("content-type", "application/vnd.ipld.car")], car) };
    tokio::task::spawn(async move { axum::serve(listener, axum::Router::new().fallback(answer)).await });
    url
}

#[tokio::test]
async fn killed_while_bytes_come_from_a_gateway() {
    each(sides(BY_IMPORT).map(|point| (point.clone(), importing(point)))).await;
}

/// Uploads without a job, which is a pin. CID and piece.
async fn pinned(life: &mut Life, bytes: Vec<u8>) -> (String, String) {
    let (answer, _) = life.ask(&Ask::post("/api/uploadFile?deal=false", bytes)).await;
    let answer = answer.expect(201);
    let text = |field: &str| answer[field].as_str().expect("a CID").to_owned();
    (text("cid"), text("pieceCid"))
}

async fn is_served(life: &mut Life, cid: &str, bytes: &[u8]) {
    let (answer, _) = life.ask(&Ask::data(format!("/ipfs/{cid}"))).await;
    assert!(answer.status == 200 && answer.body == bytes, "{}", answer.status);
}

/// What nothing keeps any more is collected; what a pin keeps beside it stays, whenever the node dies.
async fn collecting(point: String) {
    let mut life = Life::begin().await.armed(&point);
    life.start().await;
    let kept = contents(&format!("{point} kept"));
    let (cid, piece) = pinned(&mut life, kept.clone()).await;
    let (spare, _) = pinned(&mut life, contents(&format!("{point} spare"))).await;
    life.ask(&Ask::delete(format!("/v1/pins/{spare}"))).await.0.expect(200);
    assert_eq!(life.piece_files().len(), 4, "{point}");
    life.ask(&Ask::post("/v1/store/gc?dry_run=true", Vec::new())).await.0.expect(200);
    assert_eq!((life.piece_files().len(), life.fell), (4, 0), "{point}: a dry run deletes nothing");
    life.ask(&Ask::post("/v1/store/gc", Vec::new())).await.0.expect(200);
    assert_eq!(life.piece_files(), [format!("{piece}.car"), format!("{piece}.index")], "{point}");
    let (pieces, _) = life.ask(&Ask::get("/v1/store/pieces")).await;
    let rows = pieces.expect(200)["pieces"].as_array().expect("pieces").clone();
    assert_eq!(rows.iter().map(|row| row["pieceCid"].clone()).collect::<Vec<_>>(), [json!(piece)], "{point}");
    is_served(&mut life, &cid, &kept).await;
    assert_eq!(life.fell, 1, "{point} is passed");
}

#[tokio::test]
async fn killed_while_bytes_are_collected() {
    each(sides(BY_COLLECTING).map(|point| (point.clone(), collecting(point)))).await;
}

/// An index that is lost with a machine is made anew by a start, which may die of it.
async fn mending(point: String) {
    let mut life = Life::begin().await;
    life.start().await;
    let bytes = contents(&point);
    let (cid, piece) = pinned(&mut life, bytes.clone()).await;
    life.kill().await;
    std::fs::remove_file(life.node_folder("pieces").join(format!("{piece}.index"))).expect("deleted");
    let mut life = life.armed(&point);
    life.start().await;
    assert_eq!(life.fell, 1, "{point} is passed");
    is_served(&mut life, &cid, &bytes).await;
    assert_eq!(life.piece_files(), [format!("{piece}.car"), format!("{piece}.index")], "{point}");
}

#[tokio::test]
async fn killed_while_a_lost_index_is_made_anew() {
    each(sides(&["index.write", "blocks.keep"]).map(|point| (point.clone(), mending(point)))).await;
}

/// An admin moves one FIL into the escrow, and asks again under the same key when no answer comes: it moves once.
async fn paying(point: String) {
    const FIL: u128 = 1_000_000_000_000_000_000;
    let mut life = Life::begin().await.armed(&point);
    life.start().await;
    let payment = json!({ "do": "market_add", "amount": "1 FIL" });
    life.ask(&Ask::paying("/v1/wallet/transactions", &point, &payment)).await.0.expect(200);
    life.until("the escrow has it", async |life| life.ledger().await.added() > 0).await;
    life.settle().await;
    assert_eq!(life.ledger().await.added(), FIL);
    assert_eq!(life.fell, 1, "{point} is passed");
}

#[tokio::test]
async fn killed_while_an_admin_pays() {
    each(sides(BY_PAYING).map(|point| (point.clone(), paying(point)))).await;
}

/// Every seed gives the same moment again; when the life is over before, it comes at the end.
fn moment(number: u64) -> Moment {
    let hash = Sha256::new().chain_update("moment").chain_update(number.to_be_bytes()).finalize();
    let draw = |at: usize, most: u64| {
        let drawn = u64::from_be_bytes(hash[at..at + 8].try_into().expect("8 bytes"));
        (drawn % most) as u32
    };
    Moment { asks: draw(0, ASKS), trips: draw(8, TRIPS) }
}

async fn random(number: u64) {
    let mut life = Life::begin().await.killed_at(moment(number));
    life.start().await;
    let bytes = contents(&format!("moment {number}"));
    let (_, verdict) = upload(&mut life, bytes).await;
    until_attested(&mut life).await;
    if life.is_doomed() {
        life.hasten();
    }
    judge(&mut life, verdict).await;
    assert_eq!(life.killed, 1);
}

#[tokio::test]
async fn killed_at_random_moments() {
    each((0..MOMENTS).map(|number| (format!("moment {number}, {:?}", moment(number)), random(number)))).await;
}

async fn losing(method: &'static str, count: Option<u32>) {
    let mut life = Life::begin().await;
    life.start().await;
    life.rpc("devnet_setRpc", json!(["dropReply", method, count])).await;
    let (_, verdict) = upload(&mut life, contents(&format!("{method} {count:?}"))).await;
    until_attested(&mut life).await;
    judge(&mut life, verdict).await;
}

#[tokio::test]
async fn answers_to_transactions_are_lost() {
    let methods = ["eth_sendRawTransaction", "Filecoin.MpoolPush"];
    let cases = methods.into_iter().flat_map(|method| [(method, Some(1)), (method, None)]);
    each(cases.map(|(method, count)| (format!("{method} {count:?}"), losing(method, count)))).await;
}

/// Every provider, or only the cheapest ones, which are asked first, behave so for their next proposal.
async fn misbehaving(mode: &'static str, providers: usize, count: Option<u32>, broken: usize) {
    let mut life = Life::begin().await;
    life.start().await;
    let listed = life.rpc("devnet_providers", json!([])).await;
    let mut by_price: Vec<(u128, String)> = listed
        .as_array()
        .expect("providers")
        .iter()
        .filter(|provider| provider["minPieceSize"].as_u64().is_some_and(|least| least < 1 << 30))
        .map(|provider| {
            let ask = provider["askPerGibEpoch"].as_str().expect("an ask").parse().expect("a number");
            (ask, provider["id"].as_str().expect("an id").to_owned())
        })
        .collect();
    by_price.sort();
    for (_, id) in by_price.iter().take(providers) {
        life.rpc("devnet_setProvider", json!([id, mode, count])).await;
    }
    let (_, verdict) = upload(&mut life, contents(mode)).await;
    until_attested(&mut life).await;
    judge(&mut life, Verdict { broken, ..verdict }).await;
    let ledger = life.ledger().await;
    assert_eq!(ledger.signed().len(), COPIES + broken, "the mode shows");
}

#[tokio::test]
async fn providers_lose_answers_and_break_their_word() {
    each([
        ("dropReply once".to_owned(), misbehaving("dropReply", 99, Some(1), 0)),
        ("dropReply always".to_owned(), misbehaving("dropReply", 99, None, 0)),
        ("rejectThenPublish".to_owned(), misbehaving("rejectThenPublish", 1, Some(1), 1)),
        ("acceptAndVanish".to_owned(), misbehaving("acceptAndVanish", 1, Some(1), 1)),
    ])
    .await;
}

/// Between the parts of one upload, and between their names and their record.
const BETWEEN_PARTS: &[&str] = &[
    "blocks.keep:after:2",
    "blocks.keep:before:4",
    "index.write:after:2",
    "upload.record:before",
    "upload.record:after",
];

/// Either all parts are there and recorded or none: nothing is acknowledged before, and no part stays without the others.
async fn storing_parts(point: String) {
    let mut life = Life::begin().await.with("RAAS__DEALS__PIECE_MAX_MIB", "4").armed(&point);
    life.start().await;
    let bytes: Vec<u8> =
        (0..7_u64 << 17).flat_map(|at| at.wrapping_mul(0x9e37_79b9_7f4a_7c15).to_le_bytes()).collect();
    assert!(
        life.ask_once(&Ask::post("/api/uploadFile?deal=false", bytes.clone())).await.is_none(),
        "{point}"
    );
    assert_eq!((life.fell, life.piece_files()), (1, Vec::new()), "{point}: what nobody was told of is gone");
    let (answer, _) = life.ask(&Ask::post("/api/uploadFile?deal=false", bytes.clone())).await;
    let answer = answer.expect(201);
    let parts = answer["parts"].as_array().expect("parts").iter();
    let mut files: Vec<String> = parts
        .filter_map(|part| part["pieceCid"].as_str())
        .flat_map(|piece| [format!("{piece}.car"), format!("{piece}.index")])
        .collect();
    files.sort();
    assert_eq!((files.len(), life.piece_files()), (6, files), "{point}");
    life.kill().await;
    life.start().await;
    is_served(&mut life, answer["cid"].as_str().expect("a CID"), &bytes).await;
}

#[tokio::test]
async fn killed_between_the_parts_of_an_upload() {
    each(BETWEEN_PARTS.iter().map(|point| ((*point).to_owned(), storing_parts((*point).to_owned())))).await;
}
