//! `/v1/keys`: who may call. `raas key` does the same on the node's machine.

use crate::api::App;
use crate::api::error::ApiError;
use crate::api::extract::{JsonBody, Path};
use crate::store::{ApiKey, KeyScope, NewKey};
use crate::world::World;
use axum::Json;
use axum::extract::State;
use axum::http::StatusCode;
use raas_core::ids::OwnerId;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use std::sync::Arc;

/// All keys.
#[derive(Debug, Serialize, JsonSchema)]
#[schemars(rename = "KeyList")]
pub struct Keys {
    network: String,
    /// Without their secrets; revoked and ended ones, too.
    keys: Vec<ApiKey>,
}

/// Every key that was ever made.
pub async fn list<W: World>(State(app): State<Arc<App<W>>>) -> Result<Json<Keys>, ApiError> {
    Ok(Json(Keys { network: app.network.clone(), keys: app.engine.store().keys().await? }))
}

/// A key that is wanted.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
#[schemars(rename = "WantedKey")]
pub struct Wanted {
    /// Whose: small letters, digits and hyphens. `local` is who runs the node.
    tenant: String,
    /// What it allows; `admin` is for the tenant `local` alone.
    scope: KeyScope,
    /// What it is for.
    #[serde(default)]
    name: String,
    /// Days until it ends; without it never.
    #[schemars(range(min = 1, max = 36500))]
    expires_days: Option<u32>,
}

/// A new key.
#[derive(Debug, Serialize, JsonSchema)]
#[schemars(rename = "NewKey")]
pub struct Made {
    network: String,
    /// What to send as `Authorization: Bearer`. It is told here and never again.
    secret: String,
    key: ApiKey,
}

/// Makes a key.
pub async fn make<W: World>(
    State(app): State<Arc<App<W>>>,
    JsonBody(wanted): JsonBody<Wanted>,
) -> Result<(StatusCode, Json<Made>), ApiError> {
    let made_unix = raas_clients::clock::unix_seconds();
    let days = wanted.expires_days.map(i64::from);
    if days.is_some_and(|days| !(1..=36_500).contains(&days)) {
        return Err(ApiError::field("expires_days", "give 1 to 36500 days, or leave it out"));
    }
    let expires_unix = days.map(|days| made_unix + days * 86_400);
    let wanted = NewKey {
        tenant: OwnerId(wanted.tenant),
        scope: wanted.scope,
        name: wanted.name,
        made_unix,
        expires_unix,
    };
    wanted.check().map_err(|refused| {
        let text = refused.to_string();
        let (field, why) = text.split_once(": ").unwrap_or(("tenant", &text));
        ApiError::field(field, why)
    })?;
    let (key, secret) = app.engine.store().make_key(&wanted).await?;
    Ok((StatusCode::CREATED, Json(Made { network: app.network.clone(), secret, key })))
}

/// A key that opens nothing any more.
#[derive(Debug, Serialize, JsonSchema)]
pub struct Revoked {
    network: String,
    id: String,
    /// False when it was revoked before.
    revoked_now: bool,
}

/// Ends a key at once.
pub async fn revoke<W: World>(
    State(app): State<Arc<App<W>>>,
    Path(id): Path<String>,
) -> Result<Json<Revoked>, ApiError> {
    let store = app.engine.store();
    let revoked_now = store.revoke_key(&id, raas_clients::clock::unix_seconds()).await?;
    if !revoked_now && !store.keys().await?.iter().any(|key| key.id == id) {
        return Err(ApiError::NotFound(format!("there is no key {id}; GET /v1/keys lists them")));
    }
    Ok(Json(Revoked { network: app.network.clone(), id, revoked_now }))
}
