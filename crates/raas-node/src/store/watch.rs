//! What the index in memory is loaded from and kept in step with: narrow rows of watched orders, and the feed of
//! holdings that a transaction touched.

use futures_util::TryStreamExt;
use raas_core::health::{Health, UnknownReason};
use raas_core::holding::Holding;
use raas_core::ids::{ActorId, DealId, HoldingId, OperatorId, OrderId, ProviderId, SectorNumber};
use raas_core::observation::ProviderView;
use raas_core::order::OrderState;
use raas_core::units::Epoch;

use super::assemble::{self, Scope};
use super::error::Error;
use super::open::Store;
use super::schema::{VIEW, int, uint};
use super::types::TxId;

/// How a watched order stands, as far as watching is concerned.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u8)]
pub enum Mark {
    /// Not watched: nothing on chain yet, or over.
    Unwatched = 0,
    /// Published, not seen active.
    Pending = 1,
    /// Active and proven.
    Proven = 2,
    /// Active and faulty.
    Suspect = 3,
    /// Active, and nothing can be said of it.
    Unknown = 4,
    /// Active, and its sector was seen dead: the next round decides.
    Doomed = 5,
}

impl Mark {
    /// The mark of an order in `state`.
    #[must_use]
    pub const fn of(state: &OrderState) -> Self {
        match state {
            OrderState::Published(_) => Self::Pending,
            OrderState::Active(on_chain) => match on_chain.health.health {
                Health::Proven => Self::Proven,
                Health::Suspect => Self::Suspect,
                Health::Unknown(UnknownReason::DeadOnce) => Self::Doomed,
                _ => Self::Unknown,
            },
            _ => Self::Unwatched,
        }
    }

    /// Whether it is read singly in every round.
    #[must_use]
    pub const fn is_doubtful(self) -> bool {
        matches!(self, Self::Unknown | Self::Doomed)
    }

    const fn from_column(value: i64) -> Self {
        match value {
            1 => Self::Pending,
            2 => Self::Proven,
            3 => Self::Suspect,
            4 => Self::Unknown,
            5 => Self::Doomed,
            _ => Self::Unwatched,
        }
    }
}

/// One order as watching sees it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Watched {
    /// Which.
    pub order: OrderId,
    /// Where.
    pub provider: ProviderId,
    /// Who runs it.
    pub operator: OperatorId,
    /// Its deal of f05; `None` for a piece that is in its sector without one, and before there is one.
    pub deal: Option<DealId>,
    /// Its sector, once active.
    pub sector: Option<SectorNumber>,
    /// How it stands.
    pub mark: Mark,
    /// Activation must not be later.
    pub start: Epoch,
    /// First epoch after its term.
    pub end: Epoch,
    /// A fault under watch: since when, and the first round that saw it.
    pub fault: Option<(Epoch, Epoch)>,
    /// Places it fills.
    pub places: u32,
}

macro_rules! watched_columns {
    () => {
        "provider, sector, id, operator, deal, mark, term_start, term_end, fault_since, fault_first, places"
    };
}

type Row =
    (i64, Option<i64>, i64, i64, Option<i64>, i64, Option<i64>, Option<i64>, Option<i64>, Option<i64>, i64);

impl Store {
    /// Hands every watched order to `each`, by provider, sector and id, without holding them all.
    pub async fn each_watched(&self, each: &mut (dyn FnMut(Watched) + Send)) -> Result<(), Error> {
        let mut tx = self.read().await?;
        let mut rows = sqlx::query_as::<_, Row>(concat!(
            "SELECT ",
            watched_columns!(),
            " FROM orders WHERE mark > 0 ORDER BY provider, sector, id"
        ))
        .fetch(&mut *tx);
        while let Some(row) = rows.try_next().await? {
            each(decode(row)?);
        }
        Ok(())
    }

    /// Every order of the given holdings, watched or not.
    pub async fn watched_of(&self, holdings: &[HoldingId]) -> Result<Vec<Watched>, Error> {
        let mut tx = self.read().await?;
        let mut found = Vec::new();
        for page in holdings.chunks(5_000) {
            let rows: Vec<Row> = sqlx::query_as(concat!(
                "SELECT ",
                watched_columns!(),
                " FROM orders WHERE holding IN (SELECT value FROM json_each($1))"
            ))
            .bind(ids(page))
            .fetch_all(&mut *tx)
            .await?;
            for row in rows {
                found.push(decode(row)?);
            }
        }
        Ok(found)
    }

    /// Holdings that transactions touched after number `after` of the feed and that were not planned since, each with its
    /// number, in their order.
    pub async fn touched(&self, after: i64) -> Result<Vec<(i64, HoldingId)>, Error> {
        let rows: Vec<(i64, i64)> =
            sqlx::query_as("SELECT seq, holding FROM dirty WHERE seq > $1 ORDER BY seq")
                .bind(after)
                .fetch_all(&mut *self.read().await?)
                .await?;
        rows.into_iter().map(|(seq, id)| Ok((seq, HoldingId(uint("holding", id)?)))).collect()
    }

    /// The given holdings, open or not, by id.
    pub async fn holdings_by_id(&self, holdings: &[HoldingId]) -> Result<Vec<Holding>, Error> {
        assemble::load(&mut *self.read().await?, Scope::These(&ids(holdings))).await
    }

    /// The holdings of a piece, open or not, by id.
    pub async fn holdings_of_piece(&self, piece: raas_core::cid::Commitment) -> Result<Vec<Holding>, Error> {
        let rows: Vec<i64> = sqlx::query_scalar("SELECT holding FROM holding_piece WHERE piece = $1")
            .bind(piece.to_string())
            .fetch_all(&mut *self.read().await?)
            .await?;
        let holdings: Result<Vec<HoldingId>, Error> =
            rows.into_iter().map(|id| Ok(HoldingId(uint("holding", id)?))).collect();
        self.holdings_by_id(&holdings?).await
    }

    /// Open holdings whose list on the contract was never read, at most `limit`.
    pub async fn unlisted(&self, limit: u32) -> Result<Vec<Holding>, Error> {
        self.listed(
            "SELECT id FROM holding WHERE listed_at IS NULL AND $1 = $1
             AND EXISTS (SELECT 1 FROM job WHERE job.holding = holding.id AND open = 1) ORDER BY id LIMIT $2",
            Epoch(0),
            limit,
        )
        .await
    }

    /// Holdings whose list was read before `block`, the oldest first, at most `limit`.
    pub async fn listed_before(&self, block: Epoch, limit: u32) -> Result<Vec<Holding>, Error> {
        let sql = "SELECT id FROM holding WHERE listed_at < $1 ORDER BY listed_at LIMIT $2";
        self.listed(sql, block, limit).await
    }

    async fn listed(&self, sql: &'static str, block: Epoch, limit: u32) -> Result<Vec<Holding>, Error> {
        let rows: Vec<i64> =
            sqlx::query_scalar(sql).bind(block.0).bind(limit).fetch_all(&mut *self.read().await?).await?;
        let holdings: Result<Vec<HoldingId>, Error> =
            rows.into_iter().map(|id| Ok(HoldingId(uint("holding", id)?))).collect();
        self.holdings_by_id(&holdings?).await
    }

    /// Lists read before `block` are read again: one that was read before a gap in the events may lack what was
    /// completed in it.
    pub async fn forget_lists(&self, block: Epoch) -> Result<(), Error> {
        let mut tx = self.write().await?;
        sqlx::query("UPDATE holding SET listed_at = NULL WHERE listed_at < $1")
            .bind(block.0)
            .execute(&mut *tx)
            .await?;
        tx.commit().await?;
        Ok(())
    }

    /// The lists of the holding that a transaction is for are read again.
    pub async fn read_list_again(&self, tx: TxId) -> Result<(), Error> {
        let mut write = self.write().await?;
        sqlx::query("UPDATE holding SET listed_at = NULL WHERE id = (SELECT holding FROM tx WHERE id = $1)")
            .bind(int("transaction", tx.0)?)
            .execute(&mut *write)
            .await?;
        write.commit().await?;
        Ok(())
    }

    /// Notes that the contract's list for a holding was read at `block`.
    pub async fn set_listed(&self, holding: HoldingId, block: Epoch) -> Result<(), Error> {
        let mut tx = self.write().await?;
        sqlx::query("UPDATE holding SET listed_at = $2 WHERE id = $1")
            .bind(int("holding", holding.0)?)
            .bind(block.0)
            .execute(&mut *tx)
            .await?;
        tx.commit().await?;
        Ok(())
    }

    /// What the last looks at providers found.
    pub async fn views(&self) -> Result<Vec<(ProviderId, ProviderView)>, Error> {
        let rows: Vec<(i64, String)> =
            sqlx::query_as("SELECT provider, view FROM provider_view ORDER BY provider")
                .fetch_all(&mut *self.read().await?)
                .await?;
        rows.into_iter()
            .map(|(provider, view)| Ok((ProviderId::new(uint("provider", provider)?), VIEW.decode(&view)?)))
            .collect()
    }
}

/// What the narrow columns repeat of a state.
pub(super) struct Narrow {
    pub(super) mark: i64,
    pub(super) sector: Option<i64>,
    pub(super) term_start: Option<i64>,
    pub(super) term_end: Option<i64>,
    pub(super) fault_since: Option<i64>,
    pub(super) fault_first: Option<i64>,
}

impl Narrow {
    pub(super) fn of(state: &OrderState) -> Result<Self, Error> {
        let on_chain = state.on_chain();
        let fault = on_chain.and_then(|on_chain| on_chain.health.fault);
        Ok(Self {
            mark: Mark::of(state) as i64,
            sector: on_chain
                .and_then(|on_chain| on_chain.sector)
                .map(|sector| int("sector", sector.0))
                .transpose()?,
            term_start: on_chain.map(|on_chain| on_chain.term.start.0),
            term_end: on_chain.map(|on_chain| on_chain.term.end.0),
            fault_since: fault.map(|fault| fault.since.0),
            fault_first: fault.map(|fault| fault.first_round.0),
        })
    }
}

fn decode(row: Row) -> Result<Watched, Error> {
    let (provider, sector, order, operator, deal, mark, start, end, fault_since, fault_first, places) = row;
    Ok(Watched {
        order: OrderId(uint("order", order)?),
        provider: ProviderId::new(uint("provider", provider)?),
        operator: OperatorId(ActorId(uint("operator", operator)?)),
        deal: deal.map(|deal| uint("deal", deal).map(DealId)).transpose()?,
        sector: sector.map(|sector| uint("sector", sector).map(SectorNumber)).transpose()?,
        mark: Mark::from_column(mark),
        start: Epoch(start.unwrap_or_default()),
        end: Epoch(end.unwrap_or_default()),
        fault: fault_since.zip(fault_first).map(|(since, first)| (Epoch(since), Epoch(first))),
        places: u32::try_from(places).unwrap_or_default(),
    })
}

fn ids(holdings: &[HoldingId]) -> String {
    json_list(&holdings.iter().map(|holding| holding.0).collect::<Vec<_>>())
}

/// Numbers as one parameter, for `json_each`.
pub(super) fn json_list(numbers: &[u64]) -> String {
    let mut text = String::with_capacity(numbers.len() * 8 + 2);
    text.push('[');
    for (at, number) in numbers.iter().enumerate() {
        if at > 0 {
            text.push(',');
        }
        text.push_str(&number.to_string());
    }
    text.push(']');
    text
}
