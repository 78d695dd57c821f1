//! A contract's full list: what cannot be completed has it read again, and pruning that is not needed any more is dropped.

use crate::scene::{CONTRACT, Scene};
use crate::script::LAG;
use raas_core::ids::{DealId, OwnerId, ProviderId, RequestId};
use raas_core::policy::Duties;
use raas_core::ports::{NoQuote, TxIntent};
use raas_core::units::{Epoch, PaddedSize};
use raas_node::store::{JobSource, NewJob, TxId};

const CID: &str = "bafybeigdyrzt5sfp7udm7hu76uh7y26nf3efuylqabf3oclgtqy55fbzdi";
const PIECE: &str = "baga6ea4seaqao7s73y24kcutaosvacpdjgfe5pw76ooefnyqw4ynr3d2y6x2mpq";

/// A holding whose list was read, and a transaction for it.
async fn planned(scene: &Scene, intent: &TxIntent) -> TxId {
    let job = NewJob {
        owner: OwnerId::local(),
        cid: CID.parse().expect("a CID"),
        duties: Duties::ALL,
        policy: scene.engine.settings().default_policy.clone(),
        source: JobSource::Api,
        on_chain: None,
        position: None,
        at: Epoch(1_000),
        at_unix: 0,
        idempotency_key: None,
    };
    scene.store.register_job(&job).await.expect("registered");
    let [holding] = scene.store.unlisted(9).await.expect("readable").try_into().expect("one");
    scene.store.set_listed(holding.id, Epoch(900)).await.expect("stored");
    scene.store.plan_tx_for(&holding, intent, "one").await.expect("planned")
}

async fn unlisted(scene: &Scene) -> usize {
    scene.store.unlisted(9).await.expect("readable").len()
}

fn prune() -> TxIntent {
    TxIntent::Prune { contract: CONTRACT, cid: vec![1], deals: vec![DealId(3)] }
}

#[tokio::test]
async fn a_completion_that_finds_the_list_full_has_it_read_again_and_goes_when_there_is_room() {
    let scene = Scene::new().await;
    let complete = TxIntent::Complete {
        contract: Some(CONTRACT),
        request: RequestId(1),
        market: None,
        deal: DealId(7),
        provider: ProviderId::new(1_000),
        piece: PIECE.parse().expect("a piece"),
        size: PaddedSize::new(1 << 20).expect("a size"),
        within: None,
        proof: Vec::new(),
    };
    let id = planned(&scene, &complete).await;
    scene.script.chain().refuses = Some(|_| Some(NoQuote::Unknown("no answer".to_owned())));
    scene.work().await;
    assert_eq!(unlisted(&scene).await, 0, "that says nothing of the list");
    scene.script.chain().refuses = Some(|_| Some(NoQuote::ListFull("full".to_owned())));
    scene.pass(20).await;
    assert_eq!(unlisted(&scene).await, 1);
    assert_eq!(scene.waits(id).await, "full");
    scene.script.chain().refuses = None;
    scene.pass(2 * LAG + 60).await;
    assert_eq!(scene.state(id).await, "final");
}

#[tokio::test]
async fn pruning_that_the_contract_refuses_is_dropped_and_can_be_planned_anew() {
    let scene = Scene::new().await;
    let id = planned(&scene, &prune()).await;
    scene.script.chain().refuses = Some(|_| Some(NoQuote::Unknown("no answer".to_owned())));
    scene.work().await;
    assert!(scene.tx(id).await.open, "nobody has refused it");
    scene.script.chain().refuses = Some(|_| Some(NoQuote::Refused("DealNotListed".to_owned())));
    scene.pass(20).await;
    assert!(!scene.tx(id).await.open);
    assert_eq!(
        scene
            .store
            .steps(9)
            .await
            .expect("readable")
            .iter()
            .filter(|(step, _)| { matches!(step.kind, raas_node::store::StepKind::Send { .. }) })
            .count(),
        0
    );
    scene.script.chain().refuses = None;
    let again = scene.store.plan_tx(&prune(), "one").await.expect("planned");
    assert_ne!(again, id);
    assert_eq!(scene.store.plan_tx(&prune(), "one").await.expect("planned"), again, "once while it is open");
    scene.pass(LAG + 6).await;
    assert_eq!(scene.state(again).await, "final");
}
