//! How long orders took: of each provider the newest, of orders of ours alone.

use crate::support::{active, held, on_chain, ordered, put, store};
use raas_core::health::Health;
use raas_core::ids::ProviderId;
use raas_core::order::OrderState;
use raas_core::units::Epochs;

fn lead(provider: u64, epochs: i64) -> (ProviderId, Epochs) {
    (ProviderId::new(provider), Epochs::new(epochs).unwrap())
}

#[tokio::test]
async fn the_newest_of_each_provider_from_plan_to_first_seen_active() {
    let store = store().await;
    assert_eq!(store.lead_samples(9).await.unwrap(), []);
    // Each is planned at 100, and its term starts at 9,000.
    for (number, provider, seen) in [(1, 1_000, 400), (2, 1_000, 700), (3, 1_001, 500), (4, 1_000, 12_000)] {
        let holding = held(&store, number).await;
        let order = ordered(&store, holding, 0, number, provider).await;
        let state = |seen| on_chain(number + 50, Health::Proven, seen);
        put(&store, order, OrderState::Published(on_chain(number + 50, Health::Pending, 300))).await;
        put(&store, order, OrderState::Active(state(seen))).await;
        put(&store, order, OrderState::Active(state(seen + 5_000))).await;
    }
    let holding = held(&store, 5).await;
    let planned = ordered(&store, holding, 0, 5, 1_002).await;
    // Who was away saw it late: it was active when its term began.
    let all = [lead(1_000, 8_900), lead(1_000, 600), lead(1_000, 300), lead(1_001, 400)];
    assert_eq!(store.lead_samples(9).await.unwrap(), all);
    assert_eq!(store.lead_samples(2).await.unwrap(), [all[0], all[1], all[3]]);
    put(&store, planned, active(99)).await;
    assert_eq!(store.lead_samples(1).await.unwrap(), [all[0], all[3], lead(1_002, 0)]);
}
