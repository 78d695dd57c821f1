//! Endpoints: any number of ways to one chain, each with its own profile, limits and faults, and its count of calls.
//!
//! An [`Endpoint`] works without servers, so a simulation has the same ones. What it is told to be is of the running
//! process and not journaled: endpoints shape what is seen, never what happens.

use super::{
    RpcError,
    fault::{Fault, FaultMode},
    filters::{self, Filters},
    gateway,
    lens::Lens,
    server::answer,
};
use crate::world::World;
use serde::{Deserialize, Serialize};
use serde_json::Value;
use std::collections::BTreeMap;

/// Which methods and how far back.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub enum Profile {
    /// A node of one's own: every method, all history.
    #[default]
    Full,
    /// A public gateway: an allow-list, 24 hours, short searches.
    Gateway,
}

/// Whose manners an endpoint has where the two implementations differ.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub enum Client {
    /// Unregistered errors have code 1, no events are null.
    #[default]
    Lotus,
    /// Unregistered errors have code -32603, no events are an empty list, no SubscribeActorEventsRaw.
    Forest,
}

/// What an endpoint is told to be.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields, default)]
pub struct Behaviour {
    /// Which methods and how far back.
    pub profile: Profile,
    /// Whose manners.
    pub client: Client,
    /// Epochs its head lies behind the chain's.
    pub behind: i64,
    /// Epochs its finality lies behind its head; the chain's when absent.
    pub finality_lag: Option<i64>,
    /// Epochs its `safe` lies behind its head, if finality is not nearer; 200 when absent.
    pub safe_lag: Option<i64>,
    /// Epochs it keeps: older state is missing.
    pub lookback: Option<i64>,
    /// The widest range of heights for logs and events.
    pub log_range: Option<i64>,
    /// The most logs or events over several tipsets.
    pub log_results: Option<usize>,
    /// Calls per second of wall time; above it HTTP 429.
    pub calls_per_second: Option<u32>,
    /// Not 0: another network, with a genesis, keys and (unless `chainId` says otherwise) a chain id of its own.
    pub network: u64,
    /// What `eth_chainId` answers instead of the chain's own.
    pub chain_id: Option<u64>,
    /// What `StateNetworkName` answers instead of the chain's own.
    pub network_name: Option<String>,
    /// Methods that are not there, whole or with a `*` at the end.
    pub deny: Vec<String>,
    /// What goes wrong, in any number; all that apply do.
    pub faults: Vec<Fault>,
}

/// What came of one request.
#[derive(Clone, Debug, PartialEq)]
pub enum Answer {
    /// An answer, after a delay in milliseconds.
    Json {
        /// Result or error.
        result: Result<Value, RpcError>,
        /// How late it comes.
        delay_ms: u64,
    },
    /// The connection closes without a byte. The request may have been carried out.
    Silence,
    /// Nothing comes for ever; nothing was done.
    Hang,
    /// Not JSON-RPC: an HTTP status with a body, and perhaps a Retry-After in seconds.
    Http {
        /// The status.
        status: u16,
        /// The header.
        retry_after: Option<u64>,
        /// What stands in it.
        body: String,
    },
}

/// One way to the chain.
#[derive(Clone, Debug, Default)]
pub struct Endpoint {
    behaviour: Behaviour,
    calls: BTreeMap<String, u64>,
    pub(super) filters: Filters,
}

impl Endpoint {
    /// An endpoint that behaves so, on a chain whose head is `head`.
    #[must_use]
    pub fn new(behaviour: Behaviour, head: i64) -> Self {
        let mut endpoint = Self::default();
        endpoint.set(behaviour, head);
        endpoint
    }

    /// What it is told to be; counts of faults are what is left of them.
    #[must_use]
    pub const fn behaviour(&self) -> &Behaviour {
        &self.behaviour
    }

    /// From now on it behaves so. A stale head stays where the chain's is now, unless the fault says where.
    pub fn set(&mut self, mut behaviour: Behaviour, head: i64) {
        let stale = behaviour.faults.iter_mut().filter(|fault| fault.mode == FaultMode::Stale);
        stale.for_each(|fault| fault.height = fault.height.or(Some(head)));
        self.behaviour = behaviour;
    }

    /// Calls so far by method, each one of a batch included.
    #[must_use]
    pub const fn calls(&self) -> &BTreeMap<String, u64> {
        &self.calls
    }

    /// Forgets the counts.
    pub fn reset_calls(&mut self) {
        self.calls.clear();
    }

    /// One call, as it is answered over HTTP.
    pub fn call(&mut self, world: &mut World, method: &str, params: &Value) -> Answer {
        match self.admit(method, false) {
            Admitted::Answer(answer) => answer,
            Admitted::Through { lens, delay_ms, lose_answer } => {
                let result = if filters::handles(method) {
                    self.filters.answer(world, &lens, method, params)
                } else {
                    answer(world, &lens, method, params)
                };
                if lose_answer { Answer::Silence } else { Answer::Json { result, delay_ms } }
            }
        }
    }

    /// Counts a call and says whether it reaches the chain.
    pub(super) fn admit(&mut self, method: &str, socket: bool) -> Admitted {
        match self.calls.get_mut(method) {
            Some(count) => *count += 1,
            None => {
                self.calls.insert(method.to_owned(), 1);
            }
        }
        let mut faults = Vec::new();
        for fault in self.behaviour.faults.iter_mut().filter(|fault| fault.applies(method)) {
            faults.push(fault.clone());
            fault.count = fault.count.map(|left| left - 1);
        }
        let refused = faults.iter().find_map(refusal);
        if let Some(answer) = refused {
            return Admitted::Answer(answer);
        }
        let delay_ms = faults.iter().filter(|fault| fault.mode == FaultMode::Slow);
        let delay_ms = delay_ms.map(|fault| fault.ms.unwrap_or(1_000)).sum();
        let unsupported = faults.iter().any(|fault| fault.mode == FaultMode::Unsupported);
        if let Err(error) = self.has_method(method, socket, unsupported) {
            return Admitted::Answer(Answer::Json { result: Err(error), delay_ms });
        }
        let lose_answer = faults.iter().any(|fault| fault.mode == FaultMode::DropReply);
        let lens = Lens::new(&self.behaviour, faults);
        Admitted::Through { lens, delay_ms, lose_answer }
    }

    fn has_method(&self, method: &str, socket: bool, unsupported: bool) -> Result<(), RpcError> {
        let matches = |name: &String| match name.strip_suffix('*') {
            Some(start) => method.starts_with(start),
            None => name == method,
        };
        if unsupported || self.behaviour.deny.iter().any(matches) {
            return Err(RpcError::unknown_method(method));
        }
        if self.behaviour.profile == Profile::Gateway {
            gateway::check(method, socket)?;
        }
        Ok(())
    }
}

/// What becomes of a call before it is carried out.
#[derive(Debug)]
pub(super) enum Admitted {
    /// This is the answer.
    Answer(Answer),
    /// It is carried out.
    Through { lens: Lens, delay_ms: u64, lose_answer: bool },
}

/// What a fault answers instead of the chain.
fn refusal(fault: &Fault) -> Option<Answer> {
    let error = |error| Answer::Json { result: Err(error), delay_ms: 0 };
    Some(match fault.mode {
        FaultMode::Down => Answer::Silence,
        FaultMode::Hang => Answer::Hang,
        FaultMode::Http => Answer::Http {
            status: fault.status.unwrap_or(429),
            retry_after: fault.retry_after,
            body: fault.message.clone().unwrap_or_default(),
        },
        FaultMode::Garbage => Answer::Http {
            status: fault.status.unwrap_or(200),
            retry_after: None,
            body: "<html><body>Welcome to nginx!</body></html>".to_owned(),
        },
        FaultMode::Busy => error(RpcError::other("server busy. please try again later")),
        FaultMode::Error => error(RpcError::coded(
            fault.code.unwrap_or(1),
            fault.message.clone().unwrap_or_else(|| "an error by command".to_owned()),
        )),
        _ => return None,
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Config;
    use serde_json::json;

    fn endpoint(faults: Vec<Fault>) -> Endpoint {
        Endpoint::new(Behaviour { faults, ..Behaviour::default() }, 7)
    }

    #[test]
    fn a_counted_fault_of_one_method_ends_and_calls_are_counted() {
        let mut world = World::new(&Config::default());
        let fault = Fault {
            method: Some("eth_chainId".to_owned()),
            count: Some(2),
            ..Fault::always(FaultMode::DropReply)
        };
        let mut endpoint = endpoint(vec![fault]);
        let mut silent = |method: &str| endpoint.call(&mut world, method, &json!([])) == Answer::Silence;
        let lost = ["eth_chainId", "eth_accounts", "eth_chainId", "eth_chainId"].map(&mut silent);
        assert_eq!(lost, [true, false, true, false]);
        assert_eq!(endpoint.calls().get("eth_chainId"), Some(&3));
        assert_eq!(endpoint.calls().get("eth_accounts"), Some(&1));
    }

    #[test]
    fn a_stale_endpoint_keeps_the_head_it_had() {
        let mut endpoint = endpoint(vec![Fault::always(FaultMode::Stale)]);
        let head = |endpoint: &mut Endpoint| match endpoint.admit("any", false) {
            Admitted::Through { lens, .. } => lens.head(9),
            Admitted::Answer(answer) => panic!("{answer:?}"),
        };
        assert_eq!(head(&mut endpoint), 7);
        endpoint.set(Behaviour::default(), 9);
        assert_eq!(head(&mut endpoint), 9);
        endpoint.set(Behaviour { behind: 3, ..Behaviour::default() }, 9);
        assert_eq!(head(&mut endpoint), 6);
    }

    #[test]
    fn unknown_fields_are_refused() {
        let error = serde_json::from_value::<Behaviour>(json!({ "profil": "gateway" })).expect_err("a slip");
        assert!(error.to_string().contains("profil"), "{error}");
    }
}
