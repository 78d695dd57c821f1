//! Every request of a holding is shown every proven deal, once.

use crate::model::build::{FAR, NOW, holding_with, lost, proven, published, round, sick, unknown};
use crate::model::text::wanted;
use proptest::prelude::*;
use raas_core::holding::{Attestation, Holding};
use raas_core::ids::{DealId, RequestId};

fn request(number: u64, done: &[u64]) -> Attestation {
    Attestation { request: RequestId(number), done: done.iter().map(|deal| DealId(*deal)).collect() }
}

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
    holding.attestations = vec![request(1, &[500_001]), request(2, &[])];
    assert_eq!(
        attested(&holding),
        [
            "attest deal 500002 for request 1, not attested, Normal",
            "attest deal 500001 for request 2, not attested, Normal",
            "attest deal 500002 for request 2, not attested, Normal",
        ]
    );
    holding.attestations = vec![request(1, &[500_001, 500_002])];
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
        holding.attestations = vec![request(1, &done)];
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
