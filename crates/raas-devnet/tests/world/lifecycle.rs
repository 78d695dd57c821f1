//! One deal in each of its phases, as the RPC shows it: the table of exit codes.

use crate::network::{BOOST, CURIO, Network};
use raas_core::{ids::DealId, units::AttoFil};
use raas_devnet::{
    codec::{Bitfield, method_number, to_cbor},
    ledger::Fact,
    provider::Mode,
    world::{Command, Sectors, StateAt},
};
use serde_json::{Value, json};

/// Exit of GetDealActivation and GetDealSector, and whether StateMarketStorageDeal finds the deal.
fn shown(network: &mut Network, deal: DealId) -> (i64, i64, bool) {
    let activation = network.getter("GetDealActivation", deal).0;
    let sector = network.getter("GetDealSector", deal).0;
    let found = network.call("Filecoin.StateMarketStorageDeal", json!([deal, null]));
    if let Err(error) = &found {
        let text = format!(
            "deal {deal} not found - deal may not have completed sealing before deal proposal start epoch, or deal \
             may have been slashed"
        );
        assert_eq!((error.code, error.message.as_str()), (1, text.as_str()));
    }
    (activation, sector, found.is_ok())
}

fn state(network: &mut Network, deal: DealId) -> Value {
    network.ask("Filecoin.StateMarketStorageDeal", json!([deal, null]))["State"].clone()
}

#[test]
fn published_active_ended_settled() {
    let mut network = Network::new();
    let next = network.world.market().next_id(StateAt(i64::MAX));
    assert_eq!(shown(&mut network, next), (17, 17, false));
    assert_eq!(shown(&mut network, DealId(1)), (32, 32, false), "an id of before this world");

    let deal = network.published(BOOST, 1);
    network.advance(1);
    assert_eq!(shown(&mut network, deal), (0, 33, true));
    assert_eq!(network.getter("GetDealActivation", deal).1, "giAg", "(-1, -1)");
    let unset =
        json!({ "SectorNumber": 0, "SectorStartEpoch": -1, "LastUpdatedEpoch": -1, "SlashEpoch": -1 });
    assert_eq!(state(&mut network, deal), unset);

    network.advance(60);
    assert_eq!(shown(&mut network, deal), (0, 0, true));
    let activated = network.clock() - 1;
    let active = json!({
        "SectorNumber": 0, "SectorStartEpoch": activated, "LastUpdatedEpoch": -1, "SlashEpoch": -1,
    });
    assert_eq!(state(&mut network, deal), active);

    let (client, provider) = (network.client_id(), BOOST.0);
    let proposal = network.world.market().deal(deal, StateAt(i64::MAX)).unwrap().0.proposal.clone();
    let owed = proposal.client_balance_needed();
    let locked = network.world.market().balance(client, network.world.at_head()).locked;
    assert_eq!(locked, owed);
    let earned_before = network.world.market().balance(provider, network.world.at_head()).escrow;

    network.advance_to(proposal.end.0 + 10);
    assert_eq!(shown(&mut network, deal), (0, 0, true), "ended, not settled");
    network.advance_to(proposal.end.0 + 2_880 + 1);
    assert_eq!(shown(&mut network, deal), (32, 32, false), "settled");
    let settled = network.clock() - 1;
    assert_eq!(network.event_types(settled, settled), ["deal-completed"]);
    let at = network.world.at_head();
    let after = network.world.market().balance(client, at);
    assert_eq!(after.locked, AttoFil::ZERO);
    assert_eq!(AttoFil::fil(10).minus(after.escrow), owed);
    let earned = network.world.market().balance(provider, at);
    assert_eq!(earned.escrow.minus(earned_before), owed);
    assert_eq!(earned.locked, AttoFil::ZERO);
}

#[test]
fn an_ended_deal_stays_in_state_until_somebody_settles_it() {
    let mut network = Network::new();
    let (deal, _) = network.active(CURIO, 1);
    let end = network.world.market().deal(deal, StateAt(i64::MAX)).unwrap().0.proposal.end.0;
    network.advance_to(end + 100_000);
    assert_eq!(shown(&mut network, deal), (0, 0, true));
    assert_eq!(state(&mut network, deal)["SlashEpoch"], -1);
    let ids: Bitfield = [deal.0].into_iter().collect();
    let settle = method_number("SettleDealPayments");
    network.send(settle, AttoFil::ZERO, to_cbor(&ids).unwrap()).unwrap();
    network.advance(2);
    assert_eq!(shown(&mut network, deal), (32, 32, false));
}

#[test]
fn a_deal_that_misses_its_start_lingers_and_is_cleaned_within_thirty_days() {
    let mut network = Network::new();
    network.set_mode(BOOST, Mode::NeverSeal);
    let deal = network.published(BOOST, 1);
    let (start, collateral) = {
        let stored = network.world.market().deal(deal, StateAt(i64::MAX)).unwrap().0;
        (stored.proposal.start.0, stored.proposal.provider_collateral)
    };
    network.advance_to(start + 2);
    assert_eq!(shown(&mut network, deal), (0, 33, true), "dead, but the record lingers");
    assert!(network.facts().iter().any(|fact| matches!(fact, Fact::NeverActivated { .. })));
    network.advance_to(start + 86_402);
    assert_eq!(shown(&mut network, deal), (32, 32, false));
    let types = network.event_types(network.clock() - 2_880, network.clock() - 1);
    assert!(types.is_empty(), "{types:?}");
    let at = network.world.at_head();
    let client = network.world.market().balance(network.client_id(), at);
    assert_eq!((client.escrow, client.locked), (AttoFil::fil(10), AttoFil::ZERO));
    let provider = network.world.market().balance(BOOST.0, at);
    assert_eq!((provider.escrow, provider.locked), (AttoFil::fil(1_000).minus(collateral), AttoFil::ZERO));
}

#[test]
fn termination_by_message_removes_the_deal_and_leaves_the_sector_listed_as_dead() {
    let mut network = Network::new();
    let (deal, sector) = network.active(BOOST, 1);
    network.advance(20_000);
    let terminated = Command::Terminate(Sectors { provider: BOOST, sectors: Some(vec![sector]) });
    network.apply(terminated);
    network.advance(1);
    let at = network.clock();
    assert_eq!(shown(&mut network, deal), (0, 0, true), "its own tipset shows it still");
    network.advance(1);
    assert_eq!(shown(&mut network, deal), (32, 32, false));
    assert_eq!(network.event_types(at, at), ["sector-terminated", "deal-terminated"]);
    let listed = network.ask("Filecoin.StateSectorGetInfo", json!(["f01000", sector, null]));
    assert_eq!(listed["SectorNumber"], sector.0, "non-null does not mean alive");
    let gone = network.call("Filecoin.StateSectorExpiration", json!(["f01000", sector, null]));
    assert!(gone.expect_err("terminated").message.contains("failed to find sector"));
    let (exit, location) =
        network.actor_call("f01000", "GenerateSectorLocation", &to_cbor(&(sector.0,)).unwrap());
    assert_eq!(exit, 0);
    assert!(location.as_str().unwrap().starts_with("ggB"), "status 0, dead: {location}");
    // The client paid for the time served and has the rest free again.
    let balance = network.world.market().balance(network.client_id(), network.world.at_head());
    assert_eq!(balance.locked, AttoFil::ZERO);
    let paid = network.facts().into_iter().find_map(|fact| match fact {
        Fact::Paid { amount, .. } => Some(*amount),
        _ => None,
    });
    assert_eq!(Some(AttoFil::fil(10).minus(balance.escrow)), paid);
}

#[test]
fn every_getter_answers_with_what_was_agreed() {
    use raas_devnet::codec::{TokenAmount, from_cbor};
    let mut network = Network::new();
    let (deal, sector) = network.active(BOOST, 1);
    network.advance(1);
    let proposal = network.world.market().deal(deal, StateAt(i64::MAX)).unwrap().0.proposal.clone();
    let read = |network: &mut Network, name: &str| {
        use base64::{Engine as _, engine::general_purpose::STANDARD};
        let (exit, ret) = network.getter(name, deal);
        assert_eq!(exit, 0, "{name}");
        STANDARD.decode(ret.as_str().unwrap()).unwrap()
    };
    let client = network.client_id();
    let expected = [
        ("GetDealClient", to_cbor(&client.0)),
        ("GetDealProvider", to_cbor(&1_000_u64)),
        ("GetDealLabel", to_cbor(&proposal.label)),
        ("GetDealTerm", to_cbor(&(proposal.start.0, proposal.duration()))),
        ("GetDealTotalPrice", to_cbor(&TokenAmount(proposal.client_balance_needed()))),
        ("GetDealClientCollateral", to_cbor(&TokenAmount(AttoFil::ZERO))),
        ("GetDealProviderCollateral", to_cbor(&TokenAmount(proposal.provider_collateral))),
        ("GetDealVerified", to_cbor(&false)),
        ("GetDealSector", to_cbor(&sector.0)),
        ("GetDealDataCommitment", to_cbor(&(proposal.piece_cid, proposal.piece_size))),
    ];
    for (name, value) in expected {
        assert_eq!(read(&mut network, name), value.unwrap(), "{name}");
    }
    let (activated, terminated): (i64, i64) = from_cbor(&read(&mut network, "GetDealActivation")).unwrap();
    assert_eq!((activated, terminated), (network.clock() - 1, -1));
}

#[test]
fn pieces_that_fill_a_sector_each_get_their_own() {
    use raas_core::units::PaddedSize;
    use raas_devnet::{
        codec::{Commitment, Piece},
        world::Phase,
    };
    let mut network = Network::new();
    let mut sectors = Vec::new();
    let mut cids = Vec::new();
    for byte in 1..=2 {
        let padded_size = PaddedSize::new(32 << 30).unwrap();
        let piece = Piece { commitment: Commitment([byte; 32]), padded_size, payload_size: 34_000_000_000 };
        let signed = network.sign(network.proposal(BOOST, &piece));
        cids.push(signed.proposal.cid().unwrap());
        assert!(network.offer(signed, &piece));
    }
    network.advance(100);
    for cid in &cids {
        let Some((_, Phase::Active { sector, .. })) = network.world.deal_by_proposal(cid) else {
            panic!("{cid}")
        };
        sectors.push(sector.0);
    }
    sectors.sort_unstable();
    assert_eq!(sectors, [0, 1]);
    network.advance(1);
    let (one, other) = {
        let miner = network.world.miner(BOOST).unwrap();
        let counts = miner.counts(network.world.at_head());
        (counts.live, counts.active)
    };
    assert_eq!((one, other), (2, 0), "new sectors are live and not proven yet");
}
