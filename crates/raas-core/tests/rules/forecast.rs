//! The runway: how long money lasts, by table and against a day by day count.

use proptest::prelude::*;
use raas_core::forecast::{Due, HORIZON, Urgency, runway};
use raas_core::units::{AttoFil, EPOCHS_PER_DAY, Epoch, Epochs};

const NOW: Epoch = Epoch(1_000_000);

fn due(in_days: u32, amount: u128, every_days: u32) -> Due {
    Due { at: NOW.after(Epochs::days(in_days)), amount: AttoFil(amount), every: Epochs::days(every_days) }
}

#[test]
fn fault_26_money_that_runs_out_is_told_thirty_seven_and_one_days_before() {
    type Row<'a> = (&'a str, u128, u128, &'a [Due], Option<u64>, Urgency);
    let table: [Row<'_>; 13] = [
        ("nothing is due", 0, 0, &[], None, Urgency::Calm),
        ("gas alone", 100, 10, &[], Some(10), Urgency::Month),
        ("gas for a day", 10, 10, &[], Some(1), Urgency::Day),
        ("gas for less than a day", 9, 10, &[], Some(0), Urgency::Day),
        ("31 days are calm", 310, 10, &[], Some(31), Urgency::Calm),
        ("30 are not", 309, 10, &[], Some(30), Urgency::Month),
        ("8 days", 80, 10, &[], Some(8), Urgency::Month),
        ("7 days", 79, 10, &[], Some(7), Urgency::Week),
        ("a renewal that cannot be paid", 99, 0, &[due(40, 100, 540)], Some(40), Urgency::Calm),
        ("its successor neither", 150, 0, &[due(5, 100, 20)], Some(25), Urgency::Month),
        ("all that is due once is paid", 100, 0, &[due(5, 60, 0), due(6, 40, 0)], None, Urgency::Calm),
        (
            "what is overdue is due now",
            5,
            0,
            &[Due { at: Epoch(0), amount: AttoFil(6), every: Epochs::ZERO }],
            Some(0),
            Urgency::Day,
        ),
        ("gas eats what the renewal needs", 100, 5, &[due(4, 90, 0)], Some(4), Urgency::Week),
    ];
    for (why, funds, per_day, due, days, urgency) in table {
        let runway = runway(NOW, AttoFil(funds), AttoFil(per_day), due);
        assert_eq!((runway.days, runway.urgency), (days, urgency), "{why}");
        assert_eq!(runway.ends_at, days.map(|days| NOW.after(Epochs::days(days as u32))), "{why}");
    }
}

proptest! {
    #[test]
    fn it_is_what_a_count_day_by_day_gives(
        funds in 0_u128..2_000,
        per_day in 0_u128..5,
        items in proptest::collection::vec((0_u32..400, 1_u128..200, 0_u32..300), 0..12),
    ) {
        let items: Vec<Due> = items.into_iter().map(|(at, amount, every)| due(at, amount, every)).collect();
        let mut left = funds;
        let mut ends = None;
        for day in 0..=(HORIZON.get() / EPOCHS_PER_DAY) as u64 {
            let cost: u128 = items.iter().filter(|due| {
                let first = (due.at.since(NOW).get() / EPOCHS_PER_DAY) as u64;
                let every = (due.every.get() / EPOCHS_PER_DAY) as u64;
                day == first || (every > 0 && day > first && (day - first).is_multiple_of(every))
            }).map(|due| due.amount.0).sum();
            let end_of_horizon = day == (HORIZON.get() / EPOCHS_PER_DAY) as u64;
            if left < cost || (!end_of_horizon && left - cost < per_day) {
                ends = Some(day);
                break;
            }
            left -= cost + if end_of_horizon { 0 } else { per_day };
        }
        prop_assert_eq!(runway(NOW, AttoFil(funds), AttoFil(per_day), &items).days, ends);
    }
}
