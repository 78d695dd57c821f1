//! Limits of spending: the tightest binds, and says which it is.

use proptest::prelude::*;
use raas_core::spend::{Limit, Limits, Short, Spent};
use raas_core::units::AttoFil;

fn limits(total: u128, day: u128, tenant: u128, holding: u128) -> Limits {
    let some = |limit| Some(AttoFil(limit));
    Limits { total: some(total), per_day: some(day), per_tenant: some(tenant), per_holding: some(holding) }
}

fn spent(total: u128, day: u128, tenant: u128, holding: u128) -> Spent {
    Spent { total: AttoFil(total), day: AttoFil(day), tenant: AttoFil(tenant), holding: AttoFil(holding) }
}

#[test]
fn the_tightest_limit_binds_and_is_named() {
    let table = [
        (limits(100, 50, 40, 30), spent(0, 0, 0, 0), 30, None),
        (limits(100, 50, 40, 30), spent(0, 0, 0, 0), 31, Some((Limit::Holding, 30))),
        (limits(100, 50, 40, 30), spent(90, 45, 38, 1), 3, Some((Limit::Tenant, 2))),
        (limits(100, 50, 40, 30), spent(90, 45, 5, 1), 6, Some((Limit::Day, 5))),
        (limits(100, 50, 40, 30), spent(99, 45, 5, 1), 2, Some((Limit::Total, 1))),
        (limits(100, 50, 40, 30), spent(120, 0, 0, 0), 1, Some((Limit::Total, 0))),
        (Limits::default(), spent(1, 1, 1, 1), u128::MAX, None),
    ];
    for (limits, spent, cost, short) in table {
        let wanted = short.map_or(Ok(()), |(limit, available)| {
            Err(Short { limit, needed: AttoFil(cost), available: AttoFil(available) })
        });
        assert_eq!(limits.check(&spent, AttoFil(cost)), wanted, "{cost} of {limits:?} after {spent:?}");
    }
    let all = limits(100, 50, 40, 30);
    assert_eq!(all.tightest(&Spent::default(), AttoFil(7)), (Limit::Funds, AttoFil(7)));
    for limit in [Limit::Total, Limit::Day, Limit::Tenant, Limit::Holding] {
        assert!(limit.key().is_some_and(|key| key.starts_with("budget.")));
    }
}

proptest! {
    #[test]
    fn what_fits_never_exceeds_any_limit(costs in proptest::collection::vec(0_u128..60, 0..30), day in 1_u128..100, total in 1_u128..200) {
        let limits = Limits { total: Some(AttoFil(total)), per_day: Some(AttoFil(day)), ..Limits::default() };
        let mut spent = Spent::default();
        for cost in costs {
            if limits.check(&spent, AttoFil(cost)).is_ok() {
                spent.total = spent.total.plus(AttoFil(cost));
                spent.day = spent.day.plus(AttoFil(cost));
            }
        }
        prop_assert!(spent.total.0 <= total && spent.day.0 <= day);
    }
}
