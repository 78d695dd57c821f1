//! Many jobs that are registered at once go to the contract in few transactions, and each gets its own request.

use crate::harness::Setting;
use alloy_primitives::U256;
use alloy_sol_types::SolCall;
use raas_clients::evm::DealStatusAbi as Abi;
use raas_core::cid::DataCid;
use serde_json::{Value, json};
use std::collections::BTreeMap;

const JOBS: u64 = 120;
/// `submitRaaS` of the reference ABI.
const SUBMIT: &str = "de52f264";

fn cid(number: u64) -> DataCid {
    let mut digest = [7; 32];
    digest[..8].copy_from_slice(&number.to_be_bytes());
    let hash = cid::multihash::Multihash::<64>::wrap(0x12, &digest).expect("a hash");
    DataCid::normalise(&cid::Cid::new_v1(0x70, hash)).expect("a CID")
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_hundred_and_twenty_jobs_are_three_transactions() {
    let scene = Setting::new().start().await;
    scene.quiesce().await;
    // Nobody has the bytes, so nothing is bought. Every tenth job is for a CID of an earlier one, with other terms.
    let mut wanted: BTreeMap<u64, (Vec<u8>, u32, u64)> = BTreeMap::new();
    for number in 0..JOBS {
        let cid = cid(if number % 10 == 9 { number - 4 } else { number });
        let (copies, repair) = (1 + number as u32 % 7, 2_880 + number);
        let body = json!({
            "cid": cid.to_string(), "jobType": "all", "replicationTarget": copies, "repairAfter": repair,
        });
        let told = scene.post("/api/register_job", &body).await.expect(201);
        let job = told["job"].as_u64().expect("a job");
        wanted.insert(job, (cid.cid().to_bytes(), copies, repair));
    }
    assert_eq!(wanted.len(), JOBS as usize);
    let jobs = async || -> Vec<Value> {
        scene.get("/v1/jobs?limit=1000").await.expect(200)["jobs"].as_array().expect("jobs").clone()
    };
    scene
        .until("every job has its request", 2_880, async || {
            jobs().await.iter().all(|job| job["request"].is_u64())
        })
        .await;

    let ledger = scene.ledger().await;
    let many = ledger.calls(&hex::encode(Abi::submitRaaSManyCall::SELECTOR));
    assert_eq!(many.iter().map(|(_, success)| *success).collect::<Vec<_>>(), [true; 3], "{many:?}");
    assert_eq!(ledger.calls(SUBMIT), []);
    assert_eq!(scene.request_count().await, JOBS);
    let jobs = jobs().await;
    assert_eq!(jobs.len(), JOBS as usize, "no request made a second job");
    let mut requests: Vec<u64> = Vec::new();
    for job in &jobs {
        let (id, request) = (job["id"].as_u64().expect("a job"), job["request"].as_u64().expect("bound"));
        let shown = scene.eth_call(&Abi::getRequestCall { id: U256::from(request) }).await;
        let terms = (shown.cid.to_vec(), shown.policy.target, shown.policy.repairThreshold);
        assert_eq!(terms, wanted[&id], "job {id}, request {request}");
        assert_eq!(shown.owner, scene.node_eth_address());
        assert!(shown.open && shown.policy.endsAt == 0 && shown.pieceCid.is_empty());
        requests.push(request);
    }
    requests.sort_unstable();
    assert_eq!(requests, (1..=JOBS).collect::<Vec<_>>());

    // What carries a job is named, and says what it carries.
    let mut carriers: BTreeMap<u64, usize> = BTreeMap::new();
    for job in &jobs {
        let shown = scene.get(&format!("/v1/jobs/{}", job["id"])).await.expect(200);
        *carriers.entry(shown["transaction"].as_u64().expect("a transaction")).or_default() += 1;
    }
    assert_eq!(carriers.values().sum::<usize>(), JOBS as usize);
    assert_eq!(carriers.len(), 3);
    for (carrier, carried) in carriers {
        let listed = scene.get(&format!("/v1/wallet/transactions?id={carrier}")).await.expect(200);
        let [tx] = listed["transactions"].as_array().expect("one").as_slice() else { panic!("{listed}") };
        let submissions = tx["intent"]["submissions"].as_array().expect("submissions");
        assert_eq!((tx["state"].as_str(), submissions.len()), (Some("final"), carried), "{tx}");
    }
    scene.until_idle().await;
    scene.end().await;
}
