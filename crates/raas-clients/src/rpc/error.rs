//! What a call that gave no result says, sorted by what may be concluded from it.

use raas_core::ids::DealId;
use raas_core::observation::NotSeen;

/// Why a call gave no result.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum CallError {
    /// Nothing is known; asking again later or elsewhere may help.
    #[error("the endpoint did not answer: {reason}")]
    Retry {
        /// In words.
        reason: String,
        /// Whether the endpoint may have acted on the request.
        reached: Reached,
    },
    /// Too much at once for this endpoint, or an answer beyond the cap: ask for less, or elsewhere. It says nothing about
    /// the chain, and the endpoint is not at fault.
    #[error("too much at once: {0}")]
    TooMuch(String),
    /// An answer that says nothing about the chain.
    #[error("nothing can be concluded from the answer: {0}")]
    Unknown(Unknown),
    /// An answer that says something about the chain.
    #[error("{0}")]
    Evidence(Evidence),
}

/// Whether a failed request may have been acted upon.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Reached {
    /// It was never sent, or was turned away unread.
    No,
    /// It may have been.
    Perhaps,
}

/// Answers from which nothing follows.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Unknown {
    /// The endpoint does not offer the method.
    #[error("the endpoint does not offer {0}")]
    NotOffered(String),
    /// The state that was asked for is not kept there.
    #[error("state is missing: {0}")]
    MissingState(String),
    /// The state at this tipset is being upgraded; ask at the next one.
    #[error("state is being upgraded: {0}")]
    Upgrade(String),
    /// The endpoint serves another network than the node.
    #[error("the endpoint serves another network: {0}")]
    OtherNetwork(String),
    /// Endpoints contradict each other.
    #[error("endpoints contradict each other")]
    Contradiction,
    /// Fewer endpoints said it than must agree.
    #[error("too few endpoints confirm it")]
    Unconfirmed,
    /// Not of the expected form.
    #[error("unreadable answer: {0}")]
    Malformed(String),
    /// An error that is not known.
    #[error("{message} (code {code})")]
    Other {
        /// JSON-RPC code.
        code: i64,
        /// Its text.
        message: String,
    },
}

/// Errors that tell a fact.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Evidence {
    /// The market does not have this deal; why is told by exit codes only.
    #[error("deal {0} not found")]
    DealNotFound(DealId),
    /// No such actor.
    #[error("actor not found")]
    ActorNotFound,
    /// No tipset at this height.
    #[error("epoch {0} was a null round")]
    NullRound(i64),
    /// A contract refused, with these revert bytes.
    #[error("execution reverted with 0x{}", hex::encode(.0))]
    Reverted(Vec<u8>),
    /// Not reached yet, or not executed yet.
    #[error("not there yet: {0}")]
    Future(String),
}

impl CallError {
    /// An answer that could not be read.
    pub(crate) fn malformed(what: impl std::fmt::Display) -> Self {
        Self::Unknown(Unknown::Malformed(what.to_string()))
    }

    /// How an observation records it. Evidence that a caller did not expect is no sight either.
    #[must_use]
    pub const fn not_seen(&self) -> NotSeen {
        match self {
            Self::Unknown(Unknown::NotOffered(_)) => NotSeen::NotOffered,
            Self::Unknown(Unknown::MissingState(_) | Unknown::Upgrade(_)) => NotSeen::MissingState,
            Self::Unknown(Unknown::Contradiction) => NotSeen::Contradiction,
            _ => NotSeen::RpcFailed,
        }
    }
}

impl From<CallError> for NotSeen {
    fn from(error: CallError) -> Self {
        error.not_seen()
    }
}
