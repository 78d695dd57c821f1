//! Transactions of the node's wallet: intents, nonces, signed forms. Signed bytes and nonce are stored before
//! they are broadcast; every form of one transaction has its nonce, so at most one is mined.

use raas_core::holding::Holding;
use raas_core::ids::{DealId, HoldingId, OwnerId, RequestAt};
use raas_core::machine::sender::State;
use raas_core::ports::{Fees, Lane, SignedTx, TxIntent};
use raas_core::units::Epoch;
use serde::Deserialize;
use sqlx::sqlite::SqliteRow;
use sqlx::{Row, SqliteConnection};
use std::collections::BTreeMap;

use super::error::{Error, is_unique_violation};
use super::events::{Happened, log};
use super::lanes::{self, GasDay};
use super::open::Store;
use super::schema::{TX_INTENT, TX_STATE, deal_int, int, parse, uint};
use super::types::{StepKind, StoredTx, TxId};
use super::{batches, steps};

macro_rules! tx_sql {
    ($where:literal) => {
        [
            concat!(
                "SELECT t.id, t.intent, t.lane, t.version, t.nonce, t.state, t.open, t.carrier FROM tx t WHERE ",
                $where,
                " ORDER BY t.id"
            ),
            concat!(
                "SELECT s.tx, s.raw, s.hash, s.fee_cap, s.premium, s.gas_max, s.cancels FROM tx_signed s JOIN tx t ON t.id = s.tx WHERE ",
                $where,
                " ORDER BY s.tx, s.form"
            ),
        ]
    };
}

impl Store {
    /// Plans a transaction with the step that sends it. While one of the same key is open, this is that one.
    pub async fn plan_tx(&self, intent: &TxIntent, key: &str) -> Result<TxId, Error> {
        let mut tx = self.write().await?;
        let id = plan(&mut tx, intent, key, Purpose { owner: &OwnerId::local(), holding: None }, 0).await?;
        tx.commit().await?;
        Ok(id)
    }

    /// The same, for a holding.
    pub async fn plan_tx_for(&self, holding: &Holding, intent: &TxIntent, key: &str) -> Result<TxId, Error> {
        let mut tx = self.write().await?;
        let purpose = Purpose { owner: &holding.owner, holding: Some(holding.id) };
        let id = plan(&mut tx, intent, key, purpose, 0).await?;
        tx.commit().await?;
        Ok(id)
    }

    /// Plans a transaction once for ever: a key that was used before gives what it was used for, and whether it is
    /// new. Another intent under the same key is [`Error::IntentChanged`].
    pub async fn plan_tx_once(&self, intent: &TxIntent, key: &str) -> Result<(TxId, bool), Error> {
        let mut tx = self.write().await?;
        let before: Option<(i64, String)> =
            sqlx::query_as("SELECT id, intent FROM tx WHERE key = $1 ORDER BY id DESC LIMIT 1")
                .bind(key)
                .fetch_optional(&mut *tx)
                .await?;
        if let Some((id, stored)) = before {
            let id = TxId(uint("transaction", id)?);
            let stored: TxIntent = TX_INTENT.decode(&stored)?;
            return if stored == *intent { Ok((id, false)) } else { Err(Error::IntentChanged { tx: id }) };
        }
        let id = plan(&mut tx, intent, key, Purpose { owner: &OwnerId::local(), holding: None }, 0).await?;
        tx.commit().await?;
        Ok((id, true))
    }

    /// Why transactions do not go on, by their steps.
    pub async fn send_waits(&self) -> Result<BTreeMap<TxId, String>, Error> {
        let rows: Vec<(i64, String)> =
            sqlx::query_as("SELECT subject, why FROM step WHERE kind = 'send' AND why IS NOT NULL")
                .fetch_all(&mut *self.read().await?)
                .await?;
        rows.into_iter().map(|(id, why)| Ok((TxId(uint("transaction", id)?), why))).collect()
    }

    /// One transaction.
    pub async fn tx(&self, tx: TxId) -> Result<Option<StoredTx>, Error> {
        let id = int("transaction", tx.0)?;
        Ok(load(&mut *self.snapshot().await?, tx_sql!("t.id = $1"), Filter::Id(id)).await?.pop())
    }

    /// Transactions that can still change, of one account or of both, in order of their ids.
    pub async fn open_txs(&self, lane: Option<Lane>) -> Result<Vec<StoredTx>, Error> {
        let connection = &mut *self.snapshot().await?;
        match lane {
            None => load(connection, tx_sql!("t.open = 1"), Filter::All).await,
            Some(lane) => {
                load(connection, tx_sql!("t.open = 1 AND t.lane = $1"), Filter::Lane(lane_name(lane))).await
            }
        }
    }

    /// Stores a further signed form, reserving its nonce with the first one. The new version; `None` when
    /// `version` is stale or the transaction is closed, and then nothing may be broadcast. Gas above the day's limit
    /// is [`Error::GasSpent`], checked in the same transaction.
    pub async fn store_signed_tx(
        &self,
        tx: TxId,
        version: i64,
        nonce: u64,
        signed: &SignedTx,
        state: &serde_json::Value,
        gas: GasDay,
    ) -> Result<Option<i64>, Error> {
        let mut write = self.write().await?;
        let id = int("transaction", tx.0)?;
        let row: Option<(String, Option<i64>)> =
            sqlx::query_as("SELECT lane, nonce FROM tx WHERE id = $1 AND version = $2 AND open = 1")
                .bind(id)
                .bind(version)
                .fetch_optional(&mut *write)
                .await?;
        let Some((lane, reserved)) = row else { return Ok(None) };
        if let Some(reserved) = reserved.map(|nonce| uint("nonce", nonce)).transpose()?
            && reserved != nonce
        {
            return Err(Error::NonceChanged { tx, reserved, given: nonce });
        }
        let updated =
            sqlx::query("UPDATE tx SET version = version + 1, nonce = $2, state = $3 WHERE id = $1")
                .bind(id)
                .bind(int("nonce", nonce)?)
                .bind(TX_STATE.encode(state)?)
                .execute(&mut *write)
                .await;
        match updated {
            Err(error) if is_unique_violation(&error) => {
                return Err(Error::NonceTaken { lane: parse_lane(&lane)?, nonce, tx });
            }
            other => other?,
        };
        lanes::check_gas(&mut write, id, signed.gas_max, gas).await?;
        insert_form(&mut write, id, signed, gas.at).await?;
        let what = Happened::TxSigned { tx, nonce, hash: signed.hash.clone() };
        let holding = holding_of(&mut write, id).await?;
        log(&mut write, holding, None, &what).await?;
        write.commit().await?;
        Ok(Some(version + 1))
    }

    /// Writes the sender machine's state, and whether the transaction can still change. The new version;
    /// `None` when `version` is stale or the transaction is closed.
    pub async fn set_tx(
        &self,
        tx: TxId,
        version: i64,
        state: &serde_json::Value,
        open: bool,
    ) -> Result<Option<i64>, Error> {
        let mut write = self.write().await?;
        let updated = sqlx::query(
            "UPDATE tx SET version = version + 1, state = $3, open = $4, counts = $5
             WHERE id = $1 AND version = $2 AND open = 1",
        )
        .bind(int("transaction", tx.0)?)
        .bind(version)
        .bind(TX_STATE.encode(state)?)
        .bind(open)
        .bind(open || !is_undone(state))
        .execute(&mut *write)
        .await?;
        if updated.rows_affected() == 0 {
            return Ok(None);
        }
        if !open {
            let holding = holding_of(&mut write, int("transaction", tx.0)?).await?;
            log(&mut write, holding, None, &Happened::TxClosed { tx }).await?;
            if is_undone(state) {
                batches::reopen(&mut write, int("transaction", tx.0)?).await?;
            }
        }
        write.commit().await?;
        Ok(Some(version + 1))
    }

    /// The last `limit` transactions, newest first.
    pub async fn last_txs(&self, limit: u32) -> Result<Vec<StoredTx>, Error> {
        let newest: Option<i64> =
            sqlx::query_scalar("SELECT MAX(id) FROM tx").fetch_one(&mut *self.read().await?).await?;
        let from = newest.unwrap_or(0) - i64::from(limit);
        let mut txs = load(&mut *self.snapshot().await?, tx_sql!("t.id > $1"), Filter::Id(from)).await?;
        txs.reverse();
        Ok(txs)
    }
}

/// For whom a transaction is sent.
#[derive(Clone, Copy)]
pub(super) struct Purpose<'a> {
    pub(super) owner: &'a OwnerId,
    pub(super) holding: Option<HoldingId>,
}

/// Plans a transaction inside the caller's; while one of the same key is open, this is that one.
pub(super) async fn plan(
    connection: &mut SqliteConnection,
    intent: &TxIntent,
    key: &str,
    purpose: Purpose<'_>,
    due_unix: i64,
) -> Result<TxId, Error> {
    let open: Option<i64> = sqlx::query_scalar("SELECT id FROM tx WHERE key = $1 AND open = 1")
        .bind(key)
        .fetch_optional(&mut *connection)
        .await?;
    if let Some(id) = open {
        return Ok(TxId(uint("transaction", id)?));
    }
    let (job, contract, request, deal) = match intent {
        TxIntent::AddBalance { .. }
        | TxIntent::Transfer { .. }
        | TxIntent::Withdraw { .. }
        | TxIntent::Settle { .. }
        | TxIntent::Allocate(_)
        | TxIntent::SubmitMany { .. }
        | TxIntent::Prune { .. }
        | TxIntent::Cancel { .. } => (None, None, None, None),
        TxIntent::Submit { job, .. } => (Some(int("job", job.0)?), None, None, None),
        TxIntent::Complete { contract, request, deal, .. } => (
            None,
            contract.map(|contract| contract.to_string()),
            Some(int("request", request.0)?),
            Some(deal_int(*deal)),
        ),
    };
    let id: i64 = sqlx::query_scalar(
        "INSERT INTO tx (key, owner, holding, intent, lane, version, state, open, job, request, deal, contract, counts)
         VALUES ($1, $2, $3, $4, $5, 1, $6, 1, $7, $8, $9, $10, 1) RETURNING id",
    )
    .bind(key)
    .bind(&purpose.owner.0)
    .bind(purpose.holding.map(|id| int("holding", id.0)).transpose()?)
    .bind(TX_INTENT.encode(intent)?)
    .bind(lane_name(intent.lane()))
    .bind(TX_STATE.encode(&State::Planned)?)
    .bind(job)
    .bind(request)
    .bind(deal)
    .bind(contract)
    .fetch_one(&mut *connection)
    .await?;
    let tx = TxId(uint("transaction", id)?);
    steps::plan(connection, &StepKind::Send { tx }, due_unix).await?;
    let planned = Happened::TxPlanned { tx, intent: intent.clone() };
    log(connection, purpose.holding, None, &planned).await?;
    Ok(tx)
}

/// The holding a transaction is sent for.
pub(super) async fn holding_of(
    connection: &mut SqliteConnection,
    tx: i64,
) -> Result<Option<HoldingId>, Error> {
    let holding: Option<Option<i64>> = sqlx::query_scalar("SELECT holding FROM tx WHERE id = $1")
        .bind(tx)
        .fetch_optional(connection)
        .await?;
    holding.flatten().map(|id| uint("holding", id).map(HoldingId)).transpose()
}

/// Whether the contract shows `deal` for `request` already, or a transaction that says so is on its way.
pub(super) async fn is_attested(
    connection: &mut SqliteConnection,
    at: RequestAt,
    deal: DealId,
) -> Result<bool, Error> {
    let count: i64 = sqlx::query_scalar(
        "SELECT (SELECT COUNT(*) FROM completion WHERE contract = $1 AND request = $2 AND deal = $3)
         + (SELECT COUNT(*) FROM tx WHERE contract = $1 AND request = $2 AND deal = $3 AND counts = 1)",
    )
    .bind(at.contract.to_string())
    .bind(int("request", at.request.0)?)
    .bind(deal_int(deal))
    .fetch_one(connection)
    .await?;
    Ok(count > 0)
}

async fn insert_form(
    connection: &mut SqliteConnection,
    id: i64,
    signed: &SignedTx,
    at: Epoch,
) -> Result<(), Error> {
    sqlx::query(
        "INSERT INTO tx_signed (tx, form, raw, hash, fee_cap, premium, gas_max, cancels, at)
         VALUES ($1, (SELECT COUNT(*) FROM tx_signed WHERE tx = $1), $2, $3, $4, $5, $6, $7, $8)",
    )
    .bind(id)
    .bind(signed.raw.as_slice())
    .bind(&signed.hash)
    .bind(signed.fees.fee_cap.to_string())
    .bind(signed.fees.premium.to_string())
    .bind(signed.gas_max.to_string())
    .bind(signed.cancels)
    .bind(at.0)
    .execute(connection)
    .await?;
    Ok(())
}

/// Whether a closed transaction did nothing, so that its purpose is still to be served. A state that cannot be
/// read counts as served: better a missing attestation in sight than one paid twice.
fn is_undone(state: &serde_json::Value) -> bool {
    matches!(State::deserialize(state), Ok(State::Failed { .. } | State::Replaced(_)))
}

enum Filter {
    All,
    Id(i64),
    Lane(&'static str),
}

async fn load(
    connection: &mut SqliteConnection,
    [txs, forms]: [&'static str; 2],
    filter: Filter,
) -> Result<Vec<StoredTx>, Error> {
    let query = |sql| match filter {
        Filter::All => sqlx::query(sql),
        Filter::Id(id) => sqlx::query(sql).bind(id),
        Filter::Lane(lane) => sqlx::query(sql).bind(lane),
    };
    let mut found: BTreeMap<i64, StoredTx> = BTreeMap::new();
    for row in query(txs).fetch_all(&mut *connection).await? {
        let tx = decode(&row)?;
        found.insert(row.try_get("id")?, tx);
    }
    if found.is_empty() {
        return Ok(Vec::new());
    }
    for row in query(forms).fetch_all(connection).await? {
        if let Some(tx) = found.get_mut(&row.try_get("tx")?) {
            tx.signed.push(SignedTx {
                raw: row.try_get("raw")?,
                hash: row.try_get("hash")?,
                fees: Fees {
                    fee_cap: parse("fee", row.try_get("fee_cap")?)?,
                    premium: parse("fee", row.try_get("premium")?)?,
                },
                gas_max: parse("gas", row.try_get("gas_max")?)?,
                cancels: row.try_get("cancels")?,
            });
        }
    }
    Ok(found.into_values().collect())
}

fn decode(row: &SqliteRow) -> Result<StoredTx, Error> {
    let nonce: Option<i64> = row.try_get("nonce")?;
    let carrier: Option<i64> = row.try_get("carrier")?;
    Ok(StoredTx {
        id: TxId(uint("transaction", row.try_get("id")?)?),
        intent: TX_INTENT.decode(row.try_get("intent")?)?,
        lane: parse_lane(row.try_get("lane")?)?,
        version: row.try_get("version")?,
        signed: Vec::new(),
        nonce: nonce.map(|nonce| uint("nonce", nonce)).transpose()?,
        state: TX_STATE.decode(row.try_get("state")?)?,
        open: row.try_get("open")?,
        carrier: carrier.map(|id| uint("transaction", id).map(TxId)).transpose()?,
    })
}

pub(super) const fn lane_name(lane: Lane) -> &'static str {
    match lane {
        Lane::Native => "native",
        Lane::Evm => "evm",
    }
}

pub(super) fn parse_lane(text: &str) -> Result<Lane, Error> {
    match text {
        "native" => Ok(Lane::Native),
        "evm" => Ok(Lane::Evm),
        other => Err(Error::Unreadable { format: "lane", source: other.to_owned().into() }),
    }
}
