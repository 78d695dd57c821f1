//! A provider's book: what it took, how far each deal is, what it does next. Pure.
//!
//! The [`World`](crate::world::World) owns the [`Book`], one [`Provider`] per miner. It hands in commands with
//! [`Provider::handle`], asks at each of the epochs that [`Provider::next_due`] names what is to be done with
//! [`Provider::due`], does it on chain, and reports with [`Provider::published`] and [`Provider::sealed`].

use super::check::{Rejection, check};
use super::command::{Command, Reply, StoreReply};
use super::deal::{Deal, Intent, Pull, Stage, TransferEnd};
use super::deals::Deals;
use super::mode::{Mode, Mood};
use super::terms::Terms;
use super::view::ChainView;
use crate::Config;
use crate::codec::{ClientDealProposal, Commitment, DealParams, DealResponse, DealUuid, Piece};
use crate::ledger::Fact;
use cid::Cid;
use raas_core::ids::{DealId, ProviderId, SectorNumber};
use raas_core::units::Epoch;
use std::collections::BTreeMap;

/// How late a slow provider begins to fetch, in epochs: a day.
pub const SLOW_EPOCHS: i64 = 2_880;

/// What a provider wants done on chain.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Effect {
    /// Publish these together, by one message of the worker. Report with [`Provider::published`].
    Publish(Vec<(DealUuid, ClientDealProposal)>),
    /// Prove one new sector with these deals in it. Report with [`Provider::sealed`].
    Seal(Vec<(DealUuid, DealId)>),
}

/// What a request for a piece leads to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Retrieval {
    /// No answer.
    Unreachable,
    /// No sector with it is alive here.
    NotFound,
    /// The sector is alive, but only its sealed form is there.
    NoUnsealed,
    /// Other bytes than those of this piece.
    Wrong(Piece),
    /// The bytes of this piece.
    Right(Piece),
}

/// One storage provider.
#[derive(Clone, Debug)]
pub struct Provider {
    terms: Terms,
    mood: Mood,
    deals: Deals,
}

/// All providers.
#[derive(Clone, Debug, Default)]
pub struct Book {
    providers: BTreeMap<ProviderId, Provider>,
}

impl Book {
    /// The providers of a configuration, with nothing taken yet.
    #[must_use]
    pub fn new(config: &Config) -> Self {
        let provider = |one| Provider::new(Terms::new(config, one));
        Self { providers: config.providers.iter().map(|one| (one.id, provider(one))).collect() }
    }

    /// One provider.
    #[must_use]
    pub fn get(&self, id: ProviderId) -> Option<&Provider> {
        self.providers.get(&id)
    }

    /// One provider, to act.
    pub fn get_mut(&mut self, id: ProviderId) -> Option<&mut Provider> {
        self.providers.get_mut(&id)
    }

    /// All of them, by id.
    pub fn iter(&self) -> impl Iterator<Item = (ProviderId, &Provider)> {
        self.providers.iter().map(|(id, provider)| (*id, provider))
    }

    /// Takes every provider back to where the chain stood at `epoch`.
    pub fn revert(&mut self, epoch: Epoch) {
        self.providers.values_mut().for_each(|provider| provider.revert(epoch));
    }

    /// Every transfer that is to be under way at `now`.
    pub fn pulls(&self, now: Epoch) -> impl Iterator<Item = (ProviderId, Pull)> + '_ {
        self.iter().flat_map(move |(id, provider)| provider.pulls(now).map(move |pull| (id, pull)))
    }

    /// The next epoch after `now` at which another transfer begins: whoever advances the clock stops there, so
    /// that the bytes come in that epoch.
    #[must_use]
    pub fn next_pull(&self, now: Epoch) -> Option<Epoch> {
        self.providers.values().filter_map(|provider| provider.next_pull(now)).min()
    }

    /// The next epoch at which a provider has something due, and which.
    #[must_use]
    pub fn next_due(&self) -> Option<(Epoch, ProviderId)> {
        self.iter().filter_map(|(id, provider)| Some((provider.next_due()?, id))).min()
    }
}

impl Provider {
    /// A provider with an empty book.
    #[must_use]
    pub fn new(terms: Terms) -> Self {
        Self { terms, mood: Mood::default(), deals: Deals::default() }
    }

    /// What it works by.
    #[must_use]
    pub const fn terms(&self) -> &Terms {
        &self.terms
    }

    /// How it misbehaves at present.
    #[must_use]
    pub const fn mood(&self) -> Mood {
        self.mood
    }

    /// The deal with this UUID, also one that it refused in words only.
    #[must_use]
    pub fn deal(&self, uuid: DealUuid) -> Option<&Deal> {
        self.deals.get(uuid)
    }

    /// All deals by UUID.
    pub fn deals(&self) -> impl Iterator<Item = (DealUuid, &Deal)> {
        self.deals.iter()
    }

    /// Carries a command out. The facts are for the ledger.
    pub fn handle(&mut self, command: &Command, chain: &dyn ChainView) -> (Reply, Vec<Fact>) {
        match command {
            Command::Store { params, .. } => {
                let reply = self.store(params, chain);
                let facts = match &reply {
                    StoreReply::Unreachable => Vec::new(),
                    StoreReply::Answered(answer) | StoreReply::AnswerLost(answer) => {
                        vec![self.proposed(params, answer)]
                    }
                };
                (Reply::Store(reply), facts)
            }
            Command::TransferEnded { uuid, end, .. } => {
                (Reply::Done, self.transfer_ended(*uuid, end, chain.head()).into_iter().collect())
            }
            Command::SetMode { mode, count, .. } => {
                self.mood = Mood::new(*mode, *count);
                (Reply::Done, Vec::new())
            }
            Command::Spoilt { mode, .. } => {
                self.mood.spend(*mode);
                (Reply::Done, Vec::new())
            }
        }
    }

    fn proposed(&self, params: &DealParams, answer: &DealResponse) -> Fact {
        let signed = &params.client_deal_proposal;
        Fact::Proposed {
            provider: self.terms.id,
            deal_uuid: params.deal_uuid.to_string(),
            proposal_cid: signed.proposal.cid().map(|cid| cid.to_string()).unwrap_or_default(),
            piece_cid: signed.proposal.piece_cid.to_string(),
            piece_size: signed.proposal.piece_size,
            client: signed.proposal.client.to_string(),
            label: signed.proposal.label.as_text().to_owned(),
            start_epoch: signed.proposal.start.0,
            end_epoch: signed.proposal.end.0,
            price_per_epoch: signed.proposal.price_per_epoch,
            accepted: answer.accepted,
            message: answer.message.clone(),
        }
    }

    /// Takes or refuses a deal, in the mode it is in.
    fn store(&mut self, params: &DealParams, chain: &dyn ChainView) -> StoreReply {
        if self.mood.draw(&[Mode::Offline]).is_some() {
            return StoreReply::Unreachable;
        }
        let answer = match self.admit(params, chain) {
            Ok(()) => DealResponse { message: String::new(), accepted: true },
            Err(rejection) => DealResponse { message: rejection.to_string(), accepted: false },
        };
        match self.mood.draw(&[Mode::DropReply]) {
            Some(_) => StoreReply::AnswerLost(answer),
            None => StoreReply::Answered(answer),
        }
    }

    fn admit(&mut self, params: &DealParams, chain: &dyn ChainView) -> Result<(), Rejection> {
        if let Some(known) = self.deals.get(params.deal_uuid) {
            return match (known.params == *params, known.intent) {
                (true, Intent::PublishUnasked { .. }) => Err(Rejection::NotNow),
                (true, _) => Ok(()),
                (false, _) => Err(Rejection::UuidTaken(params.deal_uuid.to_string())),
            };
        }
        let transfer = check(params, &self.terms, chain)?;
        let proposal = &params.client_deal_proposal.proposal;
        let proposal_cid = proposal.cid()?;
        if let Some(uuid) = self.deals.with_proposal(&proposal_cid) {
            return Err(Rejection::DuplicateProposal {
                proposal: proposal_cid.to_string(),
                uuid: uuid.to_string(),
            });
        }
        let drawn = self.mood.draw(&[
            Mode::Reject,
            Mode::RejectThenPublish,
            Mode::AcceptAndVanish,
            Mode::NeverSeal,
            Mode::Slow,
        ]);
        let now = chain.head();
        let (intent, from) = match drawn {
            Some(Mode::Reject) => return Err(Rejection::NotNow),
            Some(Mode::RejectThenPublish) => {
                let at = Epoch(now.0 + (proposal.start.0 - now.0) / 2);
                (Intent::PublishUnasked { at }, now)
            }
            Some(Mode::AcceptAndVanish) => (Intent::Vanish, now),
            Some(Mode::NeverSeal) => (Intent::NeverSeal, now),
            Some(Mode::Slow) => (Intent::Slow, Epoch(now.0 + SLOW_EPOCHS)),
            _ => (Intent::Honest, now),
        };
        let deal = Deal {
            params: params.clone(),
            transfer,
            proposal_cid,
            proposed_at: now,
            intent,
            stage: Stage::Fetching { from },
            has_bytes: false,
            past: Vec::new(),
        };
        self.deals.insert(deal);
        match intent {
            Intent::PublishUnasked { .. } => Err(Rejection::NotNow),
            _ => Ok(()),
        }
    }

    /// The transfers that are to be under way at `now`.
    pub fn pulls(&self, now: Epoch) -> impl Iterator<Item = Pull> + '_ {
        self.deals
            .at_work()
            .filter(move |(_, deal)| deal.fetches_from().is_some_and(|from| from <= now))
            .filter_map(|(_, deal)| deal.pull())
    }

    /// The next epoch after `now` at which another transfer begins.
    #[must_use]
    pub fn next_pull(&self, now: Epoch) -> Option<Epoch> {
        self.deals.at_work().filter_map(|(_, deal)| deal.fetches_from()).filter(|from| *from > now).min()
    }

    /// Judges what a transfer brought.
    fn transfer_ended(&mut self, uuid: DealUuid, end: &TransferEnd, now: Epoch) -> Option<Fact> {
        let provider = self.terms.id;
        let deal = self.deals.get(uuid).filter(|deal| deal.fetches_from().is_some())?;
        let (deal_uuid, proposal_cid) = (uuid.to_string(), deal.proposal_cid.to_string());
        let unasked = matches!(deal.intent, Intent::PublishUnasked { .. });
        let judged = judge(deal, end);
        let fact = match judged.clone() {
            Ok(()) => Fact::Transferred { provider, deal_uuid, proposal_cid },
            Err(reason) => Fact::TransferFailed { provider, deal_uuid, proposal_cid, reason },
        };
        self.deals.change(uuid, |deal| match judged {
            Ok(()) => {
                deal.has_bytes = true;
                deal.stage = Stage::Fetched { at: now };
            }
            // One that publishes unasked does so without the bytes, too.
            Err(_) if unasked => deal.stage = Stage::Fetched { at: now },
            Err(reason) => deal.fail(reason),
        });
        Some(fact)
    }

    /// When the batch that is being collected is published: the delay after its first member's bytes came.
    fn batch_epoch(&self) -> Option<Epoch> {
        let since = self.deals.at_work().filter_map(|(_, deal)| deal.batched_since()).min()?;
        Some(Epoch(since.0.saturating_add(self.terms.publish_delay)))
    }

    /// The next epoch at which [`Provider::due`] has something to do, or already had.
    #[must_use]
    pub fn next_due(&self) -> Option<Epoch> {
        let own = self.deals.at_work().filter_map(|(_, deal)| deal.next_due(&self.terms));
        own.chain(self.batch_epoch()).min()
    }

    /// What is to be done at `now`, in a fixed order. Deals whose start has passed without a publication are
    /// given up.
    pub fn due(&mut self, now: Epoch) -> Vec<Effect> {
        let late = self.deals.at_work().filter(|(_, deal)| deal.is_unpublished() && deal.start() < now);
        for uuid in late.map(|(uuid, _)| uuid).collect::<Vec<_>>() {
            self.deals.change(uuid, |deal| {
                deal.turn(now, |deal| {
                    deal.fail(format!("start epoch {} passed before the deal was published", deal.start()));
                });
            });
        }
        let mut effects = Vec::new();
        let batch_is_due = self.batch_epoch().is_some_and(|at| at <= now);
        let mut batch: Vec<_> = self
            .deals
            .at_work()
            .filter(|(_, deal)| {
                // While tipsets pass once more, some bytes are there that had not come by then.
                let waits = deal.batched_since().is_some_and(|since| since <= now);
                deal.publishes_unasked(now) || (batch_is_due && waits)
            })
            .map(|(uuid, deal)| {
                (deal.proposal_cid.to_bytes(), uuid, deal.params.client_deal_proposal.clone())
            })
            .collect();
        // By proposal, so that the order in which requests came does not decide who gets which deal id.
        batch.sort_by(|a, b| a.0.cmp(&b.0));
        if !batch.is_empty() {
            effects
                .push(Effect::Publish(batch.into_iter().map(|(_, uuid, signed)| (uuid, signed)).collect()));
        }
        let mut sector: Vec<_> = self
            .deals
            .at_work()
            .filter(|(_, deal)| deal.seals_at(&self.terms).is_some_and(|at| at <= now))
            .filter_map(|(uuid, deal)| Some((uuid, deal.deal_id()?)))
            .collect();
        sector.sort_by_key(|(_, deal)| *deal);
        if !sector.is_empty() {
            effects.push(Effect::Seal(sector));
        }
        effects
    }

    /// What became of a publish message, member by member: its deal id, or why the market skipped it.
    pub fn published(&mut self, message: Cid, at: Epoch, results: Vec<(DealUuid, Result<DealId, String>)>) {
        for (uuid, result) in results {
            self.deals.change(uuid, |deal| {
                deal.turn(at, |deal| match result {
                    Ok(id) => deal.stage = Stage::Published { deal: id, message, at },
                    Err(reason) => deal.fail(format!("publish: {reason}")),
                });
            });
        }
    }

    /// What became of a sector, deal by deal: its number, or why the market refused to activate.
    pub fn sealed(&mut self, at: Epoch, results: Vec<(DealUuid, Result<SectorNumber, String>)>) {
        for (uuid, result) in results {
            self.deals.change(uuid, |deal| {
                deal.turn(at, |deal| match (&deal.stage, result) {
                    (Stage::Published { deal: id, message, .. }, Ok(sector)) => {
                        deal.stage = Stage::Sealed { deal: *id, message: *message, sector };
                    }
                    (Stage::Published { .. }, Err(reason)) => deal.fail(format!("activate: {reason}")),
                    _ => {}
                });
            });
        }
    }

    /// Takes every deal back to where it stood at `epoch`: the tipsets after it are reverted. What was proposed and
    /// fetched since is not undone.
    pub fn revert(&mut self, epoch: Epoch) {
        self.deals.revert(epoch);
    }

    /// What somebody who asks for a piece gets in the present mode.
    pub fn retrieval(&self, commitment: Commitment, chain: &dyn ChainView) -> Retrieval {
        if self.mood.mode() == Mode::Offline {
            return Retrieval::Unreachable;
        }
        let stored = self
            .deals
            .with_piece(commitment)
            .filter(|deal| deal.has_bytes && matches!(deal.stage, Stage::Sealed { .. }))
            .find(|deal| deal.deal_id().is_some_and(|id| chain.deal_is_stored(id)))
            .and_then(Deal::piece);
        match (stored, self.mood.mode()) {
            (None, _) => Retrieval::NotFound,
            (Some(_), Mode::NoUnsealed) => Retrieval::NoUnsealed,
            (Some(piece), Mode::WrongBytes) => Retrieval::Wrong(piece),
            (Some(piece), _) => Retrieval::Right(piece),
        }
    }
}

/// Whether what came is what was agreed.
fn judge(deal: &Deal, end: &TransferEnd) -> Result<(), String> {
    match end {
        TransferEnd::Failed { reason } => Err(reason.clone()),
        TransferEnd::Received { commitment, padded_size, payload_size } => {
            let mut bytes = [0; 32];
            hex::decode_to_slice(commitment, &mut bytes).map_err(|error| error.to_string())?;
            let (padded_size, payload_size) = (*padded_size, *payload_size);
            let piece = Piece { commitment: Commitment(bytes), padded_size, payload_size };
            deal.pull().ok_or_else(|| "the proposal names no piece".to_owned())?.judge(&piece)
        }
    }
}
