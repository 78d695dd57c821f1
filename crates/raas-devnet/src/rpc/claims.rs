//! `StateGetClaim`, `StateGetClaims`: promises of the verified registry, which outlive the sectors they are about.

use super::{RpcError, encode, params::Params, view::View};
use crate::world::{Claim, StateAt};
use raas_core::ids::ProviderId;
use serde_json::{Map, Value, json};

fn provider(view: View<'_>, params: Params<'_>, at: StateAt) -> Result<ProviderId, RpcError> {
    Ok(ProviderId(view.actor(&params.address(0)?, at)?))
}

/// `StateGetClaim [provider, id, key]`: null when there is none.
pub(super) fn one(view: View<'_>, params: Params<'_>) -> Result<Value, RpcError> {
    let at = view.state(params, 2)?;
    let id: u64 = params.get(1)?;
    let claim = view.world.registry.claim(provider(view, params, at)?, id, at);
    Ok(claim.map_or(Value::Null, show))
}

/// `StateGetClaims [provider, key]`
pub(super) fn of_provider(view: View<'_>, params: Params<'_>) -> Result<Value, RpcError> {
    let at = view.state(params, 1)?;
    let claims = view.world.registry.claims(provider(view, params, at)?, at);
    Ok(Value::Object(claims.map(|claim| (claim.id.to_string(), show(claim))).collect()))
}

/// `StateGetAllClaims [key]`
pub(super) fn all(view: View<'_>, params: Params<'_>) -> Result<Value, RpcError> {
    let at = view.state(params, 0)?;
    let of = |(provider, _)| view.world.registry.claims(provider, at);
    let claims = view.world.miners().flat_map(of).map(|claim| (claim.id.to_string(), show(claim)));
    Ok(Value::Object(claims.collect::<Map<_, _>>()))
}

fn show(claim: &Claim) -> Value {
    json!({
        "Provider": claim.provider.number(),
        "Client": claim.client.0,
        "Data": encode::link(&claim.data),
        "Size": claim.size,
        "TermMin": claim.term.0,
        "TermMax": claim.term.1,
        "TermStart": claim.start,
        "Sector": claim.sector,
    })
}
