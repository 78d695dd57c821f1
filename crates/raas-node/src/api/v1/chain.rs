//! History that was final and is another one now: what differs, and, by the admin's hand, reading it again.

use crate::api::App;
use crate::api::caller::Caller;
use crate::api::error::ApiError;
use crate::api::extract::{JsonBody, Query};
use crate::engine::{NoRewind, Reread};
use crate::world::World;
use axum::Json;
use axum::extract::State;
use raas_core::units::Epoch;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};
use std::sync::Arc;

/// From where to read.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Wanted {
    /// The first height to read again; where the new history leaves the old one unless named.
    from: Option<i64>,
}

/// What would change if history was read again now. Nothing is changed.
pub async fn show<W: World>(
    State(app): State<Arc<App<W>>>,
    Query(wanted): Query<Wanted>,
) -> Result<Json<Shown>, ApiError> {
    let reread = app.engine.rewind(height(wanted.from)?, false).await?.map_err(refused)?;
    Ok(Json(shown(&app, &reread, false)))
}

/// What was confirmed.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
#[schemars(rename = "ConfirmedRewind")]
pub struct Confirmed {
    /// The first height to read again, as it was shown.
    from: i64,
    /// Key of the tipset that is gone, as it was shown: so that nothing else is given up than what was looked at.
    gone: String,
}

/// Reads history again, supersedes what it no longer tells, and lets the node go on. What was signed is sent again where
/// it is gone, so the caller shows an admin's secret.
pub async fn rewind<W: World>(
    State(app): State<Arc<App<W>>>,
    caller: Caller,
    JsonBody(confirmed): JsonBody<Confirmed>,
) -> Result<Json<Shown>, ApiError> {
    caller.pays()?;
    let from = height(Some(confirmed.from))?;
    let last = app.engine.store().last_round().await?;
    if last.is_none_or(|(last, _)| last.tipset != confirmed.gone) {
        let why = "gone: it is not the tipset that was seen final last; GET /v1/chain/rewind shows it";
        return Err(ApiError::Conflict(why.to_owned()));
    }
    let reread = app.engine.rewind(from, true).await?.map_err(refused)?;
    app.wake.notify_one();
    Ok(Json(shown(&app, &reread, true)))
}

fn height(from: Option<i64>) -> Result<Option<Epoch>, ApiError> {
    match from {
        Some(from) if from < 1 => {
            Err(ApiError::field("from", "the first height that can be read again is 1"))
        }
        from => Ok(from.map(Epoch)),
    }
}

fn refused(why: NoRewind) -> ApiError {
    match why {
        NoRewind::FromNeeded { .. } | NoRewind::FromTooLate { .. } => {
            ApiError::field("from", why.to_string())
        }
        NoRewind::NothingRewritten => ApiError::Conflict(why.to_string()),
        NoRewind::Held(_) | NoRewind::Unread { .. } => ApiError::Unavailable(why.to_string()),
    }
}

/// What differs, and whether it was read again.
#[derive(Debug, Serialize, JsonSchema)]
#[schemars(rename = "Rewind")]
pub struct Shown {
    network: String,
    /// Whether it was done; else it was only looked at.
    done: bool,
    /// Key and height of the tipset that was final and is gone.
    gone: Value,
    /// The first height to read again.
    from: i64,
    /// The new finalized tipset.
    round: Value,
    contracts: Vec<Value>,
    orders: Vec<Value>,
    /// Transactions that were final and are sent again.
    transactions: Vec<u64>,
    /// Its number, once it is done.
    rewind: Option<u64>,
}

fn shown<W: World>(app: &App<W>, reread: &Reread, done: bool) -> Shown {
    let differs = &reread.differs;
    Shown {
        network: app.network.clone(),
        done,
        gone: json!(reread.gone),
        from: reread.from.0,
        round: json!(reread.round),
        contracts: differs.contracts.iter().map(|contract| json!(contract)).collect(),
        orders: differs.orders.iter().map(|order| json!(order)).collect(),
        transactions: differs.transactions.iter().map(|tx| tx.0).collect(),
        rewind: done.then_some(differs.rewind),
    }
}
