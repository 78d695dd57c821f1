//! Pieces in sectors: what contracts were told of, and which copies are known already.

use raas_core::cid::{Commitment, DataCid};
use raas_core::ids::{
    ActorId, ContractAddress, DealId, HoldingId, ProviderId, RequestAt, RequestId, SectorNumber,
};
use raas_core::ports::ToldSeen;
use raas_core::units::{Epoch, PaddedSize};
use sqlx::sqlite::SqliteRow;
use sqlx::{Row, SqliteConnection};
use std::collections::BTreeSet;

use super::error::Error;
use super::open::Store;
use super::schema::{deal_id, deal_int, int, parse, uint};
use super::sightings;
use super::types::SightingState;

/// A piece in a sector that its miner actor told a contract of, for a request that is a job here.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ToldPiece {
    /// The CID that the request is about.
    pub cid: DataCid,
    /// The request it was told for.
    pub of: RequestAt,
    /// The contract's own id for it.
    pub deal: DealId,
    /// Whose miner actor told.
    pub provider: ProviderId,
    /// In which sector it is.
    pub sector: SectorNumber,
    /// The piece.
    pub piece: Commitment,
    /// Its padded size.
    pub size: PaddedSize,
    /// What became of it.
    pub state: SightingState,
}

/// Whether a piece in a sector is a copy already.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum CopyIn {
    /// No order is about it.
    Unknown,
    /// An order is.
    Known,
    /// A deal of this piece is on its way into some sector of this provider: perhaps into this one.
    Unsettled,
}

impl Store {
    /// Told pieces that are not settled, whose requests have jobs here with bytes that are known, each with the CID that
    /// was asked for. At most `limit`, those that were never looked at first, then the longest waiting.
    pub async fn told_unsettled(&self, limit: u32) -> Result<Vec<ToldPiece>, Error> {
        let rows = sqlx::query(
            "SELECT t.*, h.cid FROM told t JOIN job j ON j.contract = t.contract AND j.request = t.request
             JOIN holding h ON h.id = j.holding WHERE t.state = 'new'
             AND EXISTS (SELECT 1 FROM holding_piece hp WHERE hp.holding = h.id)
             ORDER BY t.tried_at, t.contract, t.deal LIMIT $1",
        )
        .bind(limit)
        .fetch_all(&mut *self.read().await?)
        .await?;
        rows.iter().map(decode).collect()
    }

    /// Told pieces of one CID, by contract and id.
    pub async fn told_of_cid(&self, cid: &DataCid) -> Result<Vec<ToldPiece>, Error> {
        let rows = sqlx::query(
            "SELECT t.*, h.cid FROM holding h JOIN job j ON j.holding = h.id
             JOIN told t ON t.contract = j.contract AND t.request = j.request
             WHERE h.cid = $1 ORDER BY t.contract, t.deal",
        )
        .bind(cid.to_string())
        .fetch_all(&mut *self.read().await?)
        .await?;
        rows.iter().map(decode).collect()
    }

    /// Where a contract's own deals are: those of `deals` that it was told of.
    pub async fn places_told(
        &self,
        contract: ContractAddress,
        deals: &[DealId],
    ) -> Result<Vec<(DealId, ProviderId, SectorNumber)>, Error> {
        let ids: Vec<i64> = deals.iter().map(|deal| deal_int(*deal)).collect();
        let rows: Vec<(i64, i64, i64)> = sqlx::query_as(
            "SELECT deal, provider, sector FROM told
             WHERE contract = $1 AND deal IN (SELECT value FROM json_each($2)) ORDER BY deal",
        )
        .bind(contract.to_string())
        .bind(serde_json::json!(ids).to_string())
        .fetch_all(&mut *self.read().await?)
        .await?;
        let decode = |(deal, provider, sector): (i64, i64, i64)| {
            let provider = ProviderId::new(uint("provider", provider)?);
            Ok((deal_id(deal), provider, SectorNumber(uint("sector", sector)?)))
        };
        rows.into_iter().map(decode).collect()
    }

    /// Notes that told pieces could not be settled at `height`.
    pub async fn note_tried(&self, tried: &[(ContractAddress, DealId)], height: Epoch) -> Result<(), Error> {
        let mut tx = self.write().await?;
        for (contract, deal) in tried {
            sqlx::query("UPDATE told SET tried_at = $3 WHERE contract = $1 AND deal = $2")
                .bind(contract.to_string())
                .bind(deal_int(*deal))
                .bind(height.0)
                .execute(&mut *tx)
                .await?;
        }
        tx.commit().await?;
        Ok(())
    }

    /// Whether `piece` in this sector is a copy of the holding already.
    pub async fn copy_in(
        &self,
        holding: HoldingId,
        provider: ProviderId,
        sector: SectorNumber,
        piece: Commitment,
    ) -> Result<CopyIn, Error> {
        let states: Vec<String> = sqlx::query_scalar(
            "SELECT state_name FROM orders WHERE piece = $3 AND closed = 0 AND provider = $1
             AND holding = $4 AND (sector = $2 OR state_name = 'published')",
        )
        .bind(int("provider", provider.number())?)
        .bind(int("sector", sector.0)?)
        .bind(piece.to_string())
        .bind(int("holding", holding.0)?)
        .fetch_all(&mut *self.read().await?)
        .await?;
        Ok(match states.as_slice() {
            [] => CopyIn::Unknown,
            states if states.iter().any(|state| state != "published") => CopyIn::Known,
            _ => CopyIn::Unsettled,
        })
    }

    /// Pieces of open holdings.
    pub async fn open_pieces(&self) -> Result<BTreeSet<Commitment>, Error> {
        let rows: Vec<String> = sqlx::query_scalar(
            "SELECT DISTINCT hp.piece FROM holding_piece hp JOIN job j ON j.holding = hp.holding WHERE j.open = 1",
        )
        .fetch_all(&mut *self.read().await?)
        .await?;
        rows.iter().map(|piece| parse("commitment", piece)).collect()
    }

    /// Known providers whose claims were not read since `height`, the longest unread first.
    pub async fn claims_unread_since(&self, height: Epoch) -> Result<Vec<ProviderId>, Error> {
        let rows: Vec<i64> = sqlx::query_scalar(
            "SELECT id FROM provider WHERE claims_at IS NULL OR claims_at <= $1 ORDER BY claims_at, id",
        )
        .bind(height.0)
        .fetch_all(&mut *self.read().await?)
        .await?;
        rows.into_iter().map(|id| Ok(ProviderId::new(uint("provider", id)?))).collect()
    }

    /// Notes that a provider's claims were read at `height`.
    pub async fn set_claims_read(&self, provider: ProviderId, height: Epoch) -> Result<(), Error> {
        let mut tx = self.write().await?;
        sqlx::query("UPDATE provider SET claims_at = $2 WHERE id = $1")
            .bind(int("provider", provider.number())?)
            .bind(height.0)
            .execute(&mut *tx)
            .await?;
        tx.commit().await?;
        Ok(())
    }
}

/// Keeps what a contract was told; once.
pub(super) async fn insert(
    connection: &mut SqliteConnection,
    contract: ContractAddress,
    told: &ToldSeen,
) -> Result<(), Error> {
    sqlx::query(
        "INSERT INTO told (contract, deal, market, request, provider, sector, piece, size, block, state)
         VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, 'new') ON CONFLICT (contract, deal) DO NOTHING",
    )
    .bind(contract.to_string())
    .bind(deal_int(told.deal))
    .bind(int("market", told.market.0)?)
    .bind(int("request", told.request.0)?)
    .bind(int("provider", told.provider.number())?)
    .bind(int("sector", told.sector.0)?)
    .bind(told.piece.to_string())
    .bind(int("piece size", told.size.get())?)
    .bind(told.block.0)
    .execute(connection)
    .await?;
    Ok(())
}

/// What the contract was told for requests of this CID is settled anew: somebody else has asked for it, too.
pub(super) async fn settle_again(
    connection: &mut SqliteConnection,
    contract: ContractAddress,
    cid: &DataCid,
) -> Result<(), Error> {
    sqlx::query(
        "UPDATE told SET state = 'new', tried_at = NULL WHERE contract = $1 AND state <> 'new'
         AND request IN (SELECT j.request FROM job j JOIN holding h ON h.id = j.holding
                         WHERE j.contract = $1 AND h.cid = $2)",
    )
    .bind(contract.to_string())
    .bind(cid.to_string())
    .execute(connection)
    .await?;
    Ok(())
}

pub(super) async fn set_state(
    connection: &mut SqliteConnection,
    contract: ContractAddress,
    deal: DealId,
    state: SightingState,
) -> Result<(), Error> {
    sqlx::query("UPDATE told SET state = $3 WHERE contract = $1 AND deal = $2")
        .bind(contract.to_string())
        .bind(deal_int(deal))
        .bind(sightings::name(state))
        .execute(connection)
        .await?;
    Ok(())
}

/// The market actor under which `contract` knows a deal of its own; `None` for one that it was not told of.
pub(super) async fn market_of(
    connection: &mut SqliteConnection,
    contract: ContractAddress,
    deal: DealId,
) -> Result<Option<ActorId>, Error> {
    let market: Option<i64> = sqlx::query_scalar("SELECT market FROM told WHERE contract = $1 AND deal = $2")
        .bind(contract.to_string())
        .bind(deal_int(deal))
        .fetch_optional(connection)
        .await?;
    market.map(|market| Ok(ActorId(uint("market", market)?))).transpose()
}

fn decode(row: &SqliteRow) -> Result<ToldPiece, Error> {
    let size = uint("piece size", row.try_get("size")?)?;
    Ok(ToldPiece {
        cid: parse("CID", row.try_get("cid")?)?,
        of: RequestAt {
            contract: parse("contract", row.try_get("contract")?)?,
            request: RequestId(uint("request", row.try_get("request")?)?),
        },
        deal: deal_id(row.try_get("deal")?),
        provider: ProviderId::new(uint("provider", row.try_get("provider")?)?),
        sector: SectorNumber(uint("sector", row.try_get("sector")?)?),
        piece: parse("commitment", row.try_get("piece")?)?,
        size: PaddedSize::new(size)
            .map_err(|error| Error::Unreadable { format: "piece size", source: Box::new(error) })?,
        state: sightings::state(row.try_get("state")?)?,
    })
}
