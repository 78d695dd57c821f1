//! What an endpoint gets wrong on purpose. The world knows nothing of it, and `devnet_*` is never touched.

use super::RpcError;
use serde::{Deserialize, Serialize};
use std::str::FromStr;

/// What is wrong with an endpoint.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub enum FaultMode {
    /// Nothing.
    #[default]
    Normal,
    /// Connections close without an answer and nothing is done.
    Down,
    /// The request is taken and never answered; nothing is done.
    Hang,
    /// The answer comes `ms` late.
    Slow,
    /// The head stands still where it was when the fault was set.
    Stale,
    /// Deals are not found, f05 getters exit with 17; sectors are told truthfully.
    ForgetDeals,
    /// Deals are not found, f05 getters exit with 32; sectors are told truthfully.
    ForgetDeals32,
    /// Event and log queries find nothing, as a node whose index has a hole.
    EmptyLogs,
    /// Event and log queries silently leave out all but the first `keep`.
    TruncateLogs,
    /// Requests are carried out, but their answer never arrives.
    DropReply,
    /// HTTP `status` (429 when none is given) with `retryAfter` seconds; nothing is done.
    Http,
    /// `server busy`, as a gateway says when it is out of tokens; nothing is done.
    Busy,
    /// The error `code`, `message`; nothing is done.
    Error,
    /// The method is not there (-32601).
    Unsupported,
    /// HTTP 200 with a page instead of JSON.
    Garbage,
    /// State is missing: `ipld: could not find ..`.
    MissingState,
    /// A null round is answered with the tipset before it instead of error 12, as Forest did before mid-2026.
    NullRoundAsPrevious,
    /// Other tipset keys and block hashes from `height` on (everywhere when none is given).
    Disagree,
}

/// One fault: what, for which methods, how often.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields, default)]
pub struct Fault {
    /// What is wrong.
    pub mode: FaultMode,
    /// Only this method, or all that begin so with a `*` at the end; every one when absent.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub method: Option<String>,
    /// So many requests more; without end when absent.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub count: Option<u64>,
    /// Milliseconds of `slow`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub ms: Option<u64>,
    /// Status of `http`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub status: Option<u16>,
    /// Seconds of the Retry-After header of `http`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub retry_after: Option<u64>,
    /// Code of `error`, 1 when absent.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub code: Option<i64>,
    /// Text of `error`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub message: Option<String>,
    /// Height of `disagree`, and for `stale` the head instead of the present one.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub height: Option<i64>,
    /// How many logs `truncateLogs` leaves.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub keep: Option<usize>,
}

impl Fault {
    /// This mode for every method, without end.
    #[must_use]
    pub fn always(mode: FaultMode) -> Self {
        Self { mode, ..Self::default() }
    }

    /// Whether the fault concerns `method` and has not run out.
    pub(super) fn applies(&self, method: &str) -> bool {
        let named = self.method.as_deref().is_none_or(|only| match only.strip_suffix('*') {
            Some(start) => method.starts_with(start),
            None => only == method,
        });
        named && self.mode != FaultMode::Normal && self.count != Some(0)
    }
}

impl FromStr for FaultMode {
    type Err = RpcError;

    fn from_str(name: &str) -> Result<Self, RpcError> {
        Self::deserialize(serde_json::Value::from(name)).map_err(|error| {
            RpcError::params("devnet_setRpc", format!("mode {name:?} does not exist: {error}"))
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_fault_names_one_method_or_a_family() {
        let one = Fault { method: Some("eth_call".to_owned()), ..Fault::always(FaultMode::Down) };
        assert!(one.applies("eth_call") && !one.applies("eth_callMany"));
        let family = Fault { method: Some("eth_*".to_owned()), ..Fault::always(FaultMode::Down) };
        assert!(family.applies("eth_call") && !family.applies("Filecoin.ChainHead"));
        assert!(!Fault { count: Some(0), ..Fault::always(FaultMode::Down) }.applies("eth_call"));
    }

    #[test]
    fn names_are_camel_case_and_unknown_ones_say_what_there_is() {
        assert_eq!("forgetDeals32".parse::<FaultMode>().expect("a mode"), FaultMode::ForgetDeals32);
        let error = "gone".parse::<FaultMode>().expect_err("no mode").message;
        assert!(error.contains("\"gone\"") && error.contains("dropReply"), "{error}");
    }
}
