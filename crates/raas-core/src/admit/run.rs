//! Serves all wants in their order.

use super::budget::Budget;
use super::group::{self, Chosen, Item, Purchase, replaces_lost, suspect_at};
use super::pace::Pacer;
use super::storm::Storm;
use crate::fleet::{Fleet, Provider};
use crate::ids::{OrderId, ProviderId};
use crate::observation::Round;
use crate::plan::{Action, CopyWanted, Plan, Wait, WaitFor, Wake, Want, Wanted};
use crate::select::{Unfit, choose};
use std::collections::BTreeSet;

/// Why not one provider takes a copy is told for so many of them; `select::choose` tells all.
const REJECTED_MAX: usize = 64;

/// What of `wants` starts now under the limits of `fleet`, and what the rest waits for. Counted in `fleet` is then what
/// starts, but for the money.
#[must_use]
pub fn admit<'a>(wants: impl IntoIterator<Item = &'a Want>, fleet: &mut Fleet, round: &Round) -> Plan {
    let mut run = Run {
        round,
        providers: &mut fleet.providers,
        budget: Budget::new(&fleet.money),
        storm: Storm::new(&fleet.breaker, fleet.released_started),
        pacer: Pacer::new(fleet.pace),
        chosen: Chosen::default(),
        cancelled: BTreeSet::new(),
        plan: Plan::default(),
    };
    for item in group::in_order(wants, round) {
        run.serve(item);
    }
    let Run { plan, pacer, storm, .. } = run;
    (fleet.pace, fleet.released_started) = (pacer.pace, storm.started);
    plan
}

struct Run<'a> {
    round: &'a Round,
    /// With what this plan puts on its way counted in.
    providers: &'a mut [Provider],
    budget: Budget,
    storm: Storm<'a>,
    pacer: Pacer,
    chosen: Chosen,
    cancelled: BTreeSet<OrderId>,
    plan: Plan,
}

impl Run<'_> {
    fn serve(&mut self, item: Item<'_>) {
        let Some(&first) = item.wants.first() else { return };
        let holding = first.holding;
        let action = match &first.what {
            Wanted::Copy(_) => return self.buy(item),
            Wanted::Fill { slot, spare } => Action::Fill { slot: *slot, spare: *spare },
            Wanted::Attest { at, order, deal } => {
                Action::Attest { holding, at: *at, order: *order, deal: *deal }
            }
            Wanted::Evict { piece } => Action::Evict { holding, piece: *piece, reason: first.reason.clone() },
            // Slots that share the order all want it gone; once is enough.
            Wanted::Cancel { order } if !self.cancelled.insert(*order) => return,
            Wanted::Cancel { order } => Action::Cancel { holding, order: *order },
        };
        self.plan.actions.push(action);
    }

    /// One purchase for all slots of the item, or as few as their limits allow.
    fn buy(&mut self, item: Item<'_>) {
        if let Some((for_, wake)) = self.held(&item) {
            self.wait_all(&item.wants, &for_, wake);
            return;
        }
        let mut left = item.wants.clone();
        while !left.is_empty() {
            // Each further purchase for the same item is held to the same limits.
            if let Some((for_, wake)) = self.held(&item) {
                left.iter().for_each(|want| self.wait(want, for_.clone(), wake));
                return;
            }
            let Some((purchase, served, rest)) = self.largest(&left) else {
                left.iter().for_each(|want| self.wait_for_provider(want));
                return;
            };
            self.order(&item, &purchase, &served);
            left = rest;
        }
    }

    /// What holds back all purchases of the item, whoever the provider would be.
    fn held(&self, item: &Item<'_>) -> Option<(WaitFor, Wake)> {
        let storm = item
            .wants
            .iter()
            .find_map(|want| suspect_at(want))
            .and_then(|provider| self.storm.holds(provider, item.priority(), self.round));
        storm.or_else(|| {
            if item.wants.iter().any(|want| replaces_lost(want)) {
                self.pacer.holds(self.round)
            } else {
                None
            }
        })
    }

    /// The purchase that serves as many of `wants` as one provider can, in their order: usually all. One
    /// owner's impossible limits must not keep the other owners of a shared order waiting.
    fn largest<'w>(&self, wants: &[&'w Want]) -> Option<(Purchase, Vec<&'w Want>, Vec<&'w Want>)> {
        let copies: Vec<(&'w Want, CopyWanted)> = wants
            .iter()
            .filter_map(|want| match &want.what {
                Wanted::Copy(copy) => {
                    let mut copy = CopyWanted::clone(copy);
                    self.chosen.exclude(&mut copy);
                    Some((*want, copy))
                }
                _ => None,
            })
            .collect();
        let fits = |purchase: &Purchase| choose(&purchase.copy, self.providers, self.round.head).is_ok();
        let (first, others) = copies.split_first()?;
        let all = others.iter().fold(Purchase::new(&first.1), |all, (_, copy)| all.with(copy));
        if fits(&all) {
            return Some((all, wants.to_vec(), Vec::new()));
        }
        let mut purchase: Option<Purchase> = None;
        let (mut served, mut rest) = (Vec::new(), Vec::new());
        for (want, copy) in &copies {
            let wider = match &purchase {
                Some(purchase) => purchase.clone().with(copy),
                None => Purchase::new(copy),
            };
            if fits(&wider) {
                purchase = Some(wider);
                served.push(*want);
            } else {
                rest.push(*want);
            }
        }
        purchase.map(|purchase| (purchase, served, rest))
    }

    /// Orders `purchase` when there is money for it.
    fn order(&mut self, item: &Item<'_>, purchase: &Purchase, served: &[&Want]) {
        let copy = &purchase.copy;
        let Ok(provider) = choose(copy, self.providers, self.round.head) else { return };
        let Some(ask) = provider.ask else { return };
        let (id, operator) = (provider.id, provider.operator);
        let price_per_epoch = copy.deal_size().cost_per_epoch(ask.price);
        let cost = price_per_epoch.times(copy.duration.get().unsigned_abs());
        if let Err(short) = self.budget.take(cost, item.priority()) {
            served.iter().for_each(|want| self.wait(want, short.clone(), Wake::OnBudget));
            return;
        }
        if let Some(provider) = self.providers.iter_mut().find(|provider| provider.id == id) {
            provider.in_flight = provider.in_flight.saturating_add(1);
        }
        self.chosen.remember(&purchase.slots, copy.piece, operator);
        if let Some(suspect_at) = served.iter().find_map(|want| suspect_at(want)) {
            self.storm.start(suspect_at, item.priority());
        }
        if served.iter().any(|want| replaces_lost(want)) {
            self.pacer.start();
        }
        let Some(first) = served.first() else { return };
        self.plan.actions.push(Action::Order {
            slots: purchase.slots.clone(),
            cause: copy.cause,
            piece: copy.piece,
            size: copy.size,
            within: copy.within,
            provider: id,
            operator,
            price_per_epoch,
            duration: copy.duration,
            start_delay: copy.start_delay,
            reason: first.reason.clone(),
            priority: item.priority(),
        });
    }

    fn wait_for_provider(&mut self, want: &Want) {
        let Wanted::Copy(copy) = &want.what else { return };
        let mut copy = CopyWanted::clone(copy);
        self.chosen.exclude(&mut copy);
        let mut rejected = choose(&copy, self.providers, self.round.head).err().unwrap_or_default();
        let wake = wake_of(&rejected);
        rejected.truncate(REJECTED_MAX);
        self.wait(want, WaitFor::Provider { rejected }, wake);
    }

    fn wait_all(&mut self, wants: &[&Want], for_: &WaitFor, wake: Wake) {
        wants.iter().for_each(|want| self.wait(want, for_.clone(), wake));
    }

    fn wait(&mut self, want: &Want, for_: WaitFor, wake: Wake) {
        let slot = match &want.what {
            Wanted::Copy(copy) => Some(copy.slot),
            _ => None,
        };
        self.plan.waits.push(Wait { holding: Some(want.holding), slot, part: want.part, for_, wake });
    }
}

/// The first provider to come back by time, else any change at one.
fn wake_of(rejected: &[(ProviderId, Unfit)]) -> Wake {
    rejected
        .iter()
        .filter_map(|(_, unfit)| match unfit {
            Unfit::BacksOff { until } => Some(*until),
            _ => None,
        })
        .min()
        .map_or(Wake::OnProvider, Wake::At)
}
