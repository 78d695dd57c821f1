//! What must be so at the end of every life, by the devnet's ledger.

use super::life::{Ask, Life};
use serde_json::{Value, json};
use std::collections::BTreeSet;

/// Copies that every job here wants.
pub const COPIES: usize = 3;

/// How a life may differ from the plainest one.
#[derive(Clone, Copy, Debug)]
pub struct Verdict {
    /// Jobs that the client was told of.
    pub jobs: usize,
    /// Repetitions of a registration without a key: each may have made one more job.
    pub repeated: usize,
    /// Deals that were published and are over: terminated by a provider.
    pub lost: usize,
    /// Proposals that providers refused, or accepted and forgot, and whose deals may or may not come.
    pub broken: usize,
}

impl Verdict {
    /// One job, told once, and nothing that went wrong.
    pub const PLAIN: Self = Self { jobs: 1, repeated: 0, lost: 0, broken: 0 };
}

/// Requests on the node's contract.
pub async fn requests(life: &mut Life) -> u64 {
    let (node, _) = life.ask(&Ask::get("/v1/node")).await;
    let contract = node.expect(200)["contract"].clone();
    let selector = hex::encode(&alloy_primitives::keccak256("requestCount()")[..4]);
    let call = json!([{ "to": contract, "data": format!("0x{selector}") }, "latest"]);
    let count = life.rpc("eth_call", call).await;
    u64::from_str_radix(&count.as_str().expect("hex")[50..], 16).expect("hex")
}

/// Steps until every copy is proven and every request is attested with every deal that lives.
pub async fn until_attested(life: &mut Life) {
    life.until("three proven copies, attested", async |life| {
        let ledger = life.ledger().await;
        if ledger.proven().len() < COPIES {
            return false;
        }
        let jobs = life.jobs().await.len() as u64;
        let attested: BTreeSet<(u64, u64)> = ledger.completions().into_iter().collect();
        let deals = ledger.deals();
        let alive = deals.iter().filter(|(_, deal)| deal.active && !deal.over);
        let mut wanted = alive.flat_map(|(id, _)| (1..=jobs).map(|request| (request, *id)));
        requests(life).await == jobs && wanted.all(|pair| attested.contains(&pair))
    })
    .await;
}

/// The deals that the node itself counts as proven.
async fn proven_by_node(life: &mut Life, jobs: &[Value]) -> BTreeSet<u64> {
    let (job, _) = life.ask(&Ask::get(format!("/v1/jobs/{}", jobs[0]["id"]))).await;
    let orders = job.expect(200)["orders"].as_array().expect("orders").clone();
    let proven = orders.iter().filter(|order| order["health"]["health"] == "proven");
    proven.filter_map(|order| order["dealId"].as_u64()).collect()
}

/// Rests, waits a day, and judges.
pub async fn judge(life: &mut Life, verdict: Verdict) {
    life.settle().await;
    let ledger = life.ledger().await;
    let jobs = life.jobs().await;
    let state = life.state().await;
    let said = |what: &str| format!("{what}\n{verdict:?}\n{state}");

    // Nothing that the client was told of is lost, and what it said twice is one holding.
    let most = verdict.jobs + verdict.repeated;
    assert!((verdict.jobs..=most).contains(&jobs.len()), "{}", said(&format!("{} jobs", jobs.len())));
    let holdings: BTreeSet<String> = jobs.iter().map(|job| job["holding"].to_string()).collect();
    assert_eq!(holdings.len(), 1, "{}", said("holdings"));

    // No death leaves bytes behind that nobody owns: one piece, or none where copies are given away.
    let files = life.piece_files();
    let mut kinds: Vec<&str> = files.iter().filter_map(|name| name.rsplit('.').next()).collect();
    kinds.dedup();
    let wanted: &[&str] = if life.gives_away() { &[] } else { &["car", "index"] };
    assert_eq!(kinds, wanted, "{}", said(&format!("on the disk: {files:?}")));
    assert_eq!(files.len(), wanted.len(), "{}", said(&format!("on the disk: {files:?}")));

    // One UUID, one proposal, however often it was sent.
    let proposals = ledger.proposals();
    assert!(proposals.values().all(|cids| cids.len() == 1), "{}", said("two proposals of one UUID"));
    let signed = ledger.signed();
    let wanted = COPIES + verdict.lost;
    let proposed = wanted..=wanted + verdict.broken;
    assert!(proposed.contains(&signed.len()), "{}", said(&format!("{} proposals", signed.len())));

    // Exactly three copies, each deal published once, all by one client for one piece, on distinct operators.
    let deals = ledger.deals();
    let published: BTreeSet<&String> = deals.values().map(|deal| &deal.proposal).collect();
    assert_eq!(published.len(), deals.len(), "{}", said("a proposal published twice"));
    assert!(proposed.contains(&deals.len()), "{}", said(&format!("{} deals", deals.len())));
    assert_eq!(deals.values().filter(|deal| deal.over).count(), verdict.lost, "{}", said("deals over"));
    let alive: Vec<_> = deals.iter().filter(|(_, deal)| !deal.over).collect();
    assert!(alive.iter().all(|(_, deal)| deal.active), "{}", said("a deal that is not active"));
    let operators: BTreeSet<u64> = alive.iter().map(|(_, deal)| deal.operator).collect();
    assert_eq!(operators.len(), alive.len(), "{}", said("two copies on one operator"));
    let owners: BTreeSet<(u64, &String)> = deals.values().map(|deal| (deal.client, &deal.piece)).collect();
    assert_eq!(owners.len(), 1, "{}", said("clients and pieces"));

    // One request per job, attested with every deal, once.
    let requests = requests(life).await;
    assert_eq!(requests, jobs.len() as u64, "{}", said("requests"));
    let expected: Vec<(u64, u64)> =
        (1..=requests).flat_map(|request| deals.keys().map(move |deal| (request, *deal))).collect();
    let completions = ledger.completions();
    if verdict.broken == 0 {
        assert_eq!(completions, expected, "{}", said("completions"));
    } else {
        // What came late is a spare: known and watched, but not what the request was answered with.
        assert!(completions.iter().all(|pair| expected.contains(pair)), "{}", said("completions"));
        let once: BTreeSet<&(u64, u64)> = completions.iter().collect();
        assert_eq!(once.len(), completions.len(), "{}", said("attested twice"));
        assert_eq!(once.len() as u64, requests * COPIES as u64, "{}", said("completions"));
        assert_eq!(proven_by_node(life, &jobs).await, deals.keys().copied().collect(), "{}", said("spares"));
    }

    // Nothing paid twice: escrow got what the proposals cost, no more. What a terminated deal gave back is used again.
    let cost: u128 = signed.values().sum();
    let of_alive: u128 = alive.iter().map(|(_, deal)| deal.cost).sum();
    let least = if verdict.broken + verdict.lost == 0 { cost } else { of_alive };
    assert!((least..=cost).contains(&ledger.added()), "{}", said("escrow"));
    if verdict.broken == 0 {
        assert_eq!(cost, deals.values().map(|deal| deal.cost).sum::<u128>(), "{}", said("cost"));
    }
    let failed: Vec<&Value> = ledger.of("transaction").filter(|entry| entry["success"] == false).collect();
    assert!(failed.is_empty(), "{}", said(&format!("reverted: {failed:?}")));
}
