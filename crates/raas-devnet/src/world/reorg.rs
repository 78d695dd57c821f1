//! Reorganisations: the newest tipsets are left for another branch, and everything that they did with them.
//!
//! Every record is a history, so going back is cutting histories off. Then the same epochs pass once more on the new
//! branch: users' messages return to the mempool and are included where they were, or later; providers go on from where
//! the chain left them, since what they were told and what they fetched is not undone; commands that were given since
//! happen again at their epochs. With nothing else asked for, the new branch has the same content under other keys.

use super::{
    command::{Command, CommandError},
    messages::Waiting,
    state::World,
};
use crate::{
    codec::SignedMessage,
    fevm::Transaction,
    ledger::{Entry, Fact},
};
use raas_core::{ids::ActorId, units::Epoch};
use serde::{Deserialize, Serialize};
use std::collections::{BTreeMap, BTreeSet, VecDeque};

/// The most tipsets one command reverts: as many as nodes ever do.
pub const MOST_REVERTED: i64 = 900;
/// The most epochs they may span.
const MOST_SPANNED: i64 = 30_000;

/// What `devnet_reorg` asks for.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields, default)]
pub struct ReorgOrder {
    /// How many tipsets are left, counted from the head.
    pub depth: i64,
    /// The first so many epochs of the new branch carry no messages: they come later then, and closer together.
    #[serde(skip_serializing_if = "is_zero")]
    pub empty: i64,
    /// The first so many epochs of the new branch are null rounds.
    #[serde(skip_serializing_if = "is_zero")]
    pub nulls: i64,
    /// The last so many epochs of the new branch are null rounds so far: the head is lower than before.
    #[serde(skip_serializing_if = "is_zero")]
    pub missing: i64,
    /// Hashes or CIDs of messages that do not come back.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub drop: Vec<String>,
}

#[expect(clippy::trivially_copy_pass_by_ref, reason = "serde hands out references")]
fn is_zero(value: &i64) -> bool {
    *value == 0
}

/// What a reorganisation did.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Reorganised {
    /// The height of the last tipset that both branches have.
    pub base: i64,
    /// How many tipsets were left.
    pub reverted: u64,
    /// The height of the new head.
    pub head: i64,
}

/// What has to happen again if the tipsets in which it took effect are reverted.
#[derive(Clone, Debug, Default)]
pub(super) struct Replays {
    /// Commands with the epoch of their time and the epoch into whose state they wrote, oldest first.
    done: VecDeque<(i64, i64, Command)>,
    /// Messages on their way back to the mempool, by the height from which on they are there again.
    native: BTreeMap<i64, Vec<Waiting>>,
    eth: BTreeMap<i64, Vec<Transaction>>,
    /// Facts from outside the chain that wait for their epoch.
    facts: Vec<Entry>,
    /// No messages up to this height.
    quiet: Option<i64>,
    /// Whether time passes once more at present.
    replaying: bool,
}

impl World {
    /// Remembers a command that a reorganisation would have to repeat.
    pub(super) fn note_done(&mut self, command: &Command, written: i64) {
        let now = self.chain.clock();
        let repeats = matches!(
            command,
            Command::Fault(_)
                | Command::Recover(_)
                | Command::Terminate(_)
                | Command::Fund { .. }
                | Command::Bulk(_)
                | Command::Datacap { .. }
                | Command::Onboard(_)
        );
        if repeats {
            self.replays.done.push_back((now, written, command.clone()));
            while self.replays.done.front().is_some_and(|(at, ..)| *at < now - MOST_SPANNED) {
                self.replays.done.pop_front();
            }
        }
    }

    /// Whether the tipset of `epoch` carries no messages.
    pub(super) fn is_quiet(&self, epoch: i64) -> bool {
        self.replays.quiet.is_some_and(|until| epoch <= until)
    }

    /// Whether time passes once more, so that nobody outside is told of it.
    pub(super) const fn is_replaying(&self) -> bool {
        self.replays.replaying
    }

    /// The next epoch in which messages come back to the mempool.
    pub(super) fn next_return(&self) -> Option<i64> {
        let first = self.replays.native.keys().chain(self.replays.eth.keys()).min().copied()?;
        let soonest =
            first.max(self.replays.quiet.map_or(first, |until| until + 1)).max(self.chain.clock() + 1);
        Some(self.chain.at_or_after(soonest))
    }

    /// While time passes once more: puts into the ledger what happened outside the chain by `epoch`, and into the
    /// mempool what is back, unless the tipset is to be quiet.
    pub(super) fn return_due(&mut self, epoch: i64, quiet: bool) {
        if !self.replays.replaying {
            return;
        }
        self.return_facts(epoch);
        if !quiet {
            self.return_messages(epoch);
        }
    }

    fn return_messages(&mut self, epoch: i64) {
        let later = self.replays.native.split_off(&(epoch + 1));
        for waiting in std::mem::replace(&mut self.replays.native, later).into_values().flatten() {
            self.put_back(waiting);
        }
        let later = self.replays.eth.split_off(&(epoch + 1));
        for transaction in std::mem::replace(&mut self.replays.eth, later).into_values().flatten() {
            self.fevm.put_back(transaction);
        }
    }

    fn put_back(&mut self, waiting: Waiting) {
        let message = &waiting.signed.message;
        let Some(sender) = self.actors.lookup(&message.from, super::StateAt::NEWEST) else { return };
        let key: (ActorId, u64) = (sender, message.nonce);
        let executed = self.actors.wallet(sender, super::StateAt::NEWEST).unwrap_or_default().nonce;
        if message.nonce >= executed {
            self.mempool.insert(key, waiting);
        }
    }

    fn return_facts(&mut self, epoch: i64) {
        let due = self.replays.facts.partition_point(|entry| entry.epoch <= epoch);
        for entry in self.replays.facts.drain(..due).collect::<Vec<_>>() {
            self.ledger.record(entry.epoch, entry.fact);
        }
    }

    /// Leaves the newest tipsets for another branch.
    pub(super) fn reorganise(&mut self, order: &ReorgOrder) -> Result<Reorganised, CommandError> {
        let count = |field, value: i64, least: i64, most: i64| {
            let wrong = !(least..=most).contains(&value);
            if wrong { Err(CommandError::Count { field, value, most }) } else { Ok(()) }
        };
        count("depth", order.depth, 1, MOST_REVERTED)?;
        let clock = self.chain.clock();
        let base = (0..order.depth).fold(self.chain.head(), |height, _| self.chain.parent(height));
        let span = clock - base;
        if base < self.config.start_height || span > MOST_SPANNED {
            return Err(CommandError::TooDeep { depth: order.depth, first: self.config.start_height });
        }
        for (field, value) in [("empty", order.empty), ("nulls", order.nulls), ("missing", order.missing)] {
            count(field, value, 0, span)?;
        }
        let waiting = self.revert(base, &order.drop);
        self.chain.fork(base);
        self.chain.set_nulls(base + 1, base + order.nulls);
        self.chain.set_nulls(clock - order.missing + 1, clock);
        self.replays.quiet = (order.empty > 0).then_some(base + order.nulls + order.empty);
        self.pass_again(base, clock);
        self.put_all_back(waiting);
        let (reverted, head) = (u64::try_from(order.depth).unwrap_or(0), self.chain.head());
        self.ledger.record(clock, Fact::Reorganised { base, reverted });
        Ok(Reorganised { base, reverted, head })
    }

    /// Cuts everything off after `base`. Answers the mempools as they are.
    fn revert(&mut self, base: i64, drop: &[String]) -> (Vec<Waiting>, Vec<Transaction>) {
        let drop: BTreeSet<&str> = drop.iter().map(String::as_str).collect();
        let aside = (std::mem::take(&mut self.mempool).into_values().collect(), self.fevm.take_pool());
        let receipts = self.receipts.split_off(&(base + 1));
        for (height, receipts) in receipts {
            for receipt in receipts {
                self.message_places.remove(&receipt.cid);
                let Some(signature) = receipt.signature else { continue };
                if !drop.contains(receipt.cid.to_string().as_str()) {
                    let signed = SignedMessage { message: receipt.message, signature };
                    let waiting = Waiting { signed, cid: receipt.cid };
                    self.replays.native.entry(height).or_default().push(waiting);
                }
            }
        }
        let mut executed = self.fevm.revert(base);
        for block in executed.values_mut() {
            block.retain(|transaction| !drop.contains(transaction.hash.to_string().as_str()));
        }
        executed.retain(|_, block| !block.is_empty());
        self.replays.eth = executed;
        self.replays.facts = self.ledger.revert(base);
        self.events.split_off(&(base + 1));
        self.actors.revert(base);
        self.market.revert(base);
        for miner in self.miners.values_mut() {
            miner.revert(base);
            let worker = self.actors.wallet(miner.config.worker, super::StateAt::NEWEST);
            miner.messages = worker.unwrap_or_default().nonce;
        }
        self.registry.revert(base);
        self.book.revert(Epoch(base));
        self.queue.revert(base);
        aside
    }

    /// Lets the epochs from `base` to `clock` pass on the new branch.
    fn pass_again(&mut self, base: i64, clock: i64) {
        self.replays.replaying = true;
        let done = std::mem::take(&mut self.replays.done);
        let (kept, again): (VecDeque<_>, VecDeque<_>) =
            done.into_iter().partition(|(_, written, _)| *written <= base);
        self.replays.done = kept;
        let mut late = Vec::new();
        for (at, _, command) in again {
            let at = at.max(self.chain.clock());
            self.advance(at - self.chain.clock());
            let sends = matches!(command, Command::Onboard(_) | Command::Datacap { .. });
            if sends && self.chain.head() <= base {
                // Its message needs a tipset of this branch, and there is none yet.
                late.push(command);
            } else {
                self.repeat(&command);
            }
        }
        self.advance(clock - self.chain.clock());
        if self.chain.head() > base {
            late.iter().for_each(|command| self.repeat(command));
        }
        self.replays.quiet = None;
        self.return_due(i64::MAX - 1, false);
        self.replays.replaying = false;
    }

    /// Does again what was commanded. What it was about may not be there on this branch: then there is nothing to repeat.
    fn repeat(&mut self, command: &Command) {
        if let Err(error) = self.act(command) {
            tracing::debug!(%error, ?command, "not repeated on the new branch");
        }
    }

    fn put_all_back(&mut self, (native, eth): (Vec<Waiting>, Vec<Transaction>)) {
        native.into_iter().for_each(|waiting| self.put_back(waiting));
        eth.into_iter().for_each(|transaction| self.fevm.put_back(transaction));
    }
}
