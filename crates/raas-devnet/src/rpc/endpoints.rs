//! The endpoints that are served: by name, each at its path, with what has been asked of it.

use super::{
    RpcError,
    endpoint::{Admitted, Answer, Behaviour, Endpoint},
    fault::Fault,
    lens::Lens,
    server::PATH,
};
use crate::world::World;
use serde_json::{Value, json};
use std::{
    collections::BTreeMap,
    sync::{Mutex, MutexGuard, PoisonError},
};
use tokio::time::Instant;

/// The endpoint at [`PATH`] itself; it cannot be removed.
pub(super) const MAIN: &str = "main";
/// Characters of a name.
const NAME_MAX: usize = 32;
/// Endpoints at most.
const ENDPOINTS_MAX: usize = 64;

/// All endpoints by name.
#[derive(Debug)]
pub(super) struct Endpoints {
    by_name: Mutex<BTreeMap<String, Served>>,
}

#[derive(Debug, Default)]
struct Served {
    endpoint: Endpoint,
    /// HTTP requests; a batch is one.
    requests: u64,
    /// Calls of the largest batch.
    batch_max: usize,
    /// Calls answered 429 for want of tokens.
    limited: u64,
    tokens: f64,
    refilled: Option<Instant>,
}

impl Served {
    /// Takes a token, if calls are limited. Whether there was one.
    fn take_token(&mut self) -> bool {
        let Some(rate) = self.endpoint.behaviour().calls_per_second else { return true };
        let (now, rate) = (Instant::now(), f64::from(rate));
        let since = self.refilled.map_or(1.0, |last| now.duration_since(last).as_secs_f64());
        self.refilled = Some(now);
        // The bucket holds the tokens of one second.
        self.tokens = (self.tokens + since * rate).min(rate);
        if self.tokens < 1.0 {
            self.limited += 1;
            return false;
        }
        self.tokens -= 1.0;
        true
    }

    fn show(&self, name: &str) -> Value {
        json!({
            "name": name,
            "path": path(name),
            "behaviour": self.endpoint.behaviour(),
            "calls": self.endpoint.calls(),
            "callsTotal": self.endpoint.calls().values().sum::<u64>(),
            "requests": self.requests,
            "batchMax": self.batch_max,
            "limited": self.limited,
        })
    }
}

fn path(name: &str) -> String {
    if name == MAIN { PATH.to_owned() } else { format!("{PATH}/{name}") }
}

impl Default for Endpoints {
    fn default() -> Self {
        Self { by_name: Mutex::new(BTreeMap::from([(MAIN.to_owned(), Served::default())])) }
    }
}

impl Endpoints {
    fn all(&self) -> MutexGuard<'_, BTreeMap<String, Served>> {
        self.by_name.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The name of the endpoint that is served at `path`.
    pub(super) fn at(&self, path: &str) -> Option<String> {
        let name = match path.strip_prefix(PATH)? {
            "" => MAIN,
            rest => rest.strip_prefix('/')?,
        };
        self.all().contains_key(name).then(|| name.to_owned())
    }

    /// Makes an endpoint, or gives it another behaviour; `None` removes it.
    pub(super) fn set(&self, name: &str, behaviour: Option<Behaviour>, head: i64) -> Result<Value, RpcError> {
        let letters = |letter: char| letter.is_ascii_lowercase() || letter.is_ascii_digit() || letter == '-';
        if name.is_empty() || name.len() > NAME_MAX || !name.chars().all(letters) {
            let text = format!("name {name:?}: use 1 to {NAME_MAX} of a-z, 0-9 and -");
            return Err(RpcError::coded(-32602, text));
        }
        let mut all = self.all();
        let Some(behaviour) = behaviour else {
            return match name {
                MAIN => Err(RpcError::coded(-32602, "endpoint \"main\" cannot be removed: give it {}")),
                _ => all.remove(name).map(|_| Value::Null).ok_or_else(|| {
                    RpcError::coded(
                        -32602,
                        format!("there is no endpoint {name:?}: devnet_endpoints lists them"),
                    )
                }),
            };
        };
        if all.len() >= ENDPOINTS_MAX && !all.contains_key(name) {
            return Err(RpcError::coded(-32602, format!("at most {ENDPOINTS_MAX} endpoints: remove one")));
        }
        let served = all.entry(name.to_owned()).or_default();
        served.endpoint.set(behaviour, head);
        Ok(served.show(name))
    }

    /// Gives the endpoint without a name this one fault and no other.
    pub(super) fn set_main_fault(&self, fault: Fault, head: i64) {
        let mut all = self.all();
        let served = all.entry(MAIN.to_owned()).or_default();
        let behaviour = Behaviour { faults: vec![fault], ..served.endpoint.behaviour().clone() };
        served.endpoint.set(behaviour, head);
    }

    /// All endpoints with their counts; afterwards the counts begin anew if `reset`.
    pub(super) fn list(&self, reset: bool) -> Value {
        let mut all = self.all();
        let shown = all.iter().map(|(name, served)| served.show(name)).collect();
        if reset {
            for served in all.values_mut() {
                served.endpoint.reset_calls();
                (served.requests, served.batch_max, served.limited) = (0, 0, 0);
            }
        }
        shown
    }

    pub(super) fn count_request(&self, name: &str, calls: usize) {
        if let Some(served) = self.all().get_mut(name) {
            served.requests += 1;
            served.batch_max = served.batch_max.max(calls);
        }
    }

    /// How an endpoint sees the chain at present, without a call: for what it sends unasked.
    pub(super) fn look(&self, name: &str, method: &str) -> Lens {
        let all = self.all();
        let behaviour = all.get(name).map(|served| served.endpoint.behaviour().clone()).unwrap_or_default();
        let faults = behaviour.faults.iter().filter(|fault| fault.applies(method)).cloned().collect();
        Lens::new(&behaviour, faults)
    }

    /// Answers a method that is about the filters of an endpoint.
    pub(super) fn filter(
        &self,
        name: &str,
        world: &mut World,
        lens: &Lens,
        method: &str,
        params: &Value,
    ) -> Result<Value, RpcError> {
        let mut all = self.all();
        let served = all.get_mut(name).ok_or_else(|| RpcError::unknown_method(method))?;
        served.endpoint.filters.answer(world, lens, method, params)
    }

    /// Counts a call and says whether it reaches the chain.
    pub(super) fn admit(&self, name: &str, method: &str, socket: bool) -> Admitted {
        let mut all = self.all();
        let Some(served) = all.get_mut(name) else { return Admitted::Answer(Answer::Silence) };
        let admitted = served.endpoint.admit(method, socket);
        if served.take_token() {
            return admitted;
        }
        let body = "too many requests".to_owned();
        Admitted::Answer(Answer::Http { status: 429, retry_after: Some(1), body })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn endpoints_are_found_by_path_and_names_are_checked() {
        let endpoints = Endpoints::default();
        assert_eq!(endpoints.at("/rpc/v1").as_deref(), Some(MAIN));
        assert_eq!(endpoints.at("/rpc/v1/far"), None);
        endpoints.set("far", Some(Behaviour::default()), 1).expect("a good name");
        assert_eq!(endpoints.at("/rpc/v1/far").as_deref(), Some("far"));
        assert_eq!(endpoints.at("/rpc/v1far"), None);
        for bad in ["", "Far", "a/b", "a b"] {
            assert!(endpoints.set(bad, Some(Behaviour::default()), 1).is_err(), "{bad:?}");
        }
        assert!(endpoints.set(MAIN, None, 1).is_err());
        assert!(endpoints.set("far", None, 1).is_ok());
        assert_eq!(endpoints.at("/rpc/v1/far"), None);
    }
}
