//! `devnet_*`: what the network does, by command. Positional parameters; never touched by RPC faults.
//!
//! Whatever shapes history is a command of the world and journaled. The speed of the clock (`devnet_setEpochMs`) and
//! the endpoint's faults (`devnet_setRpc`) are of the running process: after a restart they are as configured.

use super::{
    RpcError, bulk,
    endpoint::Behaviour,
    fault::{Fault, FaultMode},
    params::Params,
    server::Server,
};
use crate::{
    host::HostError,
    provider,
    world::{Command, CommandError, MOST_EPOCHS, Miner, Outcome, ReorgOrder, Sectors, StateAt, World},
};
use raas_core::{
    ids::ProviderId,
    units::{AttoFil, Epoch},
};
use serde_json::{Value, json};
use std::time::Duration;

/// How long `devnet_advance` waits for transfers before time moves on.
const SETTLE: Duration = Duration::from_secs(60);

/// Answers one control method.
pub(super) async fn answer(server: &Server, method: &str, params: &Value) -> Result<Value, RpcError> {
    let take = |count| Params::new(method, params, count);
    let between = |least, most| Params::between(method, params, least, most);
    match method {
        "devnet_advance" => advance(server, take(1)?).await,
        "devnet_setEpochMs" => {
            let ms: u64 = take(1)?.get(0)?;
            server.epoch_ms.send_replace(ms);
            Ok(json!(ms))
        }
        "devnet_nullRounds" => apply(server, Command::NullRounds { count: take(1)?.get(0)? }),
        "devnet_providers" => {
            take(0)?;
            Ok(server.host.read(providers))
        }
        "devnet_fault" => apply(server, Command::Fault(sectors(server, between(1, 2)?)?)),
        "devnet_recover" => apply(server, Command::Recover(sectors(server, between(1, 2)?)?)),
        "devnet_terminate" => apply(server, Command::Terminate(sectors(server, between(1, 2)?)?)),
        "devnet_reorg" => apply(server, Command::Reorg(reorg(between(1, 2)?)?)),
        "devnet_setBaseFee" => apply(server, Command::BaseFee { fee: take(1)?.get(0)? }),
        "devnet_snapshot" => {
            take(0)?;
            apply(server, Command::Snapshot)
        }
        "devnet_revert" => apply(server, Command::Restore { snapshot: take(1)?.get(0)? }),
        "devnet_upgrade" => {
            take(0)?;
            apply(server, Command::Upgrade)
        }
        "devnet_onboard" => bulk::onboard(server, between(1, 2)?),
        "devnet_bulkDeals" => bulk::deals(server, between(2, 3)?),
        "devnet_bulkPieces" => bulk::pieces(take(2)?),
        "devnet_addProviders" => bulk::providers(server, between(1, 2)?),
        "devnet_setProvider" => set_provider(server, between(2, 3)?),
        "devnet_setRpc" => set_rpc(server, between(1, 3)?),
        "devnet_setEndpoint" => set_endpoint(server, take(2)?),
        "devnet_endpoints" => {
            let reset: Option<bool> = between(0, 1)?.get(0)?;
            Ok(server.endpoints.list(reset.unwrap_or(false)))
        }
        "devnet_fund" => {
            let params = take(2)?;
            let amount: AttoFil = params.get(1)?;
            apply(server, Command::Fund { address: params.get(0)?, amount })
        }
        "devnet_datacap" => {
            let params = take(2)?;
            apply(server, Command::Datacap { address: params.get(0)?, bytes: params.get(1)? })
        }
        "devnet_now" => {
            take(0)?;
            let epoch_ms = *server.epoch_ms.borrow();
            Ok(server.host.read(|world| now(world, epoch_ms)))
        }
        "devnet_nextEvent" => {
            take(0)?;
            Ok(json!(server.host.read(World::next_event)))
        }
        "devnet_ledger" => {
            let from: Option<usize> = between(0, 1)?.get(0)?;
            Ok(server.host.read(|world| json!(world.ledger.since(from.unwrap_or(0)))))
        }
        "devnet_ledgerHash" => {
            let count: Option<usize> = between(0, 1)?.get(0)?;
            Ok(json!(server.host.read(|world| world.ledger.hash_of(count.unwrap_or(usize::MAX)))))
        }
        _ => Err(RpcError::unknown_method(method)),
    }
}

/// Lets epochs pass. Transfers that are due end first, and time stops where further ones begin, so that a history
/// does not depend on how fast bytes travel.
async fn advance(server: &Server, params: Params<'_>) -> Result<Value, RpcError> {
    let epochs: i64 = params.get(0)?;
    if !(1..=MOST_EPOCHS).contains(&epochs) {
        let error = CommandError::Count { field: "epochs", value: epochs, most: MOST_EPOCHS };
        return Err(refused(error.into()));
    }
    let _one_at_a_time = server.advancing.lock().await;
    let mut left = epochs;
    loop {
        if !server.fleet.settled(SETTLE).await {
            tracing::warn!(waited_s = SETTLE.as_secs(), "transfers are still under way, time moves on");
        }
        let (clock, pull) = server.host.read(|world| {
            let clock = world.chain().clock();
            (clock, world.book.next_pull(Epoch(clock)).map_or(i64::MAX, |epoch| epoch.0))
        });
        let step = left.min(pull.saturating_sub(clock));
        let height = apply(server, Command::Advance { epochs: step })?;
        server.fleet.wake();
        left -= step;
        if left <= 0 {
            return Ok(height);
        }
    }
}

pub(super) fn apply(server: &Server, command: Command) -> Result<Value, RpcError> {
    let outcome = server.host.apply(command).map_err(refused)?;
    server.fleet.wake();
    Ok(match outcome {
        Outcome::Done | Outcome::Provider(_) => Value::Null,
        Outcome::Height(height) => json!(height),
        Outcome::Message(cid) => super::encode::link(&cid),
        Outcome::Transaction(hash) => json!(format!("0x{}", hex::encode(hash))),
        Outcome::Sectors(sectors) => json!(sectors),
        Outcome::Reorganised(done) => {
            json!({ "base": done.base, "reverted": done.reverted, "head": done.head })
        }
        Outcome::Snapshot(number) => json!(number),
        Outcome::Onboarded { sector, claims, notified } => {
            json!({ "sector": sector, "claims": claims, "notified": notified })
        }
        Outcome::Providers(providers) => {
            providers.iter().map(|provider| super::encode::id_address(provider.0)).collect()
        }
        Outcome::Bulk(made) => json!({
            "firstDeal": made.first_deal,
            "proven": made.proven,
            "pending": made.pending,
            "firstSector": made.first_sector,
            "sectors": made.sectors,
            "client": super::encode::id_address(made.client),
            "startEpoch": made.start,
            "endEpoch": made.end,
        }),
    })
}

fn refused(error: HostError) -> RpcError {
    match error {
        HostError::Command(
            error @ (CommandError::UnknownProvider(_)
            | CommandError::UnknownSector { .. }
            | CommandError::Count { .. }
            | CommandError::Bulk { .. }
            | CommandError::TooDeep { .. }
            | CommandError::UnknownSnapshot(_)
            | CommandError::Address(_)),
        ) => RpcError::coded(-32602, error.to_string()),
        other => RpcError::other(other.to_string()),
    }
}

/// A provider by number, `f01000` or `t01000`.
pub(super) fn provider_id(params: Params<'_>, index: usize) -> Result<ProviderId, RpcError> {
    if let Some(number) = params.value(index).as_u64() {
        return Ok(ProviderId::new(number));
    }
    match params.address(index)? {
        crate::codec::Address::Id(id) => Ok(ProviderId(id)),
        other => Err(RpcError::coded(-32602, format!("{other} is not a provider: use its id, as f01000"))),
    }
}

/// Sectors by number, all live ones (null), or a share of them (`{"share": 0.01}`).
fn sectors(server: &Server, params: Params<'_>) -> Result<Sectors, RpcError> {
    let provider = provider_id(params, 0)?;
    if let Some(share) = params.value(1).get("share").and_then(Value::as_f64) {
        if !(0.0..=1.0).contains(&share) {
            return Err(RpcError::coded(-32602, format!("share is {share}: use 0 to 1")));
        }
        let per_million = (share * 1e6).round() as u64;
        let drawn = server.host.read(|world| world.share_of_sectors(provider, per_million));
        return Ok(Sectors { provider, sectors: Some(drawn.map_err(|error| refused(error.into()))?) });
    }
    Ok(Sectors { provider, sectors: params.get(1)? })
}

/// `devnet_reorg [depth, {..}|absent]`
fn reorg(params: Params<'_>) -> Result<ReorgOrder, RpcError> {
    let options: Option<ReorgOrder> = params.get(1)?;
    Ok(ReorgOrder { depth: params.get(0)?, ..options.unwrap_or_default() })
}

fn set_provider(server: &Server, params: Params<'_>) -> Result<Value, RpcError> {
    let at = provider_id(params, 0)?;
    let name: String = params.get(1)?;
    let mode = name.parse::<provider::Mode>().map_err(|error| RpcError::coded(-32602, error.to_string()))?;
    let count: Option<u32> = params.get(2)?;
    apply(server, Command::Provider(provider::Command::SetMode { at, mode, count }))
}

fn set_rpc(server: &Server, params: Params<'_>) -> Result<Value, RpcError> {
    let name: String = params.get(0)?;
    let mode: FaultMode = name.parse()?;
    let method: Option<String> = params.get(1)?;
    let count: Option<u64> = params.get(2)?;
    let head = server.host.read(|world| world.chain().head());
    server.endpoints.set_main_fault(Fault { method, count, ..Fault::always(mode) }, head);
    Ok(Value::Null)
}

/// `devnet_setEndpoint [name, {..}]`: what is left out is as on a node of one's own; null removes the endpoint.
fn set_endpoint(server: &Server, params: Params<'_>) -> Result<Value, RpcError> {
    let name: String = params.get(0)?;
    let behaviour: Option<Behaviour> = params.get(1)?;
    let head = server.host.read(|world| world.chain().head());
    server.endpoints.set(&name, behaviour, head)
}

/// The true time, whatever the endpoint says of its head.
fn now(world: &World, epoch_ms: u64) -> Value {
    let height = world.chain().clock();
    json!({
        "height": height,
        "unix_ms": world.chain().timestamp(height).saturating_mul(1_000),
        "epoch_ms": epoch_ms,
    })
}

fn providers(world: &World) -> Value {
    world.miners().map(|(id, miner)| provider(world, id, miner)).collect()
}

fn provider(world: &World, id: ProviderId, miner: &Miner) -> Value {
    let newest = StateAt::after(world.chain().clock());
    let sectors: Vec<Value> = miner
        .sectors(newest)
        .filter(|(sector, _)| !sector.is_in_bulk())
        .map(|(sector, phase)| {
            json!({
                "number": sector.number,
                "deals": sector.deals,
                "deadline": sector.deadline,
                "activation": sector.activation,
                "expiration": sector.expiration,
                "state": phase.name(),
                "faultySince": phase.faulty_since(),
                "lost": sector.is_lost(),
            })
        })
        .collect();
    let mood = world.book.get(id).map(provider::Provider::mood).unwrap_or_default();
    json!({
        "id": super::encode::id_address(id.0),
        "operator": super::encode::id_address(miner.config.operator),
        "worker": super::encode::id_address(miner.config.worker),
        "peerId": miner.peer_id(),
        "url": miner.url,
        "askPerGibEpoch": miner.config.ask,
        "minPieceSize": miner.config.min_piece,
        "maxPieceSize": miner.config.max_piece,
        "statusStyle": miner.config.status,
        "mode": mood.mode(),
        "modeCount": mood.left(),
        "sectors": sectors,
        "bulk": miner.batches().map(bulk::show).collect::<Vec<_>>(),
    })
}
