//! All wants and waits of one holding.

use super::view::{Out, View};
use super::{attest, evict, fill, slot};
use crate::fleet::Rules;
use crate::holding::Holding;
use crate::observation::Round;
use crate::plan::{Wait, WaitFor, Wake, Want, Wanted};
use crate::policy::Duties;

/// What `holding` should have at `round`, and what it waits for. Empty wants with a reason when it is
/// stopped, has ended, or has no piece yet.
#[must_use]
pub fn want(holding: &Holding, round: &Round, rules: &Rules) -> (Vec<Want>, Vec<Wait>) {
    let whole = |for_, wake| {
        (Vec::new(), vec![Wait { holding: Some(holding.id), slot: None, part: None, for_, wake }])
    };
    if !holding.open {
        return whole(WaitFor::Stopped, Wake::OnRound);
    }
    let unserved = holding.unserved.iter().map(|why| Wait {
        holding: Some(holding.id),
        slot: None,
        part: None,
        for_: WaitFor::Unserved(*why),
        wake: Wake::OnRound,
    });
    // Nobody is served: what there is of copies is watched, and nothing is bought, placed or shown.
    if !holding.unserved.is_empty() && holding.duties == Duties::default() {
        return (Vec::new(), unserved.collect());
    }
    if let Some(ends_at) = holding.policy.ends_at.filter(|ends_at| round.head >= *ends_at) {
        return whole(WaitFor::PolicyEnded { ends_at }, Wake::OnRound);
    }
    if holding.pieces.is_empty() {
        return whole(WaitFor::Bytes, Wake::OnBytes);
    }
    let mut out = Out { waits: unserved.collect(), ..Out::default() };
    for pieces in &holding.pieces {
        let view = View::new(holding, pieces, round, rules);
        let wants_before = out.wants.len();
        let fills = fill::fills(&view);
        let places = view.places();
        let mut free = view.free_places(&fills);
        for (index, place) in places {
            slot::decide(&view, index, place, &fills, &mut free, &mut out);
        }
        let is_copy = |want: &Want| matches!(want.what, Wanted::Copy(_));
        let copies_wanted = out.wants.iter().skip(wants_before).any(is_copy);
        if holding.pieces.len() == 1 {
            attest::attest(&view, &fills, &mut out);
        }
        evict::evict(&view, copies_wanted, &mut out);
    }
    if let [_, .., with_root] = holding.pieces.as_slice() {
        attest::in_parts(&View::new(holding, with_root, round, rules), &mut out);
    }
    (out.wants, out.waits)
}
