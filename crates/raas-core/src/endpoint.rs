//! Chain endpoints as they were last seen, and what about them is worth an alarm.
//!
//! An alarm stops nothing: what stops is a [`crate::gate::Hold`]. It says what will become a hold, or what is believed
//! on less than it should be.

use crate::gate::FINALITY_LAG_ALARM;
use crate::units::Epoch;
use serde::{Deserialize, Serialize};
use std::fmt;

/// How an endpoint stands.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case", tag = "standing")]
pub enum Standing {
    /// Not asked yet.
    Unasked,
    /// It answers and keeps up.
    Good,
    /// Its head cannot be right by the clock, or others are further.
    Off {
        /// Its head.
        head: Epoch,
        /// Where the clock, or the best endpoint, stands.
        expected: Epoch,
    },
    /// It fails, and is asked again now and then.
    Failing {
        /// Its last error, without the address.
        why: String,
    },
    /// It serves another network; nothing is asked of it.
    OtherNetwork {
        /// Chain id and genesis that it tells.
        found: String,
    },
}

/// One endpoint, for people and for alarms.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct EndpointSeen {
    /// Host and port; never the path, which may hold a key.
    pub name: String,
    /// How it stands.
    #[serde(flatten)]
    pub standing: Standing,
    /// Its head.
    pub head: Option<Epoch>,
    /// Its newest executed block, as `eth_*` calls it.
    pub latest: Option<Epoch>,
    /// As `eth_*` calls it.
    pub safe: Option<Epoch>,
    /// Its newest finalized tipset, by the further of its two words for it.
    pub finalized: Option<Epoch>,
    /// Whether a WebSocket to it is open; `None` when none is configured.
    pub socket: Option<bool>,
    /// Methods that it does not offer, as far as they were tried.
    pub not_offered: Vec<String>,
    /// How many epochs back it tells state, at least; `None` until that was tried.
    pub state_epochs: Option<i64>,
    /// How many blocks of logs it gives at once; `None` until that was tried.
    pub log_blocks: Option<i64>,
    /// Calls a second it is given at present; `None` when they are not limited.
    pub calls_per_second: Option<u64>,
}

/// State that finality may need, in epochs: so far back it lies where F3 stands still.
pub const FINALITY_STATE: i64 = 900;

impl EndpointSeen {
    /// Whether it was found to keep less state than finality may need.
    #[must_use]
    pub fn lacks_state(&self) -> bool {
        self.state_epochs.is_some_and(|epochs| epochs < FINALITY_STATE)
            && self.head.is_some_and(|head| head.0 > FINALITY_STATE)
    }
}

/// What an admin should know.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case", tag = "alarm")]
pub enum Alarm {
    /// One endpoint is believed by itself.
    OneVoice {
        /// How many are configured.
        endpoints: u32,
    },
    /// An endpoint does not answer.
    Failing {
        /// Which.
        endpoint: String,
        /// Why.
        why: String,
    },
    /// An endpoint serves another network.
    OtherNetwork {
        /// Which.
        endpoint: String,
        /// What it tells.
        found: String,
    },
    /// An endpoint's head is off.
    HeadOff {
        /// Which.
        endpoint: String,
        /// Its head.
        head: Epoch,
        /// Where it should be.
        expected: Epoch,
    },
    /// An endpoint keeps less state than finality can lie back: what it is asked for then is unknown.
    StateShort {
        /// Which.
        endpoint: String,
    },
    /// Finality lags.
    FinalityLags {
        /// At which endpoint.
        endpoint: String,
        /// By how many epochs.
        epochs: i64,
    },
}

impl fmt::Display for Alarm {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::OneVoice { endpoints: 1 } => {
                f.write_str("one endpoint is believed by itself; name more and set chain.agree to 2")
            }
            Self::OneVoice { endpoints } => {
                write!(f, "any one of {endpoints} endpoints is believed by itself; set chain.agree to 2")
            }
            Self::Failing { endpoint, why } => write!(f, "endpoint {endpoint} does not answer: {why}"),
            Self::OtherNetwork { endpoint, found } => {
                write!(f, "endpoint {endpoint} serves another network ({found}) and is not used; take it out")
            }
            Self::HeadOff { endpoint, head, expected } => {
                write!(f, "endpoint {endpoint} is at {head}, not at {expected}, and has no voice")
            }
            Self::StateShort { endpoint } => {
                write!(
                    f,
                    "endpoint {endpoint} tells no state {FINALITY_STATE} epochs back: what is asked there is unknown"
                )
            }
            Self::FinalityLags { endpoint, epochs } => {
                write!(f, "at endpoint {endpoint} finality lags the head by {epochs} epochs")
            }
        }
    }
}

impl Alarm {
    /// Which endpoint it is about; `None` when about all.
    #[must_use]
    pub fn endpoint(&self) -> Option<&str> {
        match self {
            Self::OneVoice { .. } => None,
            Self::Failing { endpoint, .. }
            | Self::OtherNetwork { endpoint, .. }
            | Self::HeadOff { endpoint, .. }
            | Self::StateShort { endpoint }
            | Self::FinalityLags { endpoint, .. } => Some(endpoint),
        }
    }
}

/// What of `endpoints` is worth an alarm, when `wanted` of them must agree.
#[must_use]
pub fn alarms(endpoints: &[EndpointSeen], wanted: u32) -> Vec<Alarm> {
    let mut alarms = Vec::new();
    if wanted <= 1 && !endpoints.is_empty() {
        alarms.push(Alarm::OneVoice { endpoints: u32::try_from(endpoints.len()).unwrap_or(u32::MAX) });
    }
    for seen in endpoints {
        let endpoint = seen.name.clone();
        match &seen.standing {
            Standing::Unasked | Standing::Good => {}
            Standing::Off { head, expected } => {
                alarms.push(Alarm::HeadOff { endpoint, head: *head, expected: *expected });
                continue;
            }
            Standing::Failing { why } => {
                alarms.push(Alarm::Failing { endpoint, why: why.clone() });
                continue;
            }
            Standing::OtherNetwork { found } => {
                alarms.push(Alarm::OtherNetwork { endpoint, found: found.clone() });
                continue;
            }
        }
        if seen.lacks_state() {
            alarms.push(Alarm::StateShort { endpoint: endpoint.clone() });
        }
        if let (Some(head), Some(finalized)) = (seen.head, seen.finalized) {
            let epochs = head.0.saturating_sub(finalized.0);
            if epochs > FINALITY_LAG_ALARM {
                alarms.push(Alarm::FinalityLags { endpoint, epochs });
            }
        }
    }
    alarms
}

#[cfg(test)]
mod tests {
    use super::*;

    fn seen(standing: Standing, finalized: i64) -> EndpointSeen {
        EndpointSeen {
            name: "a".to_owned(),
            standing,
            head: Some(Epoch(1_000)),
            latest: None,
            safe: None,
            finalized: Some(Epoch(finalized)),
            socket: None,
            not_offered: Vec::new(),
            state_epochs: None,
            log_blocks: None,
            calls_per_second: None,
        }
    }

    #[test]
    fn what_is_well_raises_no_alarm() {
        assert_eq!(alarms(&[seen(Standing::Good, 940), seen(Standing::Good, 990)], 2), []);
    }

    #[test]
    fn each_trouble_has_its_alarm() {
        assert_eq!(alarms(&[seen(Standing::Good, 990)], 1), [Alarm::OneVoice { endpoints: 1 }]);
        let lags = alarms(&[seen(Standing::Good, 939), seen(Standing::Good, 990)], 2);
        assert_eq!(lags, [Alarm::FinalityLags { endpoint: "a".to_owned(), epochs: 61 }]);
        let why = || "timed out".to_owned();
        let failing = alarms(&[seen(Standing::Failing { why: why() }, 1)], 2);
        assert_eq!(failing, [Alarm::Failing { endpoint: "a".to_owned(), why: why() }]);
        let off = Standing::Off { head: Epoch(10), expected: Epoch(1_000) };
        assert!(matches!(alarms(&[seen(off, 1)], 2).as_slice(), [Alarm::HeadOff { .. }]));
        let mut short = seen(Standing::Good, 990);
        short.state_epochs = Some(0);
        assert_eq!(alarms(&[short.clone()], 2), [Alarm::StateShort { endpoint: "a".to_owned() }]);
        // A young chain has no more.
        short.head = Some(Epoch(900));
        assert_eq!(alarms(&[short], 2), []);
        let other = Standing::OtherNetwork { found: "314159".to_owned() };
        assert!(matches!(alarms(&[seen(other, 1)], 2).as_slice(), [Alarm::OtherNetwork { .. }]));
    }
}
