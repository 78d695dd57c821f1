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
