//! Verified f05 deals: DataCap set aside by the market when they are published, claimed when they are activated.

use crate::network::{BOOST, CURIO, Network, piece};
use crate::registry::{MIB, with_datacap};
use cid::Cid;
use raas_core::ids::{DealId, ProviderId};
use raas_core::units::Epoch;
use raas_devnet::Config;
use raas_devnet::codec::DealProposal;
use raas_devnet::ledger::Fact;
use raas_devnet::world::{Command, Phase, StateAt};
use serde_json::{Value, json};

const DAY: i64 = 2_880;

/// Offers a verified deal; its proposal's CID, and whether the provider takes it.
fn offer(network: &mut Network, at: ProviderId, seed: u8, change: fn(&mut DealProposal)) -> (Cid, bool) {
    let piece = piece(seed);
    let mut proposal = DealProposal { verified: true, ..network.proposal(at, &piece) };
    change(&mut proposal);
    let cid = proposal.cid().unwrap();
    let signed = network.sign(proposal);
    (cid, network.offer(signed, &piece))
}

fn pending(network: &mut Network, deal: DealId) -> Value {
    network.ask("Filecoin.StateGetAllocationForPendingDeal", json!([deal, null]))
}

fn datacap(network: &mut Network) -> Value {
    let client = network.client.address().to_string();
    network.ask("Filecoin.StateVerifiedClientStatus", json!([client, null]))
}

#[test]
fn datacap_waits_with_a_published_deal_and_is_claimed_by_its_sector() {
    let mut network = with_datacap(5);
    let (cid, taken) = offer(&mut network, BOOST, 1, |_| ());
    assert!(taken);
    let from = network.clock();
    network.advance(network.world.config().publish_delay + 1);
    let deal = network.world.deal_by_proposal(&cid).unwrap().0.clone();
    let (id, proposal) = (deal.id, deal.proposal);
    let shown = network.ask("Filecoin.StateMarketStorageDeal", json!([id, null]));
    assert_eq!(shown["Proposal"]["VerifiedDeal"], true);
    let duration = proposal.duration();
    let allocation = json!({
        "Client": network.client_id().0, "Provider": BOOST.number(), "Data": { "/": proposal.piece_cid.to_string() },
        "Size": 2 * MIB, "TermMin": duration, "TermMax": duration + 90 * DAY, "Expiration": proposal.start.0,
    });
    assert_eq!(pending(&mut network, id), allocation);
    let client = network.client.address().to_string();
    assert_eq!(
        network.ask("Filecoin.StateGetAllocations", json!([client, null])),
        json!({ "1": allocation })
    );
    assert_eq!(datacap(&mut network), json!((3 * MIB).to_string()));
    assert_eq!(network.getter("GetDealVerified", id), (0, json!("9Q==")), "true");
    assert!(pending(&mut network, DealId(id.0 + 1)).is_null(), "one that is not there");

    network.advance(network.world.config().seal_delay + 1);
    assert!(pending(&mut network, id).is_null(), "it is active");
    assert_eq!(network.ask("Filecoin.StateGetAllocations", json!([client, null])), json!({}));
    let claim = network.ask("Filecoin.StateGetClaim", json!(["f01000", 1, null]));
    assert_eq!(
        (&claim["Data"], &claim["TermMin"], &claim["Sector"]),
        (&json!({ "/": proposal.piece_cid.to_string() }), &json!(duration), &json!(0))
    );
    assert_eq!(datacap(&mut network), json!((3 * MIB).to_string()), "burnt, not given back");
    let told = network.event_types(from, network.clock() - 1);
    let of =
        |name: &str| told.iter().position(|told| told == name).unwrap_or_else(|| panic!("{name}: {told:?}"));
    assert!(of("allocation") < of("deal-published"), "{told:?}");
    assert!(of("claim") < of("deal-activated"), "{told:?}");
    // A deal that is not verified has none at any time.
    let plain = network.published(CURIO, 9);
    network.advance(1);
    assert!(pending(&mut network, plain).is_null());
}

#[test]
fn without_enough_datacap_there_is_no_verified_deal() {
    let mut network = with_datacap(3);
    assert!(offer(&mut network, BOOST, 1, |_| ()).1, "2 of 3 MiB");
    // The provider still sees 3, since nothing is published yet; the market counts.
    let (second, taken) = offer(&mut network, BOOST, 2, |_| ());
    assert!(taken);
    network.advance(network.world.config().publish_delay + 1);
    assert!(network.world.deal_by_proposal(&second).is_none());
    let skipped = |fact: &&Fact| matches!(fact, Fact::PublishSkipped { reason, .. } if reason.contains("DataCap 1048576"));
    assert_eq!(network.facts().into_iter().filter(skipped).count(), 1);
    assert!(!offer(&mut network, BOOST, 3, |_| ()).1, "1 MiB is left, and the provider knows");
}

/// Where the start is further than sixty days, the allocation expires before it, and the deal with it.
#[test]
fn a_deal_whose_allocation_has_expired_is_not_activated() {
    let mut network = Network::with(&Config { seal_delay: 61 * DAY, ..Config::default() });
    let address = network.client.address().to_string();
    network.apply(Command::Datacap { address, bytes: 5 * MIB });
    network.advance(2);
    let (cid, taken) = offer(&mut network, BOOST, 1, |proposal| {
        let length = proposal.end.0 - proposal.start.0;
        proposal.start = Epoch(proposal.start.0 + 70 * DAY);
        proposal.end = Epoch(proposal.start.0 + length);
    });
    assert!(taken);
    network.advance(network.world.config().publish_delay + 1);
    let id = network.world.deal_by_proposal(&cid).unwrap().0.id;
    let expires = pending(&mut network, id)["Expiration"].as_i64().unwrap();
    assert_eq!(expires - network.clock(), 60 * DAY - 1, "sixty days from the message on");
    // Its provider proves a sector for it after that, and before its start.
    network.advance_to(expires + 2 * DAY);
    let phase = network.world.market().deal(id, StateAt(i64::MAX)).unwrap().1;
    assert!(matches!(phase, Phase::Published), "{phase:?}");
}

#[test]
fn since_version_29_the_flag_means_nothing() {
    let mut network = with_datacap(5);
    let (before, _) = offer(&mut network, BOOST, 1, |_| ());
    network.advance(network.world.config().publish_delay + 1);
    let before = network.world.deal_by_proposal(&before).unwrap().0.id;
    assert!(pending(&mut network, before).is_object());
    network.apply(Command::Upgrade);
    network.advance(2);
    assert!(pending(&mut network, before).is_null(), "what waits is dropped");
    let (after, taken) = offer(&mut network, CURIO, 2, |_| ());
    assert!(taken, "whatever the DataCap");
    network.advance(100);
    let after = network.world.deal_by_proposal(&after).unwrap().0.id;
    assert!(pending(&mut network, after).is_null());
    network.advance(network.world.config().seal_delay + 100);
    for id in [before, after] {
        let phase = network.world.market().deal(id, StateAt(i64::MAX)).unwrap().1;
        assert!(matches!(phase, Phase::Active { .. }), "{id}: {phase:?}");
    }
    assert_eq!(network.ask("Filecoin.StateGetClaims", json!(["f01000", null])), json!({}));
}
