//! Puts holdings together as the rules see them: each table is read once, then grouped in memory.

use raas_clients::inclusion::within;
use raas_core::cid::{Commitment, DataCid};
use raas_core::holding::{Attestation, Completes, Holding, Piece, PieceSlots, Slot, Told, Unserved};
use raas_core::ids::{DealId, HoldingId, OwnerId, ProviderId, RequestAt, RequestId, SectorNumber};
use raas_core::order::{Order, Within};
use raas_core::policy::{Duties, KeepLocal, Policy};
use raas_core::units::Epoch;
use sqlx::sqlite::{SqliteArguments, SqliteRow};
use sqlx::{Row, Sqlite, SqliteConnection};
use std::collections::{BTreeMap, BTreeSet};

use super::error::Error;
use super::orders::{decode_next, order_columns, padded};
use super::schema::{CAUSE, DUTIES, POLICY, Repeated, SOURCE, deal_id, parse, small, uint};
use super::{deployments, jobs};

/// Which holdings.
#[derive(Clone, Copy)]
pub(super) enum Scope<'a> {
    /// Open, or with an order that is not closed.
    Watched,
    /// One of them, in any state.
    One(i64),
    /// A JSON list of them, in any state.
    These(&'a str),
}

macro_rules! scoped {
    ($scope:expr, $column:literal, $head:expr, $tail:literal) => {
        match $scope {
            Scope::Watched => sqlx::query(concat!(
                $head,
                $column,
                " IN (SELECT holding FROM job WHERE open = 1 UNION SELECT holding FROM orders WHERE closed = 0) ",
                $tail
            )),
            Scope::One(id) => sqlx::query(concat!($head, $column, " = $1 ", $tail)).bind(id),
            Scope::These(ids) => sqlx::query(concat!(
                $head,
                $column,
                " IN (SELECT value FROM json_each($1)) ",
                $tail
            ))
            .bind(ids.to_owned()),
        }
    };
}

type Query = sqlx::query::Query<'static, Sqlite, SqliteArguments>;

/// What is known of a request.
#[derive(Default)]
struct Asked {
    completes: Option<Completes>,
    done: BTreeSet<DealId>,
    told: Vec<Told>,
}

#[derive(Default)]
struct Draft {
    /// When the first of the open jobs came.
    since: Option<Epoch>,
    open_jobs: Vec<(Duties, Policy)>,
    stopped_jobs: Vec<Policy>,
    unserved: Vec<Unserved>,
    unserved_jobs: Vec<Policy>,
    requests: BTreeMap<RequestAt, Asked>,
    pieces: Vec<Piece>,
    /// A pin is a wish for the local copy like `keep_local = always`.
    pinned: bool,
    placed: BTreeMap<Commitment, BTreeMap<u32, Vec<Order>>>,
    spares: BTreeMap<Commitment, Vec<Order>>,
}

/// The holdings of `scope`, in order of their ids.
pub(super) async fn load(connection: &mut SqliteConnection, scope: Scope<'_>) -> Result<Vec<Holding>, Error> {
    let mut names: BTreeMap<HoldingId, (OwnerId, DataCid)> = BTreeMap::new();
    let mut drafts: BTreeMap<HoldingId, Draft> = BTreeMap::new();
    for row in rows(connection, scoped!(scope, "id", "SELECT id, owner, cid FROM holding WHERE ", "")).await?
    {
        let id = HoldingId(uint("holding", row.try_get("id")?)?);
        names.insert(id, (OwnerId(row.try_get("owner")?), parse("CID", row.try_get("cid")?)?));
        drafts.insert(id, Draft::default());
    }
    if drafts.is_empty() {
        return Ok(Vec::new());
    }
    read_jobs(connection, scope, &mut drafts).await?;
    read_pieces(connection, scope, &mut drafts).await?;
    read_orders(connection, scope, &mut drafts).await?;
    // What a contract was shown and told is of requests, which most holdings have none of.
    if drafts.values().any(|draft| !draft.requests.is_empty()) {
        read_attested(connection, scope, &mut drafts).await?;
        read_told(connection, scope, &mut drafts).await?;
    }
    names
        .into_iter()
        .zip(drafts.into_values())
        .filter_map(|((id, (owner, cid)), draft)| draft.finish(id, owner, cid))
        .map(Ok)
        .collect()
}

async fn rows(connection: &mut SqliteConnection, query: Query) -> Result<Vec<SqliteRow>, Error> {
    Ok(query.fetch_all(connection).await?)
}

/// The draft a row belongs to. Rows of other holdings come along when an order is shared.
fn draft<'a>(
    drafts: &'a mut BTreeMap<HoldingId, Draft>,
    row: &SqliteRow,
) -> Result<Option<&'a mut Draft>, Error> {
    Ok(drafts.get_mut(&HoldingId(uint("holding", row.try_get("holding")?)?)))
}

/// The open request that a row is about.
fn asked<'a>(
    drafts: &'a mut BTreeMap<HoldingId, Draft>,
    row: &SqliteRow,
) -> Result<Option<&'a mut Asked>, Error> {
    let (draft, at) = (draft(drafts, row)?, request_at(row)?);
    Ok(draft.zip(at).and_then(|(draft, at)| draft.requests.get_mut(&at)))
}

async fn read_jobs(
    connection: &mut SqliteConnection,
    scope: Scope<'_>,
    drafts: &mut BTreeMap<HoldingId, Draft>,
) -> Result<(), Error> {
    let query = scoped!(
        scope,
        "holding",
        "SELECT holding, open, at, duties, policy, source, contract, request,
         (SELECT d.completes FROM deployment d WHERE d.contract = job.contract) AS completes FROM job WHERE ",
        "ORDER BY id"
    );
    let (mut policies, mut duties) = (Repeated::of(&POLICY), Repeated::of(&DUTIES));
    for row in rows(connection, query).await? {
        let Some(draft) = draft(drafts, &row)? else { continue };
        let policy: Policy = policies.decode(row.try_get("policy")?)?;
        if !row.try_get::<bool, _>("open")? {
            draft.stopped_jobs.push(policy);
            continue;
        }
        let since = Epoch(row.try_get("at")?);
        draft.since = Some(draft.since.map_or(since, |earliest| earliest.min(since)));
        let at = request_at(&row)?;
        let completes = deployments::completes(row.try_get("completes")?)?;
        if let Some(at) = at {
            draft.requests.entry(at).or_insert(Asked { completes, ..Asked::default() });
        }
        // The source is read only where it can matter.
        let unserved = match at {
            Some(_) => jobs::unserved(&SOURCE.decode(row.try_get("source")?)?, at),
            None => None,
        };
        match unserved {
            Some(why) => {
                draft.unserved.push(why);
                draft.unserved_jobs.push(policy);
            }
            None => draft.open_jobs.push((duties.decode(row.try_get("duties")?)?, policy)),
        }
    }
    Ok(())
}

async fn read_pieces(
    connection: &mut SqliteConnection,
    scope: Scope<'_>,
    drafts: &mut BTreeMap<HoldingId, Draft>,
) -> Result<(), Error> {
    let query = scoped!(
        scope,
        "hp.holding",
        "SELECT hp.holding, hp.aggregate, p.commitment, p.size, p.car_bytes, p.local, p.retrieved_at,
         (SELECT a.size FROM aggregate a WHERE a.commitment = hp.aggregate) AS aggregate_size,
         EXISTS (SELECT 1 FROM pin WHERE pin.cid = p.root OR pin.cid = p.commitment)
         OR EXISTS (SELECT 1 FROM pin_within w JOIN pin ON pin.cid = w.cid WHERE w.piece = p.commitment) AS pinned
         FROM holding_piece hp JOIN piece p ON p.commitment = hp.piece WHERE ",
        "ORDER BY hp.holding, (SELECT MIN(number) FROM whole_part WHERE piece = hp.piece), hp.piece"
    );
    for row in rows(connection, query).await? {
        let Some(draft) = draft(drafts, &row)? else { continue };
        let size = uint("piece size", row.try_get("size")?)?;
        draft.pinned |= row.try_get::<bool, _>("pinned")?;
        draft.pieces.push(Piece {
            commitment: parse("commitment", row.try_get("commitment")?)?,
            size: size
                .try_into()
                .map_err(|error| Error::Unreadable { format: "piece size", source: Box::new(error) })?,
            car_bytes: uint("CAR bytes", row.try_get("car_bytes")?)?,
            local: row.try_get("local")?,
            retrievable: row.try_get::<Option<i64>, _>("retrieved_at")?.is_some(),
            within: None,
            packed: packed(&row)?,
        });
    }
    Ok(())
}

/// What the row's piece is packed into.
fn packed(row: &SqliteRow) -> Result<Option<Within>, Error> {
    let aggregate: Option<String> = row.try_get("aggregate")?;
    let size: Option<i64> = row.try_get("aggregate_size")?;
    let (Some(aggregate), Some(size)) = (aggregate, size) else { return Ok(None) };
    Ok(Some(Within { aggregate: parse("commitment", &aggregate)?, size: padded(size)? }))
}

async fn read_orders(
    connection: &mut SqliteConnection,
    scope: Scope<'_>,
    drafts: &mut BTreeMap<HoldingId, Draft>,
) -> Result<(), Error> {
    let placed = scoped!(
        scope,
        "s.holding",
        concat!(
            "SELECT s.holding AS holding, s.slot AS slot, ",
            order_columns!(
                "s.piece",
                "CASE s.piece WHEN o.piece THEN o.size ELSE (SELECT p.size FROM piece p WHERE p.commitment = s.piece) END"
            ),
            " FROM order_slot s JOIN orders o ON o.id = s.order_id WHERE s.kept = 1 AND "
        ),
        "ORDER BY s.holding, s.piece, s.slot, s.generation"
    );
    let mut causes = Repeated::of(&CAUSE);
    for row in rows(connection, placed).await? {
        let Some(draft) = draft(drafts, &row)? else { continue };
        let order = decode_next(&row, &mut causes)?;
        let slot = small("slot", row.try_get("slot")?)?;
        draft.placed.entry(order.piece).or_default().entry(slot).or_default().push(order);
    }
    let spares = scoped!(
        scope,
        "o.holding",
        concat!(
            "SELECT o.holding AS holding, ",
            order_columns!(),
            " FROM orders o WHERE o.closed = 0
             AND NOT EXISTS (SELECT 1 FROM order_slot s WHERE s.order_id = o.id) AND "
        ),
        "ORDER BY o.id"
    );
    for row in rows(connection, spares).await? {
        let Some(draft) = draft(drafts, &row)? else { continue };
        let order = decode_next(&row, &mut causes)?;
        draft.spares.entry(order.piece).or_default().push(order);
    }
    if drafts.values().flat_map(|draft| &draft.pieces).any(|piece| piece.packed.is_some()) {
        read_shared(connection, scope, drafts).await?;
    }
    Ok(())
}

/// Orders for the aggregate of a holding's piece that are in none of its places: others made them, and it can join.
async fn read_shared(
    connection: &mut SqliteConnection,
    scope: Scope<'_>,
    drafts: &mut BTreeMap<HoldingId, Draft>,
) -> Result<(), Error> {
    let shared = scoped!(
        scope,
        "hp.holding",
        concat!(
            "SELECT hp.holding AS holding, ",
            order_columns!("hp.piece", "p.size"),
            " FROM holding_piece hp JOIN piece p ON p.commitment = hp.piece
             JOIN orders o ON o.within = hp.aggregate AND o.closed = 0
             WHERE NOT EXISTS (SELECT 1 FROM order_slot s WHERE s.order_id = o.id AND s.holding = hp.holding) AND "
        ),
        "ORDER BY hp.holding, o.id"
    );
    let mut causes = Repeated::of(&CAUSE);
    for row in rows(connection, shared).await? {
        let Some(draft) = draft(drafts, &row)? else { continue };
        let order = decode_next(&row, &mut causes)?;
        let spares = draft.spares.entry(order.piece).or_default();
        // One that left all places is a spare of the holding that it was made for already.
        if spares.iter().all(|spare| spare.id != order.id) {
            spares.push(order);
        }
    }
    Ok(())
}

/// Deals that a request shows already, by the contract's events or by a transaction of ours that is on its
/// way or succeeded.
async fn read_attested(
    connection: &mut SqliteConnection,
    scope: Scope<'_>,
    drafts: &mut BTreeMap<HoldingId, Draft>,
) -> Result<(), Error> {
    let seen = scoped!(
        scope,
        "j.holding",
        "SELECT j.holding, c.contract, c.request, c.deal FROM job j
         JOIN completion c ON c.contract = j.contract AND c.request = j.request WHERE ",
        ""
    );
    let sent = scoped!(
        scope,
        "j.holding",
        "SELECT j.holding, t.contract, t.request, t.deal FROM job j
         JOIN tx t ON t.request = j.request AND t.contract = j.contract AND t.deal IS NOT NULL
         AND t.counts = 1 WHERE ",
        ""
    );
    for query in [seen, sent] {
        for row in rows(connection, query).await? {
            if let Some(asked) = asked(drafts, &row)? {
                asked.done.insert(deal_id(row.try_get("deal")?));
            }
        }
    }
    Ok(())
}

/// Copies of the holdings in sectors that the contracts of their requests were told of.
async fn read_told(
    connection: &mut SqliteConnection,
    scope: Scope<'_>,
    drafts: &mut BTreeMap<HoldingId, Draft>,
) -> Result<(), Error> {
    let query = scoped!(
        scope,
        "j.holding",
        "SELECT j.holding, j.contract, j.request, t.deal, t.provider, t.sector FROM job j
         JOIN orders o ON o.holding = j.holding AND o.deal IS NULL AND o.sector IS NOT NULL AND o.closed = 0
         JOIN told t ON t.contract = j.contract AND t.provider = o.provider AND t.sector = o.sector
         AND t.piece = COALESCE(o.within, o.piece) AND t.size = COALESCE(o.within_size, o.size) WHERE ",
        "ORDER BY t.deal"
    );
    for row in rows(connection, query).await? {
        if let Some(asked) = asked(drafts, &row)? {
            asked.told.push(Told {
                deal: deal_id(row.try_get("deal")?),
                provider: ProviderId::new(uint("provider", row.try_get("provider")?)?),
                sector: SectorNumber(uint("sector", row.try_get("sector")?)?),
            });
        }
    }
    Ok(())
}

/// The request that a row names, if any.
fn request_at(row: &SqliteRow) -> Result<Option<RequestAt>, Error> {
    let contract: Option<String> = row.try_get("contract")?;
    let request: Option<i64> = row.try_get("request")?;
    let (Some(contract), Some(request)) = (contract, request) else { return Ok(None) };
    let request = RequestId(uint("request", request)?);
    Ok(Some(RequestAt { contract: parse("contract", &contract)?, request }))
}

impl Draft {
    /// `None` for a holding without any job, which the schema's only writer never makes.
    fn finish(self, id: HoldingId, owner: OwnerId, cid: DataCid) -> Option<Holding> {
        let open = !self.open_jobs.is_empty() || !self.unserved.is_empty();
        let duties = self.open_jobs.iter().fold(Duties::default(), |all, (duties, _)| all.union(*duties));
        // What is not served counts only where there is nothing else to say.
        let policies: Vec<Policy> = match (self.open_jobs.is_empty(), open) {
            (false, _) => self.open_jobs.into_iter().map(|(_, policy)| policy).collect(),
            (true, true) => self.unserved_jobs,
            (true, false) => self.stopped_jobs,
        };
        let mut policy = policies.into_iter().reduce(|a, b| a.strictest(&b))?;
        if self.pinned {
            policy.keep_local = KeepLocal::Always;
        }
        let (mut placed, mut spares) = (self.placed, self.spares);
        let in_aggregate =
            self.requests.values().any(|asked| asked.completes == Some(Completes::InAggregate));
        let pieces = self
            .pieces
            .into_iter()
            .map(|piece| PieceSlots {
                slots: slots(policy.replicas.target, placed.remove(&piece.commitment).unwrap_or_default()),
                spares: spares.remove(&piece.commitment).unwrap_or_default(),
                piece: Piece {
                    within: if in_aggregate { within(piece.commitment, piece.size) } else { None },
                    ..piece
                },
            })
            .collect();
        let attestations = self
            .requests
            .into_iter()
            .map(|(at, Asked { completes, done, told })| Attestation {
                at,
                completes,
                done: done.into_iter().collect(),
                told,
            })
            .collect();
        let (unserved, since) = (self.unserved, self.since.unwrap_or_default());
        Some(Holding { id, owner, cid, duties, policy, pieces, attestations, unserved, since, open })
    }
}

/// `target` places, and those beyond it that still hold something after the target was lowered.
fn slots(target: u32, mut placed: BTreeMap<u32, Vec<Order>>) -> Vec<Slot> {
    let used = placed
        .iter()
        .filter(|(_, orders)| orders.iter().any(|order| !order.state.is_closed()))
        .map(|(index, _)| index.saturating_add(1))
        .max()
        .unwrap_or(0);
    (0..target.max(used))
        .map(|index| Slot { index, generations: placed.remove(&index).unwrap_or_default() })
        .collect()
}
