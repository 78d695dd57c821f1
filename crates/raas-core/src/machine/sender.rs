//! One transaction of the one writer of a wallet.
//!
//! The nonce and the signed bytes are stored before they leave. A transaction may exist in several versions,
//! all with its one nonce, so at most one of them is ever mined. An uncertain broadcast is settled by looking
//! for any of the versions; only when the chain has none are the same bytes sent again.

use crate::ports::{Fees, SignedTx};
use crate::units::{AttoFil, Epoch, Epochs};
use serde::{Deserialize, Serialize};

/// Broadcast for this long without inclusion, a transaction is replaced by one that pays more.
pub const STUCK_AFTER: Epochs = match Epochs::new(20) {
    Some(epochs) => epochs,
    None => Epochs::ZERO,
};
/// Versions of one transaction; 1.25^12 is more than ten times the first premium.
pub const VERSIONS_MAX: usize = 12;

/// A nonce and every version signed for it, the newest last. Never empty.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Sent {
    /// Of the wallet.
    pub nonce: u64,
    /// The head when the first version was signed: its nonce was not used before.
    #[serde(default)]
    pub first_at: Epoch,
    /// The head from which on the newest version counts as waiting.
    #[serde(default)]
    pub waits_since: Epoch,
    /// The first version.
    pub first: SignedTx,
    /// Replacements, each with a higher premium.
    pub replacements: Vec<SignedTx>,
}

/// A version seen in an executed tipset.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Receipt {
    /// Which version.
    pub hash: String,
    /// The tipset that includes it.
    pub block: Epoch,
    /// Exit code 0, or status 1.
    pub success: bool,
}

/// Where a transaction stands.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case", tag = "state")]
pub enum State {
    /// Intended; no nonce yet.
    Planned,
    /// Signed and stored; it may or may not have left.
    Stored(Sent),
    /// An endpoint has it.
    Broadcast(Sent),
    /// In a tipset that can still be reorganised away.
    Included {
        /// What was sent.
        sent: Sent,
        /// What was mined.
        receipt: Receipt,
    },
    /// Mined and successful at a finalized tipset.
    Final {
        /// What was sent.
        sent: Sent,
        /// What was mined.
        receipt: Receipt,
    },
    /// Mined at a finalized tipset and reverted.
    Failed {
        /// What was sent.
        sent: Sent,
        /// What was mined.
        receipt: Receipt,
    },
    /// Somebody else's transaction took its nonce at finality: it can never be mined.
    Replaced(Sent),
}

/// What can happen.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Event {
    /// A version was signed and stored with this nonce.
    Stored {
        /// Of the wallet.
        nonce: u64,
        /// The version.
        tx: SignedTx,
        /// The head now.
        at: Epoch,
    },
    /// An endpoint took it.
    BroadcastOk,
    /// Nobody knows whether an endpoint took it.
    BroadcastUncertain,
    /// An endpoint had these bytes already.
    AlreadyKnown,
    /// An endpoint refused it for another reason than its nonce; it is not in that pool.
    Refused,
    /// An endpoint says that the nonce is used.
    NonceTooLow,
    /// A version is in an executed tipset.
    ReceiptSeen(Receipt),
    /// No version can be found in an executed tipset, be it that a tipset is not in the chain any more.
    Missing {
        /// Next unused nonce at finality.
        finalized_nonce: u64,
        /// The head now.
        at: Epoch,
    },
    /// A transaction that is no version of this one has its nonce, at finality.
    NonceTaken {
        /// Which.
        hash: String,
    },
    /// This height is finalized.
    FinalizedAt {
        /// The height.
        block: Epoch,
    },
    /// Still in no tipset at this head, and its nonce is the next.
    WaitedTo {
        /// The head.
        at: Epoch,
    },
    /// The process came back, or it is time to try again.
    Resumed,
}

/// What the executor does after the new state is stored.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Effect {
    /// Send these stored bytes.
    Broadcast(SignedTx),
    /// Look every version up by its hash, newest first.
    LookUp(Vec<String>),
    /// Look up who used the nonce: no version is found by its hash, though the nonce is used at finality.
    FindTaker {
        /// The nonce.
        nonce: u64,
        /// It was unused at this height.
        since: Epoch,
    },
    /// Sign another version with the same nonce and at least these fees.
    Replace {
        /// The same nonce.
        nonce: u64,
        /// 25 % above the newest version, and one attoFIL.
        fees: Fees,
    },
    /// Tell the admin.
    Alarm(Alarm),
}

/// What the admin must know.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Alarm {
    /// Somebody else sends with this wallet's key.
    ForeignNonce {
        /// The nonce that was taken.
        nonce: u64,
        /// By what.
        hash: String,
    },
}

/// Why an event cannot happen in a state.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Illegal {
    /// The state does not know this event.
    #[error("a transaction that is {state} cannot be {event}")]
    NotNow {
        /// The state's name.
        state: &'static str,
        /// The event's name.
        event: &'static str,
    },
    /// A version with another nonce could be mined beside the first.
    #[error("the transaction has nonce {first}; a version with nonce {second} could be mined besides")]
    OtherNonce {
        /// The one that stands.
        first: u64,
        /// The one refused.
        second: u64,
    },
    /// A version that was never asked for.
    #[error("{0} versions are stored; no more are made")]
    TooManyVersions(usize),
    /// The receipt is of no stored version.
    #[error("the receipt is of {0}, which is no version of this transaction")]
    OtherHash(String),
}

impl Sent {
    /// The version with the highest fees.
    #[must_use]
    pub fn newest(&self) -> &SignedTx {
        self.replacements.last().unwrap_or(&self.first)
    }

    /// Hashes of all versions, newest first.
    #[must_use]
    pub fn hashes(&self) -> Vec<String> {
        let all = std::iter::once(&self.first).chain(&self.replacements);
        let mut hashes: Vec<String> = all.map(|tx| tx.hash.clone()).collect();
        hashes.reverse();
        hashes
    }

    /// The version with this hash.
    #[must_use]
    pub fn version(&self, hash: &str) -> Option<&SignedTx> {
        std::iter::once(&self.first).chain(&self.replacements).find(|tx| tx.hash == hash)
    }

    fn versions(&self) -> usize {
        self.replacements.len() + 1
    }

    fn has(&self, hash: &str) -> bool {
        self.version(hash).is_some()
    }
}

impl State {
    /// The state's name as the store spells it.
    #[must_use]
    pub const fn name(&self) -> &'static str {
        match self {
            Self::Planned => "planned",
            Self::Stored(_) => "stored",
            Self::Broadcast(_) => "broadcast",
            Self::Included { .. } => "included",
            Self::Final { .. } => "final",
            Self::Failed { .. } => "failed",
            Self::Replaced(_) => "replaced",
        }
    }

    /// Whether nothing can happen to it any more.
    #[must_use]
    pub const fn is_closed(&self) -> bool {
        matches!(self, Self::Final { .. } | Self::Failed { .. } | Self::Replaced(_))
    }

    /// What was signed, once something was.
    #[must_use]
    pub const fn sent(&self) -> Option<&Sent> {
        match self {
            Self::Planned => None,
            Self::Stored(sent)
            | Self::Broadcast(sent)
            | Self::Replaced(sent)
            | Self::Included { sent, .. }
            | Self::Final { sent, .. }
            | Self::Failed { sent, .. } => Some(sent),
        }
    }
}

const fn name(event: &Event) -> &'static str {
    match event {
        Event::Stored { .. } => "stored",
        Event::BroadcastOk => "broadcast",
        Event::BroadcastUncertain => "broadcast uncertainly",
        Event::AlreadyKnown => "already known",
        Event::Refused => "refused",
        Event::NonceTooLow => "too low in nonce",
        Event::ReceiptSeen(_) => "included",
        Event::Missing { .. } => "missing",
        Event::FinalizedAt { .. } => "finalized",
        Event::NonceTaken { .. } => "overtaken",
        Event::WaitedTo { .. } => "stuck",
        Event::Resumed => "resumed",
    }
}

/// A state and what to do once it is stored.
type Next = Result<(State, Vec<Effect>), Illegal>;

/// The state after `event`, and what to do then.
pub fn next(state: &State, event: &Event) -> Next {
    if let Event::Stored { nonce, tx, at } = event {
        return store(state, *nonce, tx, *at);
    }
    match state {
        State::Stored(sent) | State::Broadcast(sent) => open(state, sent, event),
        State::Included { sent, receipt } => included(state, sent, receipt, event),
        // Closed: whatever comes late says nothing new.
        State::Final { .. } | State::Failed { .. } | State::Replaced(_) => Ok((state.clone(), Vec::new())),
        State::Planned => match event {
            Event::FinalizedAt { .. } | Event::Resumed => Ok((state.clone(), Vec::new())),
            _ => Err(Illegal::NotNow { state: state.name(), event: name(event) }),
        },
    }
}

fn store(state: &State, nonce: u64, tx: &SignedTx, at: Epoch) -> Next {
    let sent = match state {
        State::Planned => {
            let first = tx.clone();
            let sent = Sent { nonce, first_at: at, waits_since: at, first, replacements: Vec::new() };
            return Ok((State::Stored(sent), vec![Effect::Broadcast(tx.clone())]));
        }
        State::Stored(sent) | State::Broadcast(sent) => sent,
        _ => return Err(Illegal::NotNow { state: state.name(), event: "stored" }),
    };
    if sent.nonce != nonce {
        return Err(Illegal::OtherNonce { first: sent.nonce, second: nonce });
    }
    if sent.has(&tx.hash) {
        return Ok((state.clone(), vec![Effect::Broadcast(tx.clone())]));
    }
    if sent.versions() >= VERSIONS_MAX {
        return Err(Illegal::TooManyVersions(sent.versions()));
    }
    let mut sent = sent.clone();
    sent.replacements.push(tx.clone());
    sent.waits_since = at;
    Ok((State::Stored(sent), vec![Effect::Broadcast(tx.clone())]))
}

/// Signed, and not seen in a tipset.
fn open(state: &State, sent: &Sent, event: &Event) -> Next {
    let look_up = || vec![Effect::LookUp(sent.hashes())];
    Ok(match event {
        Event::BroadcastOk | Event::AlreadyKnown => (State::Broadcast(sent.clone()), Vec::new()),
        Event::BroadcastUncertain | Event::NonceTooLow | Event::Resumed => (state.clone(), look_up()),
        Event::ReceiptSeen(receipt) if sent.has(&receipt.hash) => {
            (State::Included { sent: sent.clone(), receipt: receipt.clone() }, Vec::new())
        }
        Event::ReceiptSeen(receipt) => return Err(Illegal::OtherHash(receipt.hash.clone())),
        Event::Missing { finalized_nonce, .. } if *finalized_nonce > sent.nonce => {
            (state.clone(), vec![Effect::FindTaker { nonce: sent.nonce, since: sent.first_at }])
        }
        Event::Missing { .. } => (state.clone(), vec![Effect::Broadcast(sent.newest().clone())]),
        Event::NonceTaken { hash } if sent.has(hash) => (state.clone(), look_up()),
        Event::NonceTaken { hash } => {
            let alarm = Alarm::ForeignNonce { nonce: sent.nonce, hash: hash.clone() };
            (State::Replaced(sent.clone()), vec![Effect::Alarm(alarm)])
        }
        Event::WaitedTo { at }
            if at.since(sent.waits_since) >= STUCK_AFTER && sent.versions() < VERSIONS_MAX =>
        {
            let fees = raised(sent.newest().fees);
            (state.clone(), vec![Effect::Replace { nonce: sent.nonce, fees }])
        }
        Event::Refused | Event::FinalizedAt { .. } | Event::WaitedTo { .. } => (state.clone(), Vec::new()),
        Event::Stored { .. } => return Err(Illegal::NotNow { state: state.name(), event: name(event) }),
    })
}

fn included(state: &State, sent: &Sent, receipt: &Receipt, event: &Event) -> Next {
    Ok(match event {
        Event::FinalizedAt { block } if *block >= receipt.block => {
            let (sent, receipt) = (sent.clone(), receipt.clone());
            let closed = if receipt.success {
                State::Final { sent, receipt }
            } else {
                State::Failed { sent, receipt }
            };
            (closed, Vec::new())
        }
        // Another tipset, or another version after a reorganisation.
        Event::ReceiptSeen(again) if sent.has(&again.hash) => {
            (State::Included { sent: sent.clone(), receipt: again.clone() }, Vec::new())
        }
        Event::ReceiptSeen(other) => return Err(Illegal::OtherHash(other.hash.clone())),
        // Its nonce stays used at finality, so this is no reorganisation: the endpoint has forgotten the hash.
        Event::Missing { finalized_nonce, .. } if *finalized_nonce > sent.nonce => {
            (state.clone(), vec![Effect::FindTaker { nonce: sent.nonce, since: sent.first_at }])
        }
        // Reorganised away: it waits anew, with the same nonce and bytes.
        Event::Missing { at, .. } => {
            let sent = Sent { waits_since: *at, ..sent.clone() };
            let newest = sent.newest().clone();
            (State::Broadcast(sent), vec![Effect::Broadcast(newest)])
        }
        Event::NonceTaken { hash } if !sent.has(hash) => {
            let alarm = Alarm::ForeignNonce { nonce: sent.nonce, hash: hash.clone() };
            (State::Replaced(sent.clone()), vec![Effect::Alarm(alarm)])
        }
        Event::Resumed => (state.clone(), vec![Effect::LookUp(sent.hashes())]),
        _ => (state.clone(), Vec::new()),
    })
}

/// 25 % more premium and one attoFIL, and a cap that covers it: the least a mempool accepts in exchange.
fn raised(fees: Fees) -> Fees {
    let raise = |amount: AttoFil| AttoFil(amount.0.saturating_add(amount.0 / 4).saturating_add(1));
    Fees { fee_cap: raise(fees.fee_cap), premium: raise(fees.premium) }
}
