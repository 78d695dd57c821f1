//! Registrations that wait at once go together, and each is registered once whatever becomes of that.

use crate::scene::{CONTRACT, Scene};
use crate::script::LAG;
use raas_core::cid::DataCid;
use raas_core::ids::{JobId, OwnerId, RequestId};
use raas_core::policy::Duties;
use raas_core::ports::{NoQuote, SUBMISSIONS_MAX, TxIntent};
use raas_core::units::{AttoFil, Epoch};
use raas_node::failpoint;
use raas_node::settings::SpendingLimits;
use raas_node::store::{JobSource, NewJob, Registered, Store, TxId, TxSubmit};
use serde_json::json;
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};
use tokio::sync::Notify;

fn cid(number: u64) -> DataCid {
    let mut digest = [0; 32];
    digest[..8].copy_from_slice(&number.to_be_bytes());
    let hash = cid::multihash::Multihash::<64>::wrap(0x12, &digest).expect("a hash");
    DataCid::normalise(&cid::Cid::new_v1(0x70, hash)).expect("a CID")
}

/// A job for CID `number`, with a target of its own so that its registration can be told from any other.
fn new_job(scene: &Scene, number: u64, target: u32) -> NewJob {
    let policy = scene.engine.settings().default_policy.clone();
    let on_chain = Some(TxSubmit { cid: cid(number).cid().to_bytes(), target, repair: 1, renew: 1 });
    NewJob {
        owner: OwnerId::local(),
        cid: cid(number),
        duties: Duties::ALL,
        policy,
        source: JobSource::Api,
        on_chain,
        position: None,
        at: Epoch(1_000),
        at_unix: 0,
        idempotency_key: None,
    }
}

async fn register(scene: &Scene, number: u64, target: u32) -> JobId {
    match scene.store.register_job(&new_job(scene, number, target)).await.expect("registered") {
        Registered::Created { job, .. } | Registered::AlreadyExists { job, .. } => job,
    }
}

/// `count` jobs of distinct CIDs, none of which has bytes: only their registrations can be worked at.
async fn jobs(scene: &Scene, count: u64) -> Vec<JobId> {
    let mut jobs = Vec::new();
    for number in 1..=count {
        jobs.push(register(scene, number, number as u32).await);
    }
    jobs
}

/// What the chain registers by what it mined with success: how often each target, which names its job.
fn registered(scene: &Scene) -> BTreeMap<u32, usize> {
    let chain = scene.script.chain();
    let mut times = BTreeMap::new();
    for tx in chain.mined().into_iter().filter(|tx| !chain.fails.is_some_and(|fails| fails(&tx.what))) {
        for part in tx.what.split("target: ").skip(1) {
            let digits: String = part.chars().take_while(char::is_ascii_digit).collect();
            *times.entry(digits.parse().expect("a target")).or_default() += 1;
        }
    }
    times
}

fn each_once(count: u32) -> BTreeMap<u32, usize> {
    (1..=count).map(|target| (target, 1)).collect()
}

/// The registrations of all transactions that were mined, in order.
fn sizes(scene: &Scene) -> Vec<usize> {
    scene.script.chain().mined().iter().map(|tx| tx.what.matches("target: ").count()).collect()
}

async fn carriers(store: &Store, jobs: &[JobId]) -> BTreeSet<TxId> {
    let mut carriers = BTreeSet::new();
    for job in jobs {
        carriers.insert(store.registration(*job).await.expect("readable").expect("a transaction"));
    }
    carriers
}

#[tokio::test]
async fn what_waits_at_once_goes_together_as_far_as_one_transaction_holds() {
    let scene = Scene::new().await;
    let jobs = jobs(&scene, 2 * SUBMISSIONS_MAX as u64 + 1).await;
    scene.pass(LAG + 6).await;
    let mut sizes = sizes(&scene);
    sizes.sort_unstable();
    assert_eq!(sizes, [1, SUBMISSIONS_MAX, SUBMISSIONS_MAX], "in few transactions");
    assert_eq!(registered(&scene), each_once(jobs.len() as u32));
    assert_eq!(carriers(&scene.store, &jobs).await.len(), 3);
    assert!(scene.store.open_txs(None).await.expect("readable").is_empty());
}

#[tokio::test]
async fn what_comes_alone_goes_alone_and_what_is_signed_is_not_touched() {
    let scene = Scene::new().await;
    let first = register(&scene, 1, 1).await;
    scene.work().await;
    let tx = scene.store.registration(first).await.expect("readable").expect("planned");
    let signed = scene.tx(tx).await.signed;
    assert_eq!(signed.len(), 1);
    let later = [register(&scene, 2, 2).await, register(&scene, 3, 3).await];
    scene.pass(LAG + 6).await;
    assert_eq!(scene.tx(tx).await.signed, signed);
    assert_eq!((sizes(&scene), registered(&scene)), (vec![1, 2], each_once(3)));
    let [carrier] = <[TxId; 1]>::try_from(Vec::from_iter(carriers(&scene.store, &later).await)).expect("one");
    assert!(matches!(scene.tx(carrier).await.intent, TxIntent::SubmitMany { .. }));
}

/// One job that the contract does not take: the others are registered all the same, and it says why it is not.
#[tokio::test]
async fn one_that_is_refused_holds_up_no_other() {
    let scene = Scene::new().await;
    scene.script.chain().refuses = Some(|intent| {
        let bad = match intent {
            TxIntent::Submit { target, .. } => *target == 3,
            TxIntent::SubmitMany { submissions } => submissions.iter().any(|one| one.target == 3),
            _ => false,
        };
        bad.then(|| NoQuote::Refused("the contract refuses: three".to_owned()))
    });
    let jobs = jobs(&scene, 5).await;
    scene.pass(LAG + 10).await;
    let mut others = each_once(5);
    others.remove(&3);
    assert_eq!(registered(&scene), others);
    let left = scene.store.registration(jobs[2]).await.expect("readable").expect("still planned");
    assert!(scene.waits(left).await.contains("three"), "{}", scene.waits(left).await);
    assert_eq!(scene.store.open_txs(None).await.expect("readable").len(), 1);
    // What was refused once is never put together with anything again; it goes when the contract takes it.
    register(&scene, 6, 6).await;
    register(&scene, 7, 7).await;
    scene.pass(LAG + 10).await;
    assert_eq!(sizes(&scene).last(), Some(&2));
    scene.script.chain().refuses = None;
    scene.pass(LAG + 300).await;
    assert_eq!(registered(&scene), each_once(7));
}

/// A carrier that nobody can estimate is tried again, and after a few times by its parts.
#[tokio::test]
async fn one_that_nobody_can_estimate_is_taken_apart_in_the_end() {
    let scene = Scene::new().await;
    scene.script.chain().refuses = Some(|intent| {
        matches!(intent, TxIntent::SubmitMany { .. })
            .then(|| NoQuote::Unknown("too large an answer".to_owned()))
    });
    jobs(&scene, 3).await;
    scene.work().await;
    let [carrier] = scene.store.open_txs(None).await.expect("readable").try_into().expect("one");
    assert!(matches!(carrier.intent, TxIntent::SubmitMany { .. }), "not at once");
    scene.pass(LAG + 60).await;
    assert_eq!((sizes(&scene), registered(&scene)), (vec![1, 1, 1], each_once(3)));
}

/// The gas of all together is above what one transaction may cost, or above the day's: each alone is not.
#[tokio::test]
async fn what_is_too_dear_together_goes_by_parts() {
    // One costs 300,000 at most here, three 900,000.
    let gas_max = SpendingLimits { gas_max: Some(AttoFil(400_000)), ..SpendingLimits::default() };
    let per_day = SpendingLimits { gas_per_day: Some(AttoFil(700_000)), ..SpendingLimits::default() };
    for (limits, goes) in [(gas_max, 3), (per_day, 2)] {
        let scene = Scene::with(limits).await;
        jobs(&scene, 3).await;
        scene.pass(LAG + 60).await;
        assert_eq!(registered(&scene), each_once(goes), "{limits:?}");
    }
}

/// Mined without success: nothing is registered, and each is tried by itself, as if it had never been carried.
#[tokio::test]
async fn one_that_fails_on_chain_leaves_every_job_to_be_registered() {
    let scene = Scene::new().await;
    scene.script.chain().fails = Some(|what| what.contains("SubmitMany"));
    let jobs = jobs(&scene, 4).await;
    scene.pass(4).await;
    let [carrier] = scene.store.open_txs(None).await.expect("readable").try_into().expect("one");
    assert_eq!(registered(&scene), BTreeMap::new());
    scene.pass(2 * LAG + 30).await;
    assert_eq!(scene.state(carrier.id).await, "failed");
    assert_eq!(registered(&scene), each_once(4));
    assert_eq!(carriers(&scene.store, &jobs).await.len(), 4);
    assert_eq!(sizes(&scene), [4, 1, 1, 1, 1]);
}

/// The events of one transaction bind by their place in it, also where two jobs have the same CID.
#[tokio::test]
async fn each_request_of_a_carrier_binds_to_the_job_at_its_place() {
    let scene = Scene::new().await;
    // Twice the same CID with different terms: only the place tells them apart.
    let wanted = [(1, 1), (2, 2), (1, 3), (3, 4)];
    let mut jobs = Vec::new();
    for (number, target) in wanted {
        jobs.push(register(&scene, number, target).await);
    }
    scene.work().await;
    let [carrier] = scene.store.open_txs(None).await.expect("readable").try_into().expect("one");
    let hash = carrier.signed[0].hash.clone();
    let request = |number: u64, request: u64, position: u64| NewJob {
        owner: OwnerId("0xnode".to_owned()),
        source: JobSource::Contract {
            contract: CONTRACT,
            request: RequestId(request),
            transaction: hash.clone(),
            block: Epoch(900),
            policy_known: true,
        },
        on_chain: None,
        position: Some(position),
        ..new_job(&scene, number, 1)
    };
    // The first one's request was closed before it was seen, so the third is the first of its CID that is told. What
    // claims another place than its CID has is nobody's.
    let seen = [request(2, 11, 1), request(1, 12, 2), request(3, 13, 3), request(3, 14, 0)];
    for _ in 0..2 {
        let done = scene.store.apply_window(CONTRACT, &json!(1), &seen, &[]).await.expect("applied");
        let ids: Vec<JobId> = done
            .iter()
            .map(|one| match one {
                Registered::Created { job, .. } | Registered::AlreadyExists { job, .. } => *job,
            })
            .collect();
        assert_eq!(ids[..3], [jobs[1], jobs[2], jobs[3]]);
        assert!(!jobs.contains(&ids[3]), "a stranger's");
    }
    let mut bound = Vec::new();
    for job in &jobs {
        let job = scene.store.job(*job).await.expect("readable").expect("there");
        bound.push(job.request.map(|at| at.request.0));
    }
    assert_eq!(bound, [None, Some(11), Some(12), Some(13)]);
}

/// The process dies at each point of the way, again and again: with the contract's refusal of the whole, and without.
#[tokio::test]
async fn at_every_death_each_job_is_in_exactly_one_transaction() {
    let refuses: fn(&TxIntent) -> Option<NoQuote> = |intent| {
        matches!(intent, TxIntent::SubmitMany { .. }).then(|| NoQuote::Refused("not together".to_owned()))
    };
    for refuses in [None, Some(refuses)] {
        let mut died = 0;
        for last in 0.. {
            let scene = Scene::new().await;
            scene.script.chain().refuses = refuses;
            jobs(&scene, 3).await;
            let passed = AtomicU32::new(0);
            let death = Arc::new(Notify::new());
            let told = Arc::clone(&death);
            let dies = move || {
                let dead = passed.fetch_add(1, Ordering::Relaxed) >= last;
                if dead {
                    told.notify_one();
                }
                dead
            };
            let over = tokio::select! {
                () = failpoint::with_deaths(dies, scene.pass(3)) => true,
                () = death.notified() => false,
            };
            died += u32::from(!over);
            let next = scene.successor().await;
            next.pass(LAG + 60).await;
            assert_eq!(registered(&next), each_once(3), "killed at point {last}");
            assert!(next.script.chain().pool.is_empty(), "killed at point {last}");
            if over {
                break;
            }
        }
        assert!(died > 8, "{died} deaths");
    }
}
