//! Histories that break an invariant, each beside one that keeps it: a judge that cannot condemn judges nothing.

mod border;
mod contract;
mod fleet;
mod holding;
mod losses;

use super::{Asked, Judge, Watched};
use crate::crossing::{Crossing, Sent};
use raas_core::ids::{ActorId, DealId, ProviderId, SectorNumber};
use raas_core::units::AttoFil;
use raas_devnet::ledger::{Entry, Fact};

const DAY: i64 = 2_880;
const LAG: i64 = 20;
/// When histories begin.
const T: i64 = 1_000_000;
/// A term that is far from its renewal.
const END: i64 = T + 180 * DAY;
const CLIENT: &str = "t1client";
const ACCOUNT: &str = "0x00000000000000000000000000000000000000AA";
const CONTRACT: &str = "0x00000000000000000000000000000000000000CC";

fn judge(target: usize) -> Judge {
    let asked = Asked {
        target,
        repair_after: DAY,
        renewal_window: 15 * DAY,
        finality_lag: LAG,
        hedge_after: 1_440,
        repairs_per_window: 2,
        pace_window: 120,
        keep_until: 2,
        budget: AttoFil(1_000),
        endowed: 0,
        per_day: Some(500),
        per_holding: Some(800),
        must_renew: true,
        must_act: true,
    };
    let watched = Watched {
        client: CLIENT.to_owned(),
        account: ACCOUNT.to_owned(),
        contract: CONTRACT.to_owned(),
        // f01000 and f01001 belong together.
        operators: (1_000..1_010).map(|id| (id, if id == 1_001 { 2_000 } else { id + 1_000 })).collect(),
    };
    Judge::new(asked, watched)
}

/// A history in the making.
#[derive(Clone, Default)]
struct History {
    entries: Vec<Entry>,
    crossed: Vec<(i64, Crossing)>,
}

impl History {
    fn fact(mut self, epoch: i64, fact: Fact) -> Self {
        self.entries.push(Entry { epoch, fact });
        self
    }

    fn cross(mut self, at: i64, crossing: Crossing) -> Self {
        self.crossed.push((at, crossing));
        self
    }

    /// `proposal` for `piece` reaches a provider.
    fn proposed(self, at: i64, piece: &str, proposal: &str, provider: u64, accepted: bool) -> Self {
        self.proposed_until(at, piece, proposal, provider, accepted, END)
    }

    fn proposed_until(
        self,
        at: i64,
        piece: &str,
        proposal: &str,
        provider: u64,
        accepted: bool,
        end_epoch: i64,
    ) -> Self {
        self.fact(
            at,
            Fact::Proposed {
                provider: ProviderId::new(provider),
                deal_uuid: format!("uuid of {proposal}"),
                proposal_cid: proposal.to_owned(),
                piece_cid: piece.to_owned(),
                piece_size: 1_024,
                client: CLIENT.to_owned(),
                label: String::new(),
                start_epoch: at + 3 * DAY,
                end_epoch,
                price_per_epoch: AttoFil::ZERO,
                accepted,
                message: String::new(),
            },
        )
    }

    fn published(self, at: i64, piece: &str, proposal: &str, provider: u64, deal: u64) -> Self {
        self.fact(
            at,
            Fact::Published {
                deal_id: DealId(deal),
                provider: ProviderId::new(provider),
                operator: ActorId(0),
                client: ActorId(0),
                proposal_cid: proposal.to_owned(),
                piece_cid: piece.to_owned(),
                piece_size: 1_024,
                label: String::new(),
                start_epoch: 0,
                end_epoch: 0,
                price_per_epoch: AttoFil::ZERO,
                provider_collateral: AttoFil::ZERO,
            },
        )
    }

    fn activated(self, at: i64, piece: &str, provider: u64, deal: u64) -> Self {
        self.fact(
            at,
            Fact::Activated {
                deal_id: DealId(deal),
                provider: ProviderId::new(provider),
                operator: ActorId(0),
                piece_cid: piece.to_owned(),
                sector: SectorNumber(deal),
            },
        )
    }

    /// Ordered, published and active within a day; the sector has the deal's number.
    fn copy(self, at: i64, piece: &str, provider: u64, deal: u64) -> Self {
        let proposal = format!("proposal {deal}");
        self.proposed(at, piece, &proposal, provider, true)
            .published(at + 10, piece, &proposal, provider, deal)
            .activated(at + 100, piece, provider, deal)
            .cross(at + 200, Crossing::Active { deal })
    }

    fn terminated(self, at: i64, piece: &str, provider: u64, deal: u64) -> Self {
        self.fact(
            at,
            Fact::Terminated {
                deal_id: DealId(deal),
                provider: ProviderId::new(provider),
                operator: ActorId(0),
                piece_cid: piece.to_owned(),
                by_cron: false,
            },
        )
    }

    fn faulted(self, at: i64, provider: u64, sector: u64) -> Self {
        self.fact(at, Fact::Faulted { provider: ProviderId::new(provider), sector: SectorNumber(sector) })
    }

    /// The node is told of a faulty sector at a tipset, when that is final.
    fn told_faulty(self, tipset: i64, provider: u64, sector: u64) -> Self {
        self.cross(tipset + LAG, Crossing::Faulty { tipset, provider, sector })
    }

    fn told_dead(self, tipset: i64, provider: u64, sector: u64) -> Self {
        self.cross(tipset + LAG, Crossing::Dead { tipset, provider, sector })
    }

    fn told_gone(self, tipset: i64, deal: u64) -> Self {
        self.cross(tipset + LAG, Crossing::Gone { tipset, deal })
    }

    fn judged(mut self, judge: &mut Judge) -> Result<(), String> {
        self.crossed.sort_by_key(|(at, _)| *at);
        judge.judge(self.entries, &self.crossed)
    }

    /// The history keeps every invariant.
    fn passes(self, target: usize) -> Judge {
        let mut judge = judge(target);
        self.judged(&mut judge).expect("a lawful history");
        judge
    }

    /// The history breaks `invariant`.
    fn breaks(self, target: usize, invariant: &str) {
        let found = self.judged(&mut judge(target));
        assert!(found.as_ref().is_err_and(|why| why.starts_with(invariant)), "not {invariant}: {found:?}");
    }
}

fn broken<T: std::fmt::Debug>(found: Result<T, String>, invariant: &str) {
    assert!(found.as_ref().is_err_and(|why| why.starts_with(invariant)), "not {invariant}: {found:?}");
}

/// A transaction of the node's account, with a nonce and the number of its intent.
fn sent(lane: &'static str, nonce: u64, intent: Option<u64>) -> Sent {
    Sent {
        lane,
        nonce,
        hash: format!("{lane} {nonce} of {intent:?}"),
        premium: 100,
        to: "somebody".to_owned(),
        value: 0,
        data: Vec::new(),
        intent,
        cancels: false,
    }
}
