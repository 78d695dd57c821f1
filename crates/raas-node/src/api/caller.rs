//! Who calls, and what that may do.
//!
//! A node without keys listens on loopback only, and whoever reaches it runs it. Once a key was made, every route that
//! is not open wants one; the content of `wallet.token`, which only the node's user can read, counts as an admin's.
//! What a caller sees and changes is its tenant's; an admin's is everything.

use super::App;
use super::error::ApiError;
use super::guard;
use super::routes::{Index, Scope};
use crate::store::KeyScope;
use crate::world::World;
use axum::extract::{FromRequestParts, MatchedPath, Request, State};
use axum::http::request::Parts;
use axum::http::{HeaderMap, header};
use axum::middleware::Next;
use axum::response::Response;
use raas_core::ids::OwnerId;
use std::sync::Arc;

/// Who calls.
#[derive(Clone, Debug)]
pub struct Caller {
    /// Whose jobs, pins and uploads are meant.
    pub tenant: OwnerId,
    /// What is allowed.
    pub scope: Scope,
    /// Whether it showed a secret of somebody who may spend.
    pub may_pay: bool,
}

impl Caller {
    /// Whoever runs the node.
    const fn operator(tenant: OwnerId, may_pay: bool) -> Self {
        Self { tenant, scope: Scope::Admin, may_pay }
    }

    /// The tenant whose things alone are seen; `None` for an admin, who sees all.
    #[must_use]
    pub fn only(&self) -> Option<&OwnerId> {
        (self.scope < Scope::Admin).then_some(&self.tenant)
    }

    /// Whether it sees what `owner` has.
    #[must_use]
    pub fn sees(&self, owner: &OwnerId) -> bool {
        self.only().is_none_or(|tenant| tenant == owner)
    }

    /// Refuses whoever did not show a secret that allows to spend.
    pub fn pays(&self) -> Result<(), ApiError> {
        if self.may_pay {
            return Ok(());
        }
        let why = "this moves money: send `Authorization: Bearer` with an admin's key, or with the content of \
                   wallet.token, a file in the node's data directory";
        Err(ApiError::Unauthorized(why.to_owned()))
    }
}

impl<S: Send + Sync> FromRequestParts<S> for Caller {
    type Rejection = ApiError;

    async fn from_request_parts(parts: &mut Parts, _: &S) -> Result<Self, ApiError> {
        let caller = parts.extensions.get::<Self>().cloned();
        caller.ok_or_else(|| ApiError::Internal(anyhow::anyhow!("{} has an open scope", parts.uri.path())))
    }
}

/// What [`admit`] looks into.
pub struct Gate<W: World> {
    app: Arc<App<W>>,
    index: Index,
}

impl<W: World> Gate<W> {
    /// Of these routes.
    pub const fn new(app: Arc<App<W>>, index: Index) -> Self {
        Self { app, index }
    }
}

impl<W: World> Clone for Gate<W> {
    fn clone(&self) -> Self {
        Self { app: Arc::clone(&self.app), index: self.index.clone() }
    }
}

/// Lets a request in, with its caller, or refuses it.
pub async fn admit<W: World>(
    State(gate): State<Gate<W>>,
    mut request: Request,
    next: Next,
) -> Result<Response, ApiError> {
    let keyed = gate.app.engine.store().has_keys().await?;
    guard::own_pages_only(&request, keyed)?;
    let matched = request.extensions().get::<MatchedPath>();
    let spec = matched.and_then(|matched| gate.index.get(request.method(), matched.as_str()));
    // What is no route is answered by the fallbacks, which tell nothing.
    if let Some(needed) = spec.map(|spec| spec.scope).filter(|scope| *scope > Scope::Open) {
        let caller = caller(&gate.app, request.headers(), keyed).await?;
        if caller.scope < needed {
            let why = format!("this route wants a key of scope {}", needed.name());
            return Err(ApiError::NotAllowed(why));
        }
        request.extensions_mut().insert(caller);
    }
    Ok(next.run(request).await)
}

async fn caller<W: World>(app: &App<W>, headers: &HeaderMap, keyed: bool) -> Result<Caller, ApiError> {
    let shown = headers.get(header::AUTHORIZATION).and_then(|value| value.to_str().ok());
    let secret = shown.and_then(|shown| shown.strip_prefix("Bearer "));
    if secret.is_some_and(|secret| is_same(secret, &app.wallet_token)) {
        return Ok(Caller::operator(OwnerId::local(), true));
    }
    if !keyed {
        return Ok(Caller::operator(OwnerId::local(), false));
    }
    let key = match secret {
        Some(secret) => app.engine.store().key_of(secret, raas_clients::clock::unix_seconds()).await?,
        None => None,
    };
    match key {
        Some(key) if key.scope == KeyScope::Admin => Ok(Caller::operator(key.tenant, true)),
        Some(key) => {
            let scope = if key.scope == KeyScope::Write { Scope::Write } else { Scope::Read };
            Ok(Caller { tenant: key.tenant, scope, may_pay: false })
        }
        None => {
            let why = if secret.is_some() { "this key opens nothing (any more)" } else { "a key is needed" };
            Err(ApiError::Unauthorized(format!(
                "{why}: send `Authorization: Bearer KEY`; `raas key new` on the node's machine makes one"
            )))
        }
    }
}

/// Compares secrets in a time that tells nothing: all bytes are looked at.
fn is_same(shown: &str, wanted: &str) -> bool {
    let differs = shown.bytes().zip(wanted.bytes()).fold(0, |differs, (a, b)| differs | (a ^ b));
    shown.len() == wanted.len() && differs == 0
}
