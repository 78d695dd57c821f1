//! Lead times by provider.

use proptest::prelude::*;
use raas_core::ids::ProviderId;
use raas_core::lead::Leads;
use raas_core::units::Epochs;

const ONE: ProviderId = ProviderId::new(1_000);
const OTHER: ProviderId = ProviderId::new(1_010);

fn epochs(count: i64) -> Epochs {
    Epochs::new(count).expect("not negative")
}

#[test]
fn the_95th_percentile_is_by_nearest_rank_and_four_days_until_ten_samples() {
    let table = [
        // leads of 1, 2, .. epochs -> p95
        (0, Epochs::days(4)),
        (1, Epochs::days(4)),
        (9, Epochs::days(4)),
        (10, epochs(10)),
        (19, epochs(19)),
        (20, epochs(19)),
        (21, epochs(20)),
        (40, epochs(38)),
        (100, epochs(95)),
    ];
    for (samples, expected) in table {
        let leads = Leads::learn((1..=samples).rev().map(|lead| (ONE, epochs(lead))));
        assert_eq!(leads.p95(ONE), expected, "{samples} samples");
        assert_eq!(leads.p95(OTHER), Leads::UNKNOWN, "of another provider");
    }
}

proptest! {
    #[test]
    fn the_order_of_samples_does_not_matter_and_the_answer_is_one_of_them(
        (samples, shuffled) in proptest::collection::vec((0_usize..2, 0_i64..100_000), 0..60)
            .prop_flat_map(|samples| (Just(samples.clone()), Just(samples).prop_shuffle()))
    ) {
        let of = |(provider, lead): (usize, i64)| ([ONE, OTHER][provider], epochs(lead));
        let leads = Leads::learn(samples.iter().copied().map(of));
        prop_assert_eq!(&leads, &Leads::learn(shuffled.into_iter().map(of)));
        for provider in [ONE, OTHER] {
            let own: Vec<Epochs> =
                samples.iter().copied().map(of).filter(|(at, _)| *at == provider).map(|(_, lead)| lead).collect();
            let p95 = leads.p95(provider);
            if own.len() < 10 {
                prop_assert_eq!(p95, Epochs::days(4));
            } else {
                prop_assert!(own.contains(&p95));
                let within = own.iter().filter(|lead| **lead <= p95).count();
                prop_assert!(within * 20 >= own.len() * 19, "{within} of {}", own.len());
                let below = own.iter().filter(|lead| **lead < p95).count();
                prop_assert!(below * 20 < own.len() * 19, "{below} of {} are enough", own.len());
            }
        }
    }
}
