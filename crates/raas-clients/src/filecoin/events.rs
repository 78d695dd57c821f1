//! Events of the market actor about deals: published, activated, terminated.
//!
//! An endpoint whose event index has a hole answers with an empty list, so the answers of all endpoints are
//! joined. Events are a hint where to look; the deal itself is read and compared afterwards. What cron does emits none
//! that can be seen.

use super::wire::{actor_id, base64_cbor, from_base64_cbor};
use crate::rpc::{Call, CallError, Pool, Reply};
use raas_core::ids::{ActorId, DealId, ProviderId};
use raas_core::ports::{DealChange, DealEvent, DealEvents};
use raas_core::units::Epoch;
use serde::Deserialize;
use serde_json::json;
use std::borrow::Cow;
use std::collections::BTreeMap;

/// Most epochs in one query.
const WINDOW: i64 = 2_880;
/// Multicodec CBOR, which event values have.
const CBOR: u64 = 0x51;

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Event<'a> {
    #[serde(borrow)]
    entries: Vec<Entry<'a>>,
    #[serde(borrow)]
    emitter: Cow<'a, str>,
    #[serde(default)]
    reverted: bool,
    height: i64,
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct Entry<'a> {
    #[serde(borrow)]
    key: Cow<'a, str>,
    #[serde(borrow)]
    value: Cow<'a, str>,
}

const CHANGES: [(&str, DealChange); 3] = [
    ("deal-published", DealChange::Published),
    ("deal-activated", DealChange::Activated),
    ("deal-terminated", DealChange::Terminated),
];

/// What happened to deals in `from..=to`, each once, by height.
/// A single height whose events no answer can hold is left out: it would be in the way of all later ones for ever.
pub(super) async fn deal_events(pool: &Pool, from: Epoch, to: Epoch) -> Result<DealEvents, CallError> {
    let mut found = BTreeMap::new();
    let mut left_out = Vec::new();
    let mut width = WINDOW;
    let mut next = from.0.max(0);
    while next <= to.0 {
        let end = next.saturating_add(width - 1).min(to.0);
        match window(pool, next, end).await {
            Ok(events) => {
                let keyed = events.into_iter().map(|event| ((event.height, event.deal, event.change), event));
                found.extend(keyed);
                next = end.saturating_add(1);
            }
            Err(CallError::TooMuch(_)) if end > next => width = (end - next + 1) / 2,
            Err(CallError::TooMuch(why)) => {
                tracing::warn!(height = next, "events of deals are left out: {why}");
                left_out.push(Epoch(next));
                next = end.saturating_add(1);
            }
            Err(error) => return Err(error),
        }
    }
    Ok(DealEvents { told: found.into_values().collect(), left_out })
}

/// One window: at least `wanted` endpoints answered it.
async fn window(pool: &Pool, from: i64, to: i64) -> Result<Vec<DealEvent>, CallError> {
    let types = CHANGES.map(|(name, _)| json!({"codec": CBOR, "value": base64_cbor(&name)}));
    let filter = json!({
        "fromHeight": from,
        "toHeight": to,
        "addresses": ["f05"],
        "fields": { "$type": types },
    });
    let call = Call::new("Filecoin.GetActorEventsRaw", vec![filter]);
    let mut joined = Vec::new();
    let mut answered = 0;
    let mut failed = None;
    for answer in pool.ask_all(&call).await {
        match answer.and_then(|value| parse(&value, from, to)) {
            Ok(events) => {
                answered += 1;
                joined.extend(events);
            }
            Err(error) => {
                let wide = matches!(error, CallError::TooMuch(_));
                if wide || failed.is_none() {
                    failed = Some(error);
                }
            }
        }
    }
    match failed {
        Some(error) if answered < pool.wanted() => Err(error),
        _ => Ok(joined),
    }
}

/// Those events that truly are what was asked for; an endpoint may ignore a filter it does not know.
fn parse(value: &Reply, from: i64, to: i64) -> Result<Vec<DealEvent>, CallError> {
    let events: Option<Vec<Event<'_>>> = value.read()?;
    let mut found = Vec::new();
    for event in events.unwrap_or_default() {
        if event.reverted
            || !(from..=to).contains(&event.height)
            || actor_id(&event.emitter)? != super::wire::MARKET
        {
            continue;
        }
        let entry = |key: &str| {
            let entry = event.entries.iter().find(|entry| entry.key == key);
            entry.ok_or_else(|| CallError::malformed(format!("an event without {key}")))
        };
        let kind: String = from_base64_cbor(&entry("$type")?.value)?;
        let Some((_, change)) = CHANGES.iter().find(|(name, _)| *name == kind) else { continue };
        let number = |key: &str| from_base64_cbor::<u64>(&entry(key)?.value);
        found.push(DealEvent {
            change: *change,
            deal: DealId(number("id")?),
            client: ActorId(number("client")?),
            provider: ProviderId::new(number("provider")?),
            height: Epoch(event.height),
        });
    }
    Ok(found)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn null_is_no_event_and_reverted_ones_do_not_count() {
        assert_eq!(parse(&Reply::default(), 0, 10), Ok(vec![]));
        let event = |reverted: bool, height: i64, kind: &str| {
            json!({"entries": [
                {"Flags": 3, "Key": "$type", "Codec": 81, "Value": base64_cbor(&kind)},
                {"Flags": 3, "Key": "id", "Codec": 81, "Value": "GgVIsYs="},
                {"Flags": 3, "Key": "client", "Codec": 81, "Value": "GQPp"},
                {"Flags": 3, "Key": "provider", "Codec": 81, "Value": "GUUp"}],
                "emitter": "t05", "reverted": reverted, "height": height, "tipsetKey": [], "msgCid": {"/": "b"}})
        };
        let list = json!([
            event(false, 7, "deal-published"),
            event(true, 7, "deal-published"),
            event(false, 11, "deal-published"),
            event(false, 7, "deal-completed"),
            event(false, 8, "deal-terminated")
        ]);
        let seen = parse(&list.into(), 0, 10).expect("events");
        let expected = |change, height| DealEvent {
            change,
            deal: DealId(88_650_123),
            client: ActorId(1001),
            provider: ProviderId::new(17_705),
            height: Epoch(height),
        };
        assert_eq!(seen, [expected(DealChange::Published, 7), expected(DealChange::Terminated, 8)]);
    }
}
