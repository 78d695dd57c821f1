//! Reading the devnet: pins, deals, sectors, providers, through honest and lying endpoints.

use crate::server::gateway;
use crate::support::{Net, PROVIDER, control, endpoint, pool, start_devnet};
use raas_clients::clock::DevnetClock;
use raas_clients::filecoin::{IdentityError, LotusChain, identify};
use raas_clients::key::Key;
use raas_clients::rpc::EndpointConfig;
use raas_core::gate::Hold;
use raas_core::ids::ActorId;
use raas_core::ids::{DealId, OperatorId, ProviderId, SectorNumber};
use raas_core::observation::{DealSeen, NotSeen, ProviderSeen, Round, SectorSeen};
use raas_core::ports::{Chain, Clock, Look};
use raas_core::units::Epoch;
use serde_json::{Value, json};

/// One sector singly.
async fn alone(chain: &LotusChain, round: &Round, provider: ProviderId, sector: SectorNumber) -> SectorSeen {
    chain.sectors(round, provider, &[sector]).await.pop().expect("an answer")
}

#[tokio::test]
async fn the_network_is_identified_and_strangers_are_not_mixed() {
    let (one, other) = (start_devnet(1).await, start_devnet(2).await);
    let alone = pool(&[endpoint(&one)], 1);
    let identity = identify(&alone).await.expect("a network");
    assert_eq!(identity.chain_id, 31_415_926);
    assert_eq!(identity.network_name, "raas-devnet");
    assert_eq!(identity.block_delay_secs, 30);
    assert!(identity.genesis_cid.starts_with("bafy2bzace"), "{identity:?}");
    let now = DevnetClock::connect(endpoint(&one)).await.expect("a clock").now().await;
    assert_eq!(now.unix_seconds, identity.genesis_unix + now.epoch.0 * 30);
    let mixed = pool(&[endpoint(&one), endpoint(&other)], 1);
    let mixed = identify(&mixed).await;
    assert!(
        matches!(mixed, Err(IdentityError::Differ { .. })),
        "two seeds have two genesis blocks: {mixed:?}"
    );
}

#[tokio::test]
async fn a_pin_is_finalized_and_names_the_block_below() {
    let net = Net::start().await;
    let before = net.round().await;
    control(&net.pool, "devnet_nullRounds", json!([3])).await;
    net.advance(10).await;
    let after = net.round().await;
    assert_eq!((after.agreed, after.asked), (1, 1));
    assert_eq!(after.head.0 - before.head.0, 10);
    assert!(after.height < after.head && after.eth_block < after.height);
    let clock = DevnetClock::connect(endpoint(&net.devnet)).await.expect("a clock");
    assert_eq!(clock.now().await.epoch, after.head);
    // Once the null rounds are final, the block below the first tipset after them lies below them all.
    let mut gap = 0;
    for _ in 0..40 {
        net.advance(1).await;
        let round = net.round().await;
        gap = gap.max(round.height.0 - round.eth_block.0);
    }
    assert_eq!(gap, 4);
}

#[tokio::test]
async fn a_deal_is_seen_from_publication_to_termination() {
    let net = Net::funded().await;
    let (stored, deal, sector) = net.active_deal().await;
    let round = net.round().await;
    let seen = net.deal(&round, deal).await;
    assert_eq!((seen.piece, seen.size), (stored.terms.piece, stored.terms.size));
    assert_eq!((seen.start, seen.end), (stored.terms.start, stored.terms.end));
    assert_eq!(seen.price_per_epoch, stored.terms.price_per_epoch);
    assert_eq!(seen.label, stored.terms.root.to_string());
    assert_eq!(seen.provider, PROVIDER);
    assert_eq!(Some(seen.client), net.chain.client_id().await.expect("an answer"));
    let next = net.chain.next_deal(&round).await.expect("an id");
    assert_eq!(next, DealId(deal.0 + 1));
    assert_eq!(net.chain.deals(&round, &[next, deal]).await.len(), 2);
    assert_eq!(net.chain.deals(&round, &[next]).await, [DealSeen::NeverAllocated]);

    assert_eq!(net.chain.provider_seen(&round, PROVIDER, &[sector], &[]).await, ProviderSeen::Clear);
    assert_eq!(alone(&net.chain, &round, PROVIDER, sector).await, SectorSeen::Live);

    control(&net.pool, "devnet_fault", json!(["f01000", null])).await;
    net.advance(2_920).await;
    let round = net.round().await;
    let ProviderSeen::Except(rows) = net.chain.provider_seen(&round, PROVIDER, &[sector], &[]).await else {
        panic!("a fault is an exception")
    };
    let [(number, SectorSeen::Faulty { since: Some(since) })] = rows.as_slice() else { panic!("{rows:?}") };
    assert_eq!(*number, sector);
    assert!(*since <= round.height && since.0 > round.height.0 - 2_920, "{since} at {}", round.height);
    let singly = alone(&net.chain, &round, PROVIDER, sector).await;
    assert_eq!(singly, SectorSeen::Faulty { since: Some(*since) });
    let other = [SectorNumber(sector.0 + 1_000)];
    assert_eq!(net.chain.provider_seen(&round, PROVIDER, &other, &[]).await, ProviderSeen::Except(vec![]));

    control(&net.pool, "devnet_recover", json!(["f01000", null])).await;
    net.advance(2_920).await;
    let round = net.round().await;
    assert_eq!(net.chain.provider_seen(&round, PROVIDER, &[sector], &[]).await, ProviderSeen::Clear);

    control(&net.pool, "devnet_terminate", json!(["f01000", null])).await;
    net.advance(60).await;
    let round = net.round().await;
    assert_eq!(net.chain.deals(&round, &[deal]).await, [DealSeen::Gone]);
    assert_eq!(alone(&net.chain, &round, PROVIDER, sector).await, SectorSeen::Dead);
    // Fewer sectors live than are watched: which of them do not is told with the faults.
    let seen = net.chain.provider_seen(&round, PROVIDER, &[sector], &[]).await;
    assert_eq!(seen, ProviderSeen::Except(vec![(sector, SectorSeen::Dead)]));
    // A round pinned before the termination still sees what was.
    let unknown = SectorNumber(99_999);
    assert_eq!(alone(&net.chain, &round, PROVIDER, unknown).await, SectorSeen::Dead);
}

#[tokio::test]
async fn a_provider_tells_its_owner_and_where_it_listens() {
    let net = Net::start().await;
    let provider = net.provider().await;
    assert_eq!(provider.operator, OperatorId(ActorId(1100)));
    assert_eq!(provider.urls, [net.devnet.provider_urls()[&PROVIDER].clone()]);
    assert!(provider.sector_bytes.is_power_of_two());
    let round = net.round().await;
    let missing = raas_core::ids::ProviderId::new(9_999);
    assert!(net.chain.provider(&round, missing).await.is_err());
    // Its actor is gone: a witness of its own.
    let watched = [SectorNumber(1)];
    let gone = net.chain.provider_seen(&round, missing, &watched, &[]).await;
    assert_eq!(gone, ProviderSeen::Except(vec![(SectorNumber(1), SectorSeen::Dead)]));
    assert_eq!(alone(&net.chain, &round, missing, SectorNumber(1)).await, SectorSeen::Dead);
}

#[tokio::test]
async fn what_an_endpoint_hides_is_never_taken_for_truth_of_the_sector() {
    let net = Net::funded().await;
    let (_, deal, sector) = net.active_deal().await;
    let round = net.round().await;

    net.set_rpc("forgetDeals", None, None).await;
    assert_eq!(net.chain.deals(&round, &[deal]).await, [DealSeen::NeverAllocated]);
    assert_eq!(alone(&net.chain, &round, PROVIDER, sector).await, SectorSeen::Live);
    assert!(net.chain.next_deal(&round).await.expect("an id") > deal, "the denial is found out");

    net.set_rpc("forgetDeals32", None, None).await;
    assert_eq!(net.chain.deals(&round, &[deal]).await, [DealSeen::Gone]);
    assert_eq!(alone(&net.chain, &round, PROVIDER, sector).await, SectorSeen::Live, "no second witness");

    net.set_rpc("down", None, None).await;
    assert_eq!(net.chain.pin(&Look::default()).await, Err(Hold::NoEndpoint));
    assert_eq!(net.chain.deals(&round, &[deal]).await, [DealSeen::NotSeen(NotSeen::RpcFailed)]);
    let unseen = ProviderSeen::NotSeen(NotSeen::RpcFailed);
    assert_eq!(net.chain.provider_seen(&round, PROVIDER, &[sector], &[]).await, unseen);
    let unseen = SectorSeen::NotSeen(NotSeen::RpcFailed);
    assert_eq!(alone(&net.chain, &round, PROVIDER, sector).await, unseen);
    let clock = DevnetClock::connect(endpoint(&net.devnet)).await.expect("faults do not touch the clock");

    net.set_rpc("stale", None, None).await;
    net.advance(50).await;
    let stale = net.round().await;
    assert_eq!(clock.now().await.epoch.0 - stale.head.0, 50, "the clock tells that the head is old");

    net.set_rpc("normal", None, None).await;
    assert!(matches!(net.chain.deals(&round, &[deal]).await.as_slice(), [DealSeen::Present(_)]));
}

#[tokio::test]
async fn bad_news_needs_as_many_endpoints_as_must_agree() {
    let (one, two, odd) = (start_devnet(1).await, start_devnet(1).await, start_devnet(5).await);
    let ends = [endpoint(&one), endpoint(&two), endpoint(&odd)];
    let client = Key::from_bytes(&[7; 32]).expect("a key").native_address();
    let chain = |count: usize, wanted: usize| {
        LotusChain::new(pool(ends.get(..count).expect("three"), wanted), client.clone())
    };
    let both = chain(2, 2);
    let pin = both.pin(&Look::default()).await.expect("a pin");
    assert_eq!((pin.round.agreed, pin.round.asked, pin.wanted), (2, 2, 2), "same seed, same tipsets");

    // Ids below the first one of this network count as removed long ago.
    let old = [DealId(50)];
    assert_eq!(both.deals(&pin.round, &old).await, [DealSeen::Gone]);
    let first = pool(&ends[..1], 1);
    control(&first, "devnet_setRpc", json!(["forgetDeals"])).await;
    assert_eq!(both.deals(&pin.round, &old).await, [DealSeen::NotSeen(NotSeen::Contradiction)]);
    control(&first, "devnet_setRpc", json!(["down"])).await;
    assert_eq!(both.deals(&pin.round, &old).await, [DealSeen::NotSeen(NotSeen::RpcFailed)]);
    // Good news comes from one.
    assert_eq!(both.provider_seen(&pin.round, PROVIDER, &[], &[]).await, ProviderSeen::Clear);
    assert_eq!(
        both.pin(&Look::default()).await.expect("a pin").round.agreed,
        1,
        "the gate sees one where two are wanted"
    );
    control(&first, "devnet_setRpc", json!(["normal"])).await;

    let three = chain(3, 3).pin(&Look::default()).await.expect("a pin");
    assert_eq!((three.round.agreed, three.wanted), (2, 3), "one stands on another chain");
    let majority = chain(3, 2).pin(&Look::default()).await.expect("a pin");
    assert_eq!(majority.round.agreed, 2);
    assert_eq!(majority.round.tipset, pin.round.tipset);

    // One that stands still is outvoted where two suffice and holds all back where both are wanted.
    control(&first, "devnet_setRpc", json!(["stale"])).await;
    for end in &ends {
        control(&pool(std::slice::from_ref(end), 1), "devnet_advance", json!([30])).await;
    }
    assert_eq!(both.pin(&Look::default()).await.expect("a pin").round.head, pin.round.head);
    let moved = chain(2, 1).pin(&Look::default()).await.expect("a pin").round;
    assert_eq!(moved.head, Epoch(pin.round.head.0 + 30));
    assert_eq!(moved.agreed, 1);
}

fn refused() -> Value {
    json!({"error": {"code": -32601, "message": "method not found"}})
}

/// What public gateways leave out.
fn public_gateway(call: &Value) -> Option<Value> {
    match call["method"].as_str()? {
        "Filecoin.StateMinerFaults" | "Filecoin.StateMinerPartitions" | "Filecoin.StateSectorExpiration" => {
            Some(refused())
        }
        _ => None,
    }
}

/// A network before FIP-0112, on a full node without its own word on finality.
fn old_network(call: &Value) -> Option<Value> {
    match call["method"].as_str()? {
        "Filecoin.ChainGetFinalizedTipSet" | "eth_getBlockByNumber" => Some(refused()),
        "Filecoin.StateCall" if call["params"][0]["Method"] == 1_321_604_665_u64 => {
            Some(json!({"result": {"MsgRct": {"ExitCode": 22, "Return": null}}}))
        }
        _ => None,
    }
}

#[tokio::test]
async fn an_endpoint_that_offers_less_tells_the_same() {
    let net = Net::funded().await;
    let (_, _, sector) = net.active_deal().await;
    net.advance(1_000).await;
    let client = Key::from_bytes(&[7; 32]).expect("a key").native_address();
    let mut chains = Vec::new();
    for own in [public_gateway, old_network] {
        let url = gateway(net.devnet.rpc_url(), own).await;
        let end = EndpointConfig::new(url.parse().expect("a URL"));
        chains.push(LotusChain::new(pool(&[end], 1), client.clone()));
    }
    let [public, old] = chains.as_slice() else { panic!("two") };
    let round = net.round().await;
    assert_eq!(public.pin(&Look::default()).await.expect("a pin").round, round);
    let early = old.pin(&Look::default()).await.expect("a pin").round;
    assert_eq!(early.height.0, early.head.0 - 900, "no finality told: the depth that is always final");

    for chain in &chains {
        assert_eq!(alone(chain, &round, PROVIDER, sector).await, SectorSeen::Live);
    }
    control(&net.pool, "devnet_fault", json!(["f01000", null])).await;
    net.advance(2_920).await;
    let round = net.round().await;
    let full = alone(&net.chain, &round, PROVIDER, sector).await;
    assert!(matches!(full, SectorSeen::Faulty { since: Some(_) }), "{full:?}");
    assert_eq!(alone(old, &round, PROVIDER, sector).await, full, "through the partitions");
    assert_eq!(
        old.provider_seen(&round, PROVIDER, &[sector], &[]).await,
        ProviderSeen::Except(vec![(sector, full)])
    );
    let less = SectorSeen::Faulty { since: None };
    assert_eq!(alone(public, &round, PROVIDER, sector).await, less, "when it began is not told");
    assert_eq!(
        public.provider_seen(&round, PROVIDER, &[sector], &[]).await,
        ProviderSeen::Except(vec![(sector, less)])
    );

    control(&net.pool, "devnet_terminate", json!(["f01000", null])).await;
    net.advance(60).await;
    let round = net.round().await;
    for chain in &chains {
        assert_eq!(alone(chain, &round, PROVIDER, sector).await, SectorSeen::Dead);
    }
}
