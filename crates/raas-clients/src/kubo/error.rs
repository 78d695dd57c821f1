//! What can go wrong with a Kubo node.

use raas_piece::block::BlockError;
use raas_piece::car::CopyError;

/// Why a call of Kubo's RPC did not do what it should. No URL and no token stands in it.
#[derive(Debug, thiserror::Error)]
pub enum KuboError {
    /// The configuration cannot be used.
    #[error("kubo.{key}: {why}")]
    Config {
        /// Key of the section `kubo`.
        key: &'static str,
        /// What is wrong and what would be right.
        why: &'static str,
    },
    /// Nobody answers there.
    #[error(
        "Kubo could not be reached for {call}: {reason}; see that its daemon runs and kubo.url names its RPC"
    )]
    Unreachable {
        /// The call.
        call: &'static str,
        /// In words.
        reason: String,
    },
    /// The RPC wants another token, or one at all.
    #[error("Kubo turns {call} away (HTTP status {status}); kubo.token_file needs a token that it admits")]
    Unauthorized {
        /// The call.
        call: &'static str,
        /// 401 or 403.
        status: u16,
    },
    /// Kubo says no.
    #[error("Kubo refuses {call} (HTTP status {status}): {message}")]
    Refused {
        /// The call.
        call: &'static str,
        /// HTTP status.
        status: u16,
        /// Kubo's words.
        message: String,
    },
    /// It began with success and failed on the way, and Kubo said so.
    #[error("Kubo failed in the middle of {call}: {message}")]
    Stream {
        /// The call.
        call: &'static str,
        /// Kubo's words.
        message: String,
    },
    /// It began with success and the connection broke.
    #[error("the answer to {call} broke off: {reason}")]
    Broken {
        /// The call.
        call: &'static str,
        /// In words.
        reason: String,
    },
    /// Nothing moved.
    #[error("Kubo is too slow: nothing came of {call} in {seconds} s")]
    TooSlow {
        /// The call.
        call: &'static str,
        /// How long was waited.
        seconds: u64,
    },
    /// More than any honest answer.
    #[error("the answer to {call} has more than {limit} bytes")]
    TooLarge {
        /// The call.
        call: &'static str,
        /// Cap.
        limit: usize,
    },
    /// An answer in another form.
    #[error("the answer to {call} is not Kubo's: {what}; see that kubo.url names its RPC, not its gateway")]
    Answer {
        /// The call.
        call: &'static str,
        /// What is missing.
        what: &'static str,
    },
    /// The blocks may be there, but the root is not pinned.
    #[error("Kubo did not pin {root}: {message}")]
    NotPinned {
        /// Which.
        root: String,
        /// Kubo's words, or that it said nothing of it.
        message: String,
    },
    /// The CAR to be imported could not be read.
    #[error("the CAR for Kubo could not be read")]
    Source(#[source] std::io::Error),
    /// A block that is another one.
    #[error("Kubo sent a wrong block")]
    Block(#[from] BlockError),
    /// The export is no CAR of the whole DAG.
    #[error("Kubo's export cannot be taken")]
    Export(#[from] CopyError),
    /// The thread that checks the export ended.
    #[error("the check of the export was stopped")]
    Stopped,
}
