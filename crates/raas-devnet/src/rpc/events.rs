//! `GetActorEventsRaw`: events of built-in actors by height, emitter and fields.

use super::{RpcError, encode, lens::Lens, params::Params, params::read_key, view::View};
use crate::{
    codec::Address,
    world::{ActorEvent, EVENT_CODEC, StateAt, World, read_address},
};
use base64::{Engine as _, engine::general_purpose::STANDARD};
use raas_core::ids::ActorId;
use serde::Deserialize;
use serde_json::{Value, json};
use std::collections::BTreeMap;

#[derive(Deserialize)]
#[serde(rename_all = "camelCase", default)]
#[derive(Default)]
struct Filter {
    addresses: Option<Vec<String>>,
    fields: Option<BTreeMap<String, Vec<FieldValue>>>,
    from_height: Option<i64>,
    to_height: Option<i64>,
    tipset_key: Value,
}

#[derive(Deserialize)]
struct FieldValue {
    codec: u64,
    value: String,
}

/// `GetActorEventsRaw [filter]`: null when there are none.
pub(super) fn get(view: View<'_>, params: Params<'_>) -> Result<Value, RpcError> {
    let filter: Option<Filter> = params.get(0)?;
    let filter = filter.unwrap_or_default();
    let (from, to) = heights(view, &filter)?;
    let mut found = matching(view, &filter, from, to)?;
    found.truncate(view.lens.keeps_logs());
    let one_tipset = found.first().map(|(height, _)| *height) == found.last().map(|(height, _)| *height);
    if found.len() > view.lens.log_results() && !one_tipset {
        return Err(RpcError::other("filter matches too many events, try a more restricted filter"));
    }
    if found.is_empty() {
        return Ok(Value::Null);
    }
    found.into_iter().map(|(height, event)| show(view, height, event)).collect()
}

/// Events that a filter wants, in tipsets `from..=to` that have a child.
fn matching<'a>(
    view: View<'a>,
    filter: &Filter,
    from: i64,
    to: i64,
) -> Result<Vec<(i64, &'a ActorEvent)>, RpcError> {
    let (emitters, fields) = (emitters(view, filter)?, fields(filter)?);
    let found = view
        .world
        .actor_events(from, to.min(view.head - 1))
        .filter(|(_, event)| emitters.as_ref().is_none_or(|emitters| emitters.contains(&event.emitter)))
        .filter(|(_, event)| matches(event, &fields));
    Ok(found.collect())
}

fn read(filter: &Value) -> Result<Filter, RpcError> {
    let filter: Option<Filter> = serde_json::from_value(filter.clone())
        .map_err(|error| RpcError::params("Filecoin.SubscribeActorEventsRaw", error))?;
    Ok(filter.unwrap_or_default())
}

/// The heights at which a subscription's history begins and ends, if the filter names them.
pub(super) fn history(
    world: &World,
    head: i64,
    lens: &Lens,
    filter: &Value,
) -> Result<(Option<i64>, Option<i64>), RpcError> {
    let (filter, view) = (read(filter)?, View { world, head, lens });
    if let Some(from) = filter.from_height {
        lens.check_age(from, head)?;
    }
    emitters(view, &filter)?;
    fields(&filter)?;
    Ok((filter.from_height, filter.to_height))
}

/// The events of the tipset at `height` that a subscription's filter wants, as they are sent.
pub(super) fn of_tipset(
    world: &World,
    head: i64,
    lens: &Lens,
    filter: &Value,
    height: i64,
) -> Result<Vec<Value>, RpcError> {
    let view = View { world, head, lens };
    let found = matching(view, &read(filter)?, height, height)?;
    found.into_iter().map(|(height, event)| show(view, height, event)).collect()
}

fn heights(view: View<'_>, filter: &Filter) -> Result<(i64, i64), RpcError> {
    let key = read_key(&filter.tipset_key).ok_or_else(|| {
        RpcError::params("Filecoin.GetActorEventsRaw", "tipsetKey is not a list of CID links")
    })?;
    if !key.is_empty() {
        if filter.from_height.is_some() || filter.to_height.is_some() {
            return Err(RpcError::other("cannot specify both TipSetKey and FromHeight/ToHeight"));
        }
        let height = view.height(&key)?;
        return Ok((height, height));
    }
    // As on Lotus, leaving a height out gives nothing useful.
    let (from, to) = (filter.from_height.unwrap_or(view.head), filter.to_height.unwrap_or(view.head));
    if from < 0 || to < 0 {
        return Err(RpcError::other("invalid epoch range: heights must not be negative"));
    }
    if from > to {
        return Err(RpcError::other(format!(
            "invalid epoch range: to height ({to}) must be after from height ({from})"
        )));
    }
    view.lens.check_age(from, view.head)?;
    let most = view.lens.log_range();
    if to - from > most {
        return Err(RpcError::other(format!(
            "invalid epoch range: range between to and 'from' heights is too large (maximum: {most})"
        )));
    }
    Ok((from, to))
}

fn emitters(view: View<'_>, filter: &Filter) -> Result<Option<Vec<ActorId>>, RpcError> {
    let Some(addresses) = filter.addresses.as_ref().filter(|addresses| !addresses.is_empty()) else {
        return Ok(None);
    };
    let mut emitters = Vec::new();
    for text in addresses {
        match read_address(text) {
            Some(address @ (Address::Id(_) | Address::Delegated { .. })) => {
                emitters.extend(view.world.actors.lookup(&address, StateAt::after(view.head)));
            }
            Some(_) => {
                return Err(RpcError::other(format!(
                    "can only query events by ID or Delegated addresses; but request has address: {text}"
                )));
            }
            None => {
                return Err(RpcError::params(
                    "Filecoin.GetActorEventsRaw",
                    format!("{text} is not an address"),
                ));
            }
        }
    }
    Ok(Some(emitters))
}

type Fields = Vec<(String, Vec<(u64, Vec<u8>)>)>;

fn fields(filter: &Filter) -> Result<Fields, RpcError> {
    let mut wanted = Vec::new();
    for (key, values) in filter.fields.iter().flatten() {
        let mut decoded = Vec::new();
        for value in values {
            let bytes = STANDARD
                .decode(&value.value)
                .map_err(|error| RpcError::params("Filecoin.GetActorEventsRaw", error))?;
            decoded.push((value.codec, bytes));
        }
        wanted.push((key.clone(), decoded));
    }
    Ok(wanted)
}

/// Keys are joined by AND, the values of a key by OR; a key without values needs only to be there.
fn matches(event: &ActorEvent, fields: &Fields) -> bool {
    fields.iter().all(|(key, values)| {
        event.entries.iter().filter(|entry| entry.key == *key).any(|entry| {
            values.is_empty()
                || values.iter().any(|(codec, value)| *codec == EVENT_CODEC && *value == entry.value)
        })
    })
}

fn show(view: View<'_>, height: i64, event: &ActorEvent) -> Result<Value, RpcError> {
    let entries: Vec<Value> = event
        .entries
        .iter()
        .map(|entry| {
            json!({
                "Flags": entry.flags,
                "Key": entry.key,
                "Codec": EVENT_CODEC,
                "Value": encode::base64(&entry.value),
            })
        })
        .collect();
    Ok(json!({
        "entries": entries,
        "emitter": encode::id_address(event.emitter),
        "reverted": false,
        "height": height,
        "tipsetKey": encode::key(&view.tipset(height)?.key),
        "msgCid": encode::link(&event.message),
    }))
}
