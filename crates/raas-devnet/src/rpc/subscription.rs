//! What comes unasked over a socket: heads, tipsets, logs, actor events, transactions.

use super::{RpcError, encode, events, lens::Lens};
use crate::{
    fevm::eth::{self, LogFilter},
    world::{Tipset, World},
};
use serde_json::{Value, json};
use std::collections::{BTreeMap, VecDeque};

/// Subscriptions of one connection: what a gateway allows.
const OPEN_MAX: usize = 16;
/// A subscriber that missed more tipsets than this is dropped, as nodes drop slow ones.
const MISSED_MAX: usize = 5_000;
/// Tipsets whose logs and events are remembered, to be taken back after a reorganisation.
const SENT_MAX: usize = 1_000;

/// One subscription.
#[derive(Clone, Debug)]
pub(super) struct Subscription {
    method: &'static str,
    /// The request that opened it.
    request: Value,
    what: What,
    /// The newest tipset that was told of.
    at: (i64, u32),
}

#[derive(Clone, Debug)]
enum What {
    /// `ChainNotify`; false until the present head was told.
    Tipsets { greeted: bool },
    /// `SubscribeActorEventsRaw`: the filter, where its history begins, and what was sent of each tipset.
    Events { filter: Value, from: Option<i64>, to: Option<i64>, sent: Sent },
    /// `eth_subscribe newHeads`
    Heads,
    /// `eth_subscribe logs`
    Logs { filter: LogFilter, sent: Sent },
    /// `eth_subscribe newPendingTransactions`: how many came before.
    Pending { seen: u64 },
}

/// What was sent of the newest tipsets, by height and branch.
#[derive(Clone, Debug, Default)]
struct Sent(VecDeque<((i64, u32), Vec<Value>)>);

impl Sent {
    fn add(&mut self, tipset: (i64, u32), values: &[Value]) {
        if values.is_empty() {
            return;
        }
        self.0.push_back((tipset, values.to_vec()));
        if self.0.len() > SENT_MAX {
            self.0.pop_front();
        }
    }

    fn take(&mut self, tipset: (i64, u32)) -> Vec<Value> {
        let place = self.0.iter().position(|(at, _)| *at == tipset);
        place.and_then(|place| self.0.remove(place)).map(|(_, values)| values).unwrap_or_default()
    }
}

impl Subscription {
    /// Opens what a request asks for, from the present head on.
    pub(super) fn open(
        world: &World,
        lens: Lens,
        method: &str,
        params: &Value,
        request: Value,
    ) -> Result<Self, RpcError> {
        let head = lens.head(world.chain().head());
        let latest = world.chain().parent(head).max(0);
        let place = |height: i64| (height, world.chain().branch(height));
        let at_head = |method, what| Self { method, request: request.clone(), what, at: place(head) };
        let at_latest =
            |what| Self { method: "eth_subscribe", request: request.clone(), what, at: place(latest) };
        match method {
            "Filecoin.ChainNotify" => Ok(at_head("Filecoin.ChainNotify", What::Tipsets { greeted: false })),
            "Filecoin.SubscribeActorEventsRaw" if lens.is_forest() => Err(RpcError::unknown_method(method)),
            "Filecoin.SubscribeActorEventsRaw" => {
                let filter = params.get(0).cloned().unwrap_or(Value::Null);
                let (from, to) = events::history(world, head, &lens, &filter)?;
                let begin =
                    from.map_or(latest, |from| world.chain().at_or_before((from - 1).max(0)).min(latest));
                let what = What::Events { filter, from, to, sent: Sent::default() };
                let method = "Filecoin.SubscribeActorEventsRaw";
                Ok(Self { method, request, what, at: place(begin) })
            }
            _ => match params.get(0).and_then(Value::as_str) {
                Some("newHeads") => Ok(at_latest(What::Heads)),
                Some("logs") => {
                    let filter = LogFilter::read(params.get(1).unwrap_or(&Value::Null))?;
                    Ok(at_latest(What::Logs { filter, sent: Sent::default() }))
                }
                Some("newPendingTransactions") => {
                    Ok(at_latest(What::Pending { seen: world.fevm.arrivals() }))
                }
                other => {
                    let other = other.unwrap_or("nothing");
                    Err(RpcError::params(method, format!("unsupported subscription: {other}")))
                }
            },
        }
    }

    /// With the blocks from `from` on, as far as there are any.
    pub(super) fn since(self, world: &World, from: i64) -> Self {
        let before = world.chain().at_or_before((from - 1).max(0)).min(self.at.0);
        Self { at: (before, world.chain().branch(before)), ..self }
    }

    const fn is_native(&self) -> bool {
        matches!(self.what, What::Tipsets { .. } | What::Events { .. })
    }

    /// What is new; an error ends the subscription.
    pub(super) fn news(&mut self, world: &World, lens: &Lens) -> Result<Vec<Value>, ()> {
        let head = lens.head(world.chain().head());
        let end =
            if matches!(self.what, What::Tipsets { .. }) { head } else { world.chain().parent(head).max(0) };
        if let What::Pending { seen } = &mut self.what {
            let hashes = world.fevm.arrived_since(*seen);
            *seen = world.fevm.arrivals();
            return Ok(hashes.iter().map(|hash| json!(hash.to_string())).collect());
        }
        let variant = |height| lens.variant(height);
        let (left, new) = world.chain().path(self.at, end, MISSED_MAX, &variant).ok_or(())?;
        self.at = (end, world.chain().branch(end));
        match &mut self.what {
            What::Tipsets { greeted } => {
                let change = |kind: &str, tipset: &Tipset| json!({ "Type": kind, "Val": encode::tipset(world, tipset) });
                let mut values = Vec::new();
                if !*greeted {
                    *greeted = true;
                    let present = world.chain().tipset_as(head, &variant).map_err(|_| ())?;
                    values.push(json!([change("current", &present)]));
                    return Ok(values);
                }
                let reverted = left.iter().map(|tipset| change("revert", tipset));
                let changes: Vec<Value> =
                    reverted.chain(new.iter().map(|tipset| change("apply", tipset))).collect();
                if !changes.is_empty() {
                    values.push(Value::Array(changes));
                }
                Ok(values)
            }
            What::Heads => Ok(new.iter().map(|tipset| eth::head(world, lens, tipset.height)).collect()),
            What::Logs { filter, sent } => {
                let mut values: Vec<Value> = left
                    .iter()
                    .flat_map(|tipset| sent.take((tipset.height, tipset.branch)))
                    .map(|log| with(log, "removed", Value::Bool(true)))
                    .collect();
                for tipset in &new {
                    let mut logs = eth::logs_of(world, lens, filter, tipset.height);
                    logs.truncate(lens.keeps_logs());
                    sent.add((tipset.height, tipset.branch), &logs);
                    values.extend(logs);
                }
                Ok(values)
            }
            What::Events { filter, from, to, sent } => {
                let mut values: Vec<Value> = left
                    .iter()
                    .flat_map(|tipset| sent.take((tipset.height, tipset.branch)))
                    .map(|event| with(event, "reverted", Value::Bool(true)))
                    .collect();
                let wanted =
                    |height: i64| from.is_none_or(|from| height >= from) && to.is_none_or(|to| height <= to);
                for tipset in new.iter().filter(|tipset| wanted(tipset.height)) {
                    let mut found =
                        events::of_tipset(world, head, lens, filter, tipset.height).map_err(|_| ())?;
                    found.truncate(lens.keeps_logs());
                    sent.add((tipset.height, tipset.branch), &found);
                    values.extend(found);
                }
                Ok(values)
            }
            What::Pending { .. } => Ok(Vec::new()),
        }
    }
}

fn with(mut value: Value, name: &str, field: Value) -> Value {
    if let Some(fields) = value.as_object_mut() {
        fields.insert(name.to_owned(), field);
    }
    value
}

/// The subscriptions of one connection, by number.
#[derive(Debug, Default)]
pub(super) struct Subscriptions {
    open: BTreeMap<u64, Subscription>,
    last: u64,
}

impl Subscriptions {
    /// Takes one in and answers what its request is answered: a channel's number, or an eth id.
    pub(super) fn add(&mut self, subscription: Subscription) -> Result<Value, RpcError> {
        if self.open.len() >= OPEN_MAX {
            return Err(RpcError::other(format!(
                "too many subscriptions: at most {OPEN_MAX} per connection"
            )));
        }
        self.last += 1;
        let answer = if subscription.is_native() { json!(self.last) } else { json!(eth_id(self.last)) };
        self.open.insert(self.last, subscription);
        Ok(answer)
    }

    /// Ends the channel that the request with this id opened; its number.
    pub(super) fn cancel(&mut self, request: &Value) -> Option<u64> {
        let number =
            self.open.iter().find(|(_, one)| one.is_native() && one.request == *request).map(|(n, _)| *n)?;
        self.open.remove(&number).map(|_| number)
    }

    /// Whether there was such an Ethereum subscription.
    pub(super) fn unsubscribe(&mut self, params: &Value) -> Result<bool, RpcError> {
        let id = params.get(0).and_then(Value::as_str).ok_or_else(|| {
            RpcError::params("eth_unsubscribe", "param 0: the id that eth_subscribe answered is needed")
        })?;
        let number = self.open.iter().find(|(n, one)| !one.is_native() && eth_id(**n) == id).map(|(n, _)| *n);
        Ok(number.is_some_and(|number| self.open.remove(&number).is_some()))
    }

    /// Messages for what is new since the last call; subscribers that fell behind are dropped.
    pub(super) fn news(&mut self, world: &World, lens: &impl Fn(&str) -> Lens) -> Vec<Value> {
        let mut messages = Vec::new();
        self.open.retain(|number, one| {
            let Ok(news) = one.news(world, &lens(one.method)) else {
                if one.is_native() {
                    messages.push(json!({ "jsonrpc": "2.0", "method": "xrpc.ch.close", "params": [number] }));
                }
                return false;
            };
            let native = one.is_native();
            messages.extend(news.into_iter().map(|value| {
                if native {
                    json!({ "jsonrpc": "2.0", "method": "xrpc.ch.val", "params": [number, value] })
                } else {
                    let params = json!({ "subscription": eth_id(*number), "result": value });
                    json!({ "jsonrpc": "2.0", "method": "eth_subscription", "params": params })
                }
            }));
            true
        });
        messages
    }
}

/// An id as nodes give them: 32 bytes of hex.
fn eth_id(number: u64) -> String {
    format!("{number:#066x}")
}
