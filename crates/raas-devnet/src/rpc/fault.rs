//! How the endpoint lies or fails, by command. The world knows nothing of it, and `devnet_*` is never touched.

use super::RpcError;
use std::str::FromStr;

/// What is wrong with the endpoint.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum FaultMode {
    /// Nothing.
    #[default]
    Normal,
    /// Connections close without an answer and nothing is done.
    Down,
    /// The head stands still where it was when the mode was set.
    Stale,
    /// Deals are not found, f05 getters exit with 17; sectors are told truthfully.
    ForgetDeals,
    /// Deals are not found, f05 getters exit with 32; sectors are told truthfully.
    ForgetDeals32,
    /// Event and log queries find nothing.
    EmptyLogs,
    /// Requests are carried out, but their answer never arrives.
    DropReply,
}

impl FromStr for FaultMode {
    type Err = RpcError;

    fn from_str(name: &str) -> Result<Self, RpcError> {
        Ok(match name {
            "normal" => Self::Normal,
            "down" => Self::Down,
            "stale" => Self::Stale,
            "forgetDeals" => Self::ForgetDeals,
            "forgetDeals32" => Self::ForgetDeals32,
            "emptyLogs" => Self::EmptyLogs,
            "dropReply" => Self::DropReply,
            other => {
                return Err(RpcError::params(
                    "devnet_setRpc",
                    format!(
                        "mode {other:?} does not exist: use normal, down, stale, forgetDeals, forgetDeals32, \
                         emptyLogs or dropReply"
                    ),
                ));
            }
        })
    }
}

/// What an answer leaves out.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Lens(FaultMode);

impl Lens {
    /// The exit code with which deals are denied.
    pub(super) fn forgets_deals(self) -> Option<i64> {
        match self.0 {
            FaultMode::ForgetDeals => Some(17),
            FaultMode::ForgetDeals32 => Some(32),
            _ => None,
        }
    }

    pub(super) fn hides_logs(self) -> bool {
        self.0 == FaultMode::EmptyLogs
    }
}

/// What is to be done with one request.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Treatment {
    /// Close the connection, doing nothing.
    pub(super) refuse: bool,
    /// Carry it out, then close the connection.
    pub(super) lose_answer: bool,
    /// Answer with the head here.
    pub(super) head: Option<i64>,
    /// Leave things out.
    pub(super) lens: Lens,
}

/// The mode at present.
#[derive(Clone, Debug, Default)]
pub(super) struct Faults {
    mode: FaultMode,
    /// Only this method; all when absent.
    method: Option<String>,
    /// So many requests more; without end when absent.
    left: Option<u64>,
    /// The head when the mode was set.
    frozen: i64,
}

impl Faults {
    pub(super) fn set(&mut self, mode: FaultMode, method: Option<String>, count: Option<u64>, head: i64) {
        *self = Self { mode, method, left: count, frozen: head };
    }

    /// How `method` is treated; counts it if the mode applies.
    pub(super) fn treat(&mut self, method: &str) -> Treatment {
        let applies = self.mode != FaultMode::Normal
            && self.left != Some(0)
            && self.method.as_deref().is_none_or(|only| only == method);
        let mode = if applies { self.mode } else { FaultMode::Normal };
        if applies {
            self.left = self.left.map(|left| left - 1);
        }
        Treatment {
            refuse: mode == FaultMode::Down,
            lose_answer: mode == FaultMode::DropReply,
            head: (mode == FaultMode::Stale).then_some(self.frozen),
            lens: Lens(mode),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_counted_fault_of_one_method_ends() {
        let mut faults = Faults::default();
        faults.set(FaultMode::DropReply, Some("a".to_owned()), Some(2), 7);
        let lost: Vec<bool> =
            ["a", "b", "a", "a"].iter().map(|method| faults.treat(method).lose_answer).collect();
        assert_eq!(lost, [true, false, true, false]);
    }

    #[test]
    fn a_stale_endpoint_keeps_the_head_it_had() {
        let mut faults = Faults::default();
        faults.set(FaultMode::Stale, None, None, 7);
        assert_eq!(faults.treat("any").head, Some(7));
        faults.set(FaultMode::Normal, None, None, 9);
        assert_eq!(faults.treat("any").head, None);
    }
}
