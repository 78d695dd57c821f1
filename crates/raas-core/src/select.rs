//! Choosing the provider of a new copy: first by what is forbidden, then by a total order without chance.

use crate::fleet::{Ask, Provider};
use crate::hash::spread;
use crate::ids::{OperatorId, ProviderId};
use crate::plan::CopyWanted;
use crate::units::{AttoFil, Epoch, PaddedSize};
use serde::{Deserialize, Serialize};
use std::cmp::Ordering;
use std::collections::BTreeMap;

/// Why a provider does not fit.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case", tag = "unfit")]
pub enum Unfit {
    /// Not on the allow list, or on the deny list.
    NotAllowed,
    /// Its operator holds a slot of this holding already.
    OperatorInUse,
    /// No ask could be had.
    NoAsk,
    /// The piece is smaller than it takes.
    TooSmall {
        /// Its minimum.
        size_min: PaddedSize,
    },
    /// The piece is larger than it takes.
    TooLarge {
        /// Its maximum.
        size_max: PaddedSize,
    },
    /// It asks more than the policy allows.
    TooDear {
        /// Per GiB and epoch.
        price: AttoFil,
    },
    /// It has as many orders on their way as it takes.
    AtCapacity,
    /// It failed lately.
    BacksOff {
        /// Until when.
        until: Epoch,
    },
}

/// The provider that takes `wanted` at head `head`, or why each of `providers` does not.
///
/// Among those that fit: the preferred one while it is healthy, then operators without a rejected proposal
/// that can still be published, the lowest price, the fewest failures, the fewest orders on their way, then
/// a hash of piece and provider, so that pieces spread, and the id.
pub fn choose<'a>(
    wanted: &CopyWanted,
    providers: &'a [Provider],
    head: Epoch,
) -> Result<&'a Provider, Vec<(ProviderId, Unfit)>> {
    let mut best: Option<(&Provider, Ask)> = None;
    for provider in providers {
        if let Ok(ask) = fit(wanted, provider, head) {
            match best {
                Some(before) if compare(wanted, (provider, ask), before).is_ge() => {}
                _ => best = Some((provider, ask)),
            }
        }
    }
    match best {
        Some((provider, _)) => Ok(provider),
        None => Err(providers
            .iter()
            .filter_map(|provider| fit(wanted, provider, head).err().map(|unfit| (provider.id, unfit)))
            .collect()),
    }
}

/// The largest piece to make: at most `limit`, and no larger than what as many operators take as there are to be `copies`. Where
/// fewer asks are known than that, they say nothing about it.
#[must_use]
pub fn piece_max(
    limit: PaddedSize,
    copies: u32,
    asks: impl IntoIterator<Item = (OperatorId, Ask)>,
) -> PaddedSize {
    let mut largest: BTreeMap<OperatorId, PaddedSize> = BTreeMap::new();
    for (operator, ask) in asks {
        let size = largest.entry(operator).or_insert(ask.size_max);
        *size = ask.size_max.max(*size);
    }
    let mut sizes: Vec<PaddedSize> = largest.into_values().collect();
    sizes.sort_unstable_by(|a, b| b.cmp(a));
    let last = usize::try_from(copies).ok().and_then(|copies| copies.checked_sub(1));
    last.and_then(|last| sizes.get(last)).map_or(limit, |taken| limit.min(*taken))
}

/// What is forbidden, the most lasting reason first.
fn fit(wanted: &CopyWanted, provider: &Provider, head: Epoch) -> Result<Ask, Unfit> {
    if !wanted.placement.allows(provider.id) {
        return Err(Unfit::NotAllowed);
    }
    if wanted.operators_in_use.contains(&provider.operator) {
        return Err(Unfit::OperatorInUse);
    }
    let ask = provider.ask.ok_or(Unfit::NoAsk)?;
    if wanted.deal_size() < ask.size_min {
        return Err(Unfit::TooSmall { size_min: ask.size_min });
    }
    if wanted.deal_size() > ask.size_max {
        return Err(Unfit::TooLarge { size_max: ask.size_max });
    }
    if ask.price > wanted.placement.price_max {
        return Err(Unfit::TooDear { price: ask.price });
    }
    if let Some(until) = provider.backs_off_until.filter(|until| head < *until) {
        return Err(Unfit::BacksOff { until });
    }
    if provider.in_flight >= provider.capacity {
        return Err(Unfit::AtCapacity);
    }
    Ok(ask)
}

fn compare(wanted: &CopyWanted, (a, ask_a): (&Provider, Ask), (b, ask_b): (&Provider, Ask)) -> Ordering {
    let watched = |provider: &Provider| wanted.operators_watched.contains(&provider.operator);
    let preferred =
        |provider: &Provider| wanted.prefer == Some(provider.id) && provider.healthy && !watched(provider);
    preferred(b)
        .cmp(&preferred(a))
        .then_with(|| watched(a).cmp(&watched(b)))
        .then_with(|| ask_a.price.cmp(&ask_b.price))
        .then_with(|| a.failures.cmp(&b.failures))
        .then_with(|| a.in_flight.cmp(&b.in_flight))
        .then_with(|| lot(wanted, a).cmp(&lot(wanted, b)))
        .then_with(|| a.id.cmp(&b.id))
}

/// The provider's place in the draw for this piece: the same in every run, another for every piece.
fn lot(wanted: &CopyWanted, provider: &Provider) -> u64 {
    spread(&[&wanted.piece.0, &provider.id.number().to_le_bytes()])
}
