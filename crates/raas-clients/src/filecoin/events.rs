//! Deal-published events of the market actor.
//!
//! An endpoint whose event index has a hole answers with an empty list, so the answers of all endpoints are
//! joined. Events are a hint where to look; the deal itself is read and compared afterwards.

use super::wire::{actor_id, base64_cbor, from_base64_cbor, or_default};
use crate::rpc::{Call, CallError, Evidence, Pool};
use raas_core::ids::{ActorId, DealId, ProviderId};
use raas_core::ports::DealPublished;
use raas_core::units::Epoch;
use serde::Deserialize;
use serde_json::{Value, json};
use std::collections::BTreeMap;

/// Most epochs in one query.
const WINDOW: i64 = 2_880;
/// Multicodec CBOR, which event values have.
const CBOR: u64 = 0x51;

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Event {
    entries: Vec<Entry>,
    emitter: String,
    #[serde(default)]
    reverted: bool,
    height: i64,
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct Entry {
    key: String,
    value: String,
}

#[derive(Deserialize)]
#[serde(transparent)]
struct Events(#[serde(deserialize_with = "or_default")] Vec<Event>);

/// Deals published for `client` in `from..=to`, by deal id.
pub(super) async fn published(
    pool: &Pool,
    client: ActorId,
    from: Epoch,
    to: Epoch,
) -> Result<Vec<DealPublished>, CallError> {
    let mut found = BTreeMap::new();
    let mut width = WINDOW;
    let mut next = from.0.max(0);
    while next <= to.0 {
        let end = next.saturating_add(width - 1).min(to.0);
        match window(pool, client, next, end).await {
            Ok(events) => {
                found.extend(events.into_iter().map(|event| (event.deal, event)));
                next = end.saturating_add(1);
            }
            Err(CallError::Evidence(Evidence::RangeTooWide(_))) if end > next => width = (end - next + 1) / 2,
            Err(error) => return Err(error),
        }
    }
    Ok(found.into_values().collect())
}

/// One window: at least `wanted` endpoints answered it.
async fn window(pool: &Pool, client: ActorId, from: i64, to: i64) -> Result<Vec<DealPublished>, CallError> {
    let filter = json!({
        "fromHeight": from,
        "toHeight": to,
        "addresses": ["f05"],
        "fields": {
            "$type": [{"codec": CBOR, "value": base64_cbor(&"deal-published")}],
            "client": [{"codec": CBOR, "value": base64_cbor(&client.0)}],
        },
    });
    let call = Call::new("Filecoin.GetActorEventsRaw", vec![filter]);
    let mut joined = Vec::new();
    let mut answered = 0;
    let mut failed = None;
    for answer in pool.ask_all(&call).await {
        match answer.and_then(|value| parse(value, client, from, to)) {
            Ok(events) => {
                answered += 1;
                joined.extend(events);
            }
            Err(error) => {
                let wide = matches!(error, CallError::Evidence(Evidence::RangeTooWide(_)));
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
fn parse(value: Value, client: ActorId, from: i64, to: i64) -> Result<Vec<DealPublished>, CallError> {
    let Events(events) = serde_json::from_value(value).map_err(CallError::malformed)?;
    let mut published = Vec::new();
    for event in events {
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
        if from_base64_cbor::<String>(&entry("$type")?.value)? != "deal-published" {
            continue;
        }
        let number = |key: &str| from_base64_cbor::<u64>(&entry(key)?.value);
        let seen = DealPublished {
            deal: DealId(number("id")?),
            client: ActorId(number("client")?),
            provider: ProviderId::new(number("provider")?),
            height: Epoch(event.height),
        };
        if seen.client == client {
            published.push(seen);
        }
    }
    Ok(published)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn null_is_no_event_and_reverted_ones_do_not_count() {
        assert_eq!(parse(Value::Null, ActorId(1001), 0, 10), Ok(vec![]));
        let event = |reverted: bool, height: i64, client: u64| {
            json!({"entries": [
                {"Flags": 3, "Key": "$type", "Codec": 81, "Value": "bmRlYWwtcHVibGlzaGVk"},
                {"Flags": 3, "Key": "id", "Codec": 81, "Value": "GgVIsYs="},
                {"Flags": 3, "Key": "client", "Codec": 81, "Value": base64_cbor(&client)},
                {"Flags": 3, "Key": "provider", "Codec": 81, "Value": "GUUp"}],
                "emitter": "t05", "reverted": reverted, "height": height, "tipsetKey": [], "msgCid": {"/": "b"}})
        };
        let list =
            json!([event(false, 7, 1001), event(true, 7, 1001), event(false, 11, 1001), event(false, 7, 5)]);
        let seen = parse(list, ActorId(1001), 0, 10).expect("events");
        assert_eq!(
            seen,
            [DealPublished {
                deal: DealId(88_650_123),
                client: ActorId(1001),
                provider: ProviderId::new(17_705),
                height: Epoch(7),
            }]
        );
    }
}
