//! Every request of a holding is shown every proven deal, once.

use crate::model::build::{
    FAR, NOW, attestation, commitment, holding_with, lost, proven, published, round, sick, unknown,
};
use crate::model::text::wanted;
use proptest::prelude::*;
use raas_core::fleet::Rules;
use raas_core::holding::{Attestation, Completes, Holding, Unserved};
use raas_core::ids::{ContractAddress, OrderId};
use raas_core::order::{Order, Within};
use raas_core::plan::{WaitFor, Wanted};
use raas_core::policy::Duties;
use raas_core::units::PaddedSize;
use raas_core::want::want;

fn attested(holding: &Holding) -> Vec<String> {
    wanted(holding, &round(NOW)).into_iter().filter(|line| line.starts_with("attest")).collect()
}

#[test]
fn each_request_gets_each_proven_deal() {
    let mut holding = holding_with(
        1,
        vec![
            vec![proven(1, 1_000, FAR)],
            vec![proven(2, 1_010, FAR), published(3, 1_010)],
            vec![sick(4, 1_020)],
        ],
    );
    assert_eq!(attested(&holding), Vec::<String>::new(), "no request, nothing to attest");
    holding.attestations = vec![attestation(1, &[500_001]), attestation(2, &[])];
    assert_eq!(
        attested(&holding),
        [
            "attest deal 500002 for request 1, not attested, Normal",
            "attest deal 500001 for request 2, not attested, Normal",
            "attest deal 500002 for request 2, not attested, Normal",
        ]
    );
    holding.attestations = vec![attestation(1, &[500_001, 500_002])];
    assert_eq!(attested(&holding), Vec::<String>::new());
}

proptest! {
    #[test]
    fn nothing_but_proven_deals_and_none_twice(kinds in proptest::collection::vec(0_u8..5, 3), done in proptest::collection::vec(500_001_u64..500_004, 0..3)) {
        let slots = (1_u64..).zip(&kinds).map(|(id, kind)| vec![match kind {
            0 => sick(id, 1_000 + 10 * id),
            1 => unknown(id, 1_000 + 10 * id, FAR),
            2 => lost(id, 1_000 + 10 * id),
            3 => published(id, 1_000 + 10 * id),
            _ => proven(id, 1_000 + 10 * id, FAR),
        }]).collect();
        let mut holding = holding_with(1, slots);
        holding.attestations = vec![attestation(1, &done)];
        let expected: Vec<String> = (500_001_u64..)
            .zip(&kinds)
            .filter(|(deal, kind)| **kind == 4 && !done.contains(deal))
            .map(|(deal, _)| format!("attest deal {deal} for request 1"))
            .collect();
        let lines = attested(&holding);
        prop_assert_eq!(lines.len(), expected.len());
        for (line, expected) in lines.iter().zip(expected) {
            prop_assert!(line.starts_with(&expected), "{} {}", line, expected);
        }
    }
}

#[test]
fn what_a_contract_does_not_take_is_said_once_and_not_sent() {
    let mut holding = holding_with(1, vec![vec![proven(1, 1_000, FAR)], vec![proven(2, 1_010, FAR)]]);
    let waits = |holding: &Holding| {
        let (wants, waits) = want(holding, &round(NOW), &Rules::default());
        assert!(!wants.iter().any(|want| matches!(want.what, Wanted::Attest { .. })), "{wants:?}");
        waits.into_iter().map(|wait| wait.for_).collect::<Vec<_>>()
    };
    let mut reference = attestation(7, &[]);
    reference.completes = Some(Completes::InAggregate);
    let at = reference.at;
    holding.attestations = vec![reference.clone()];
    let said = waits(&holding);
    assert_eq!(
        said.iter().filter(|wait| **wait == WaitFor::CompletesInAggregate { at }).count(),
        1,
        "{said:?}"
    );
    let unfollowed = Attestation { completes: None, ..reference };
    holding.attestations = vec![unfollowed];
    assert!(waits(&holding).contains(&WaitFor::ContractNotFollowed { at }));
}

#[test]
fn a_deal_that_is_an_aggregate_is_shown_to_both_kinds_of_contract() {
    let around = Within { aggregate: commitment(77), size: PaddedSize::new(1 << 21).expect("a size") };
    let enclosed = Order { within: Some(around), ..proven(1, 1_000, FAR) };
    let mut holding = holding_with(1, vec![vec![enclosed], vec![proven(2, 1_010, FAR)]]);
    let mut shown = |completes| {
        let attestation = Attestation { completes: Some(completes), ..attestation(7, &[]) };
        holding.attestations = vec![attestation];
        let (wants, waits) = want(&holding, &round(NOW), &Rules::default());
        let deals: Vec<OrderId> = wants
            .iter()
            .filter_map(|want| match want.what {
                Wanted::Attest { order, .. } => Some(order),
                _ => None,
            })
            .collect();
        let waits = waits.iter().any(|wait| matches!(wait.for_, WaitFor::CompletesInAggregate { .. }));
        (deals, waits)
    };
    assert_eq!(shown(Completes::InAggregate), (vec![OrderId(1)], true), "the whole deal cannot be");
    assert_eq!(shown(Completes::Direct), (vec![OrderId(1), OrderId(2)], false));
}

#[test]
fn the_same_request_id_of_two_contracts_is_two_requests() {
    let mut holding = holding_with(1, vec![vec![proven(1, 1_000, FAR)]]);
    let mut other = attestation(7, &[]);
    other.at.contract = ContractAddress([0xc1; 20]);
    holding.attestations = vec![attestation(7, &[]), other.clone()];
    let (wants, _) = want(&holding, &round(NOW), &Rules::default());
    let of: Vec<_> = wants
        .iter()
        .filter_map(|want| match want.what {
            Wanted::Attest { at, .. } => Some(at),
            _ => None,
        })
        .collect();
    assert_eq!(of, [attestation(7, &[]).at, other.at]);
}

#[test]
fn a_holding_of_jobs_that_are_not_served_wants_nothing_and_says_why() {
    let mut holding = holding_with(1, vec![vec![]]);
    let at = attestation(7, &[]).at;
    let mut other = attestation(8, &[]).at;
    other.contract = ContractAddress([0xc1; 20]);
    holding.unserved = vec![Unserved::PolicyUnknown { at }, Unserved::PolicyUnknown { at: other }];
    let (wants, waits) = want(&holding, &round(NOW), &Rules::default());
    assert!(!wants.is_empty(), "another job is served");
    assert!(waits.iter().any(|wait| wait.for_ == WaitFor::Unserved(holding.unserved[1])));
    holding.duties = Duties::default();
    let (wants, waits) = want(&holding, &round(NOW), &Rules::default());
    assert_eq!(wants, []);
    let said: Vec<_> = waits.into_iter().map(|wait| wait.for_).collect();
    assert_eq!(said, holding.unserved.iter().map(|why| WaitFor::Unserved(*why)).collect::<Vec<_>>());
}

/// Three deals of one part are no three copies of the data, and a contract's reader would count them so; nor does a contract
/// take deals of two pieces for one request.
#[test]
fn of_data_in_parts_a_contract_is_shown_one_part_as_often_as_there_are_all() {
    let part = |number: u64, deals: &[u64]| {
        let slots = deals.iter().map(|&deal| vec![proven(deal, 1_000 + 10 * deal, FAR)]).collect();
        let mut part = holding_with(1, slots).pieces.remove(0);
        part.piece.commitment = commitment(number);
        part
    };
    let mut holding = holding_with(1, Vec::new());
    holding.attestations = vec![attestation(1, &[])];
    let at = holding.attestations[0].at;
    let waits = |holding: &Holding| {
        let (_, waits) = want(holding, &round(NOW), &Rules::default());
        waits.iter().filter(|wait| matches!(wait.for_, WaitFor::InParts { .. })).cloned().collect::<Vec<_>>()
    };

    // The first part has no copy, whatever the last one has.
    holding.pieces = vec![part(1, &[]), part(2, &[4, 5, 6])];
    assert_eq!(attested(&holding), Vec::<String>::new());
    let [wait] = waits(&holding).try_into().expect("one for the request");
    assert_eq!((wait.for_, wait.part), (WaitFor::InParts { at, whole: 0 }, Some(commitment(2))));
    let (wants, _) = want(&holding, &round(NOW), &Rules::default());
    let copies = wants.iter().filter(|want| matches!(want.what, Wanted::Copy(_)));
    let of_first = copies.clone().filter(|want| want.part == Some(commitment(1)));
    assert_eq!(of_first.count(), holding.policy.replicas.target as usize);
    assert!(copies.clone().all(|want| want.part.is_some()));

    // One copy of all: one deal, of the part with the root.
    holding.pieces = vec![part(1, &[1]), part(2, &[4, 5, 6])];
    assert_eq!(attested(&holding), ["attest deal 500004 for request 1, not attested, Normal"]);
    holding.attestations = vec![attestation(1, &[500_004])];
    assert_eq!(attested(&holding), Vec::<String>::new(), "no more than that");
    // The other part's copies do not come into it once they are enough.
    holding.pieces = vec![part(1, &[1, 2, 3]), part(2, &[4, 5, 6])];
    assert_eq!(attested(&holding).len(), 2);
    assert_eq!(waits(&holding), []);
    // A copy that is not proven is none, and the successor in a place that is shown is no further copy.
    holding.pieces[0].slots[0].generations = vec![sick(1, 1_010)];
    holding.pieces[1].slots[0].generations.push(proven(7, 1_040, FAR));
    holding.attestations = vec![attestation(1, &[500_004, 500_005])];
    assert_eq!(attested(&holding), ["attest deal 500007 for request 1, not attested, Normal"]);
    assert_eq!(waits(&holding).len(), 1, "the third place");
}
