//! What the verified registry tells: DataCap, allocations that wait for a miner, and claims, which outlive the sectors
//! they are about.

use super::{RpcError, encode, params::Params, view::View};
use crate::world::{Allocation, Claim, Phase, StateAt};
use raas_core::ids::{DealId, ProviderId};
use serde_json::{Map, Value, json};

fn provider(view: View<'_>, params: Params<'_>, at: StateAt) -> Result<ProviderId, RpcError> {
    Ok(ProviderId(view.actor(&params.address(0)?, at)?))
}

/// `StateGetClaim [provider, id, key]`: null when there is none.
pub(super) fn claim(view: View<'_>, params: Params<'_>) -> Result<Value, RpcError> {
    let at = view.state(params, 2)?;
    let id: u64 = params.get(1)?;
    let claim = view.world.registry.claim(provider(view, params, at)?, id, at);
    Ok(claim.map_or(Value::Null, show_claim))
}

/// `StateGetClaims [provider, key]`
pub(super) fn claims(view: View<'_>, params: Params<'_>) -> Result<Value, RpcError> {
    let at = view.state(params, 1)?;
    let claims = view.world.registry.claims(provider(view, params, at)?, at);
    Ok(Value::Object(claims.map(|claim| (claim.id.to_string(), show_claim(claim))).collect()))
}

/// `StateGetAllClaims [key]`
pub(super) fn all_claims(view: View<'_>, params: Params<'_>) -> Result<Value, RpcError> {
    let at = view.state(params, 0)?;
    let of = |(provider, _)| view.world.registry.claims(provider, at);
    let claims = view.world.miners().flat_map(of).map(|claim| (claim.id.to_string(), show_claim(claim)));
    Ok(Value::Object(claims.collect::<Map<_, _>>()))
}

fn show_claim(claim: &Claim) -> Value {
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

/// `StateGetAllocation [client, id, key]`: null when there is none, or it was claimed.
pub(super) fn allocation(view: View<'_>, params: Params<'_>) -> Result<Value, RpcError> {
    let at = view.state(params, 2)?;
    let (client, id) = (view.actor(&params.address(0)?, at)?, params.get(1)?);
    Ok(view.world.allocation(client, id, at).map_or(Value::Null, show_allocation))
}

/// `StateGetAllocationForPendingDeal [deal, key]`: null for one that is not there, not verified, or active.
pub(super) fn of_pending_deal(view: View<'_>, params: Params<'_>) -> Result<Value, RpcError> {
    let at = view.state(params, 1)?;
    let Ok((deal, Phase::Published)) = view.world.market().deal(DealId(params.get(0)?), at) else {
        return Ok(Value::Null);
    };
    let waits = deal.allocation.and_then(|id| view.world.allocation(deal.client, id, at));
    Ok(waits.map_or(Value::Null, show_allocation))
}

/// `StateGetAllocations [client, key]`
pub(super) fn allocations(view: View<'_>, params: Params<'_>) -> Result<Value, RpcError> {
    let at = view.state(params, 1)?;
    let client = view.actor(&params.address(0)?, at)?;
    let own = view.world.registry.allocations(client, at).filter(|_| !view.world.is_frozen(at));
    Ok(Value::Object(own.map(|own| (own.id.to_string(), show_allocation(own))).collect()))
}

/// `StateGetAllAllocations [key]`
pub(super) fn all_allocations(view: View<'_>, params: Params<'_>) -> Result<Value, RpcError> {
    let at = view.state(params, 0)?;
    let all = view.world.registry.all_allocations(at).filter(|_| !view.world.is_frozen(at));
    Ok(Value::Object(all.map(|one| (one.id.to_string(), show_allocation(one))).collect()))
}

fn show_allocation(allocation: &Allocation) -> Value {
    json!({
        "Client": allocation.client.0,
        "Provider": allocation.provider.number(),
        "Data": encode::link(&allocation.data),
        "Size": allocation.size,
        "TermMin": allocation.term.0,
        "TermMax": allocation.term.1,
        "Expiration": allocation.expiration,
    })
}

/// `StateVerifiedClientStatus [address, key]`: DataCap in bytes, null for a client without any.
pub(super) fn datacap(view: View<'_>, params: Params<'_>) -> Result<Value, RpcError> {
    let at = view.state(params, 1)?;
    let client = view.actor(&params.address(0)?, at)?;
    let own = view.world.registry.datacap(client, at);
    Ok(if own == 0 { Value::Null } else { json!(own.to_string()) })
}
