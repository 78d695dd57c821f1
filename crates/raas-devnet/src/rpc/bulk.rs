//! `devnet_bulkDeals`, `devnet_bulkPieces`, `devnet_addProviders`: networks of the size that counts.

use super::{
    RpcError,
    control::{apply, provider_id},
    encode,
    params::Params,
    server::Server,
};
use crate::world::{Batch, BulkOrder, Command, DirectPiece, OnboardOrder, bulk_piece};
use raas_core::ids::SectorNumber;
use serde::Deserialize;
use serde_json::{Value, json};

/// The most piece CIDs of one answer.
const PIECES_MAX: u64 = 10_000;

/// What may be left out of an order.
#[derive(Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields, default)]
struct Options {
    first_piece: u64,
    piece_size: u64,
    deals_per_sector: u64,
    duration: i64,
    pending: u64,
    seal_in: Option<i64>,
    client: Option<String>,
}

impl Default for Options {
    fn default() -> Self {
        Self {
            first_piece: 0,
            piece_size: 32 << 30,
            deals_per_sector: 1,
            // 540 days.
            duration: 1_555_200,
            pending: 0,
            seal_in: None,
            client: None,
        }
    }
}

/// `devnet_bulkDeals [provider, count, {..}|absent]`
pub(super) fn deals(server: &Server, params: Params<'_>) -> Result<Value, RpcError> {
    let options: Option<Options> = params.get(2)?;
    let options = options.unwrap_or_default();
    let order = BulkOrder {
        provider: provider_id(params, 0)?,
        count: params.get(1)?,
        first_piece: options.first_piece,
        piece_size: options.piece_size,
        deals_per_sector: options.deals_per_sector,
        duration: options.duration,
        pending: options.pending,
        seal_in: options.seal_in,
        client: options.client,
    };
    apply(server, Command::Bulk(order))
}

/// `devnet_bulkPieces [first, count]`: the CIDs of bulk pieces by number.
pub(super) fn pieces(params: Params<'_>) -> Result<Value, RpcError> {
    let (first, count): (u64, u64) = (params.get(0)?, params.get(1)?);
    if count > PIECES_MAX {
        return Err(RpcError::coded(-32602, format!("count is {count}: use at most {PIECES_MAX}")));
    }
    Ok((first..first.saturating_add(count)).map(|number| encode::link(&bulk_piece(number))).collect())
}

/// `devnet_addProviders [count, operators|absent]`
pub(super) fn providers(server: &Server, params: Params<'_>) -> Result<Value, RpcError> {
    apply(server, Command::AddProviders { count: params.get(0)?, operators: params.get(1)? })
}

/// `devnet_onboard [provider, {..}|absent]`
pub(super) fn onboard(server: &Server, params: Params<'_>) -> Result<Value, RpcError> {
    let options: Option<Onboard> = params.get(1)?;
    let Onboard { pieces, update, duration } = options.unwrap_or_default();
    let order = OnboardOrder { provider: provider_id(params, 0)?, pieces, update, duration };
    apply(server, Command::Onboard(order))
}

#[derive(Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
struct Onboard {
    pieces: Vec<DirectPiece>,
    update: Option<SectorNumber>,
    duration: Option<i64>,
}

/// A batch as `devnet_providers` lists it.
pub(super) fn show(batch: &Batch) -> Value {
    let shape = batch.shape();
    json!({
        "firstDeal": shape.first_deal,
        "deals": shape.proven,
        "firstSector": shape.first_sector,
        "sectors": shape.sectors,
        "client": encode::id_address(shape.client),
        "startEpoch": shape.start,
        "endEpoch": shape.end,
    })
}
