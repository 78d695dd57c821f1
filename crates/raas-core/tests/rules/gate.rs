//! Rule 6: a closed gate starts nothing, whatever is wanted.

use crate::model::build::{NOW, fleet, holding, providers, round, rules};
use crate::model::text::plan_lines;
use proptest::prelude::*;
use raas_core::gate::{Hold, judge};
use raas_core::plan::plan;
use raas_core::units::Epoch;

#[test]
fn a_hold_is_the_whole_plan() {
    let holds = [
        Hold::NoEndpoint,
        Hold::HeadOld { head: Epoch(1), expected: Epoch(10) },
        Hold::Disagreement { agreed: 1, wanted: 2 },
        Hold::Contradiction,
    ];
    for hold in holds {
        let plan = plan(&[holding(1)], &fleet(providers(4)), &round(NOW), &rules(), Some(hold));
        assert_eq!(plan_lines(&plan), [format!("node waits: gate {hold:?} -> round")]);
    }
}

proptest! {
    #[test]
    fn open_only_near_the_clock_and_with_enough_endpoints(head in 0_i64..40, expected in 0_i64..40, agreed in 0_u32..4, wanted in 0_u32..4) {
        let open = judge(Epoch(head), Epoch(head), Epoch(expected), agreed, wanted).is_none();
        prop_assert_eq!(open, expected - head <= 5 && head - expected <= 2 && agreed >= wanted);
    }
}

#[test]
fn a_hold_names_what_it_saw() {
    let (head, expected) = (Epoch(17), Epoch(29));
    let table = [
        (Hold::NoEndpoint, "no chain endpoint answers"),
        (Hold::OtherNetwork, "serve another network"),
        (Hold::HeadOld { head, expected }, "head 17 is older than the clock's epoch 29"),
        (Hold::HeadAhead { head, expected }, "head 17 is ahead of the clock's epoch 29"),
        (Hold::ChainStalled { head, expected }, "stands still at 17, the clock is at 29"),
        (
            Hold::FinalityStalled { finalized: head, head: expected },
            "the head is 29, the newest finalized tipset 17",
        ),
        (Hold::Upgrade { epoch: head }, "upgrades at 17"),
        (Hold::Disagreement { agreed: 1, wanted: 2 }, "1 endpoints agree on a finalized tipset, 2 must"),
        (Hold::Behind { finalized: head, seen: expected }, "tipset 17 is behind 29"),
        (Hold::Rewritten { height: head }, "the tipset at 17 was final"),
        (Hold::Contradiction, "denies what was seen finalized"),
        (Hold::Restored { until: head }, "until epoch 17 is final"),
    ];
    for (hold, words) in table {
        assert!(hold.to_string().contains(words), "{hold}");
    }
    let failed = [true, false].map(|disk_full| Hold::PassFailed { disk_full }.to_string());
    assert!(failed[0] != failed[1] && failed.iter().all(|words| !words.is_empty()), "{failed:?}");
}
