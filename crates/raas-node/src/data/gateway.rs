//! What the data listener is made of, and its routes.

use super::aggregates::Aggregates;
use super::ahead::Buffers;
use super::limit::{self, Clients};
use super::{files, ipfs, piece, routing};
use crate::api::error::{self, ApiError};
use crate::api::{self, App};
use crate::blocks::LocalPiece;
use crate::settings::GatewaySettings;
use crate::world::World;
use axum::Router;
use axum::extract::{ConnectInfo, FromRequestParts, State};
use axum::http::request::Parts;
use axum::http::{HeaderMap, Uri};
use axum::routing::get;
use raas_core::cid::Commitment;
use std::convert::Infallible;
use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::sync::Arc;

/// The header in which `/piece` without a CID names this listener, so that it can be told from another node's. The name is
/// made at each start and says nothing else.
pub const LISTENER: &str = "raas-listener";
/// Buffers that wait to be used again: as many as 16 answers use at once.
const BUFFERS_KEPT: usize = 32;

/// What the handlers of this listener use.
pub struct Gateway<W: World> {
    pub(super) app: Arc<App<W>>,
    pub(super) settings: GatewaySettings,
    pub(super) clients: Arc<Clients>,
    pub(super) aggregates: Aggregates,
    pub(super) buffers: Arc<Buffers>,
}

impl<W: World> Gateway<W> {
    fn new(app: Arc<App<W>>, settings: GatewaySettings) -> Self {
        let clients = Clients::new(settings.limits);
        let buffers = Buffers::new(files::CHUNK_BYTES, BUFFERS_KEPT);
        Self { app, settings, clients, aggregates: Aggregates::default(), buffers }
    }

    /// Who asks, as far as limits go.
    pub(super) fn client(&self, visitor: &Visitor, headers: &HeaderMap) -> IpAddr {
        limit::client(visitor.0, headers, &self.settings.proxies)
    }

    /// A piece that is here and whole. Mending one can take as long as reading it.
    pub(super) async fn local(&self, piece: Commitment) -> Result<Option<LocalPiece>, ApiError> {
        let pieces = self.app.pieces.clone();
        let opened = tokio::task::spawn_blocking(move || pieces.get(piece)).await;
        Ok(opened.map_err(|error| ApiError::Internal(error.into()))??)
    }

    /// The end of a refusal.
    pub(super) const fn to_whom(&self) -> &'static str {
        if self.settings.public_pieces { "" } else { " under this secret" }
    }
}

/// Where a request's connection comes from.
pub struct Visitor(IpAddr);

impl<S: Send + Sync> FromRequestParts<S> for Visitor {
    type Rejection = Infallible;

    async fn from_request_parts(parts: &mut Parts, _: &S) -> Result<Self, Infallible> {
        let peer = parts.extensions.get::<ConnectInfo<SocketAddr>>();
        Ok(Self(peer.map_or(IpAddr::V4(Ipv4Addr::UNSPECIFIED), |ConnectInfo(peer)| peer.ip())))
    }
}

/// The data routes. `get` answers HEAD as well.
pub fn router<W: World>(app: Arc<App<W>>, settings: GatewaySettings) -> Router {
    let network = api::network_header(&app.network);
    Router::new()
        .route("/piece", get(named::<W>))
        .route("/piece/{cid}", get(piece::piece::<W>))
        .route("/ipfs/{cid}", get(ipfs::root::<W>))
        .route("/ipfs/{cid}/", get(ipfs::root::<W>))
        .route("/ipfs/{cid}/{*path}", get(ipfs::path::<W>))
        .route("/routing/v1/providers/{cid}", get(routing::providers::<W>))
        .fallback(no_route)
        .method_not_allowed_fallback(error::no_method)
        .layer(network)
        .with_state(Arc::new(Gateway::new(app, settings)))
}

/// Nothing is there, but the answer says whose nothing.
async fn named<W: World>(
    State(gateway): State<Arc<Gateway<W>>>,
    uri: Uri,
) -> ([(&'static str, String); 1], ApiError) {
    ([(LISTENER, gateway.app.listener.clone())], no_route(uri).await)
}

async fn no_route(uri: Uri) -> ApiError {
    ApiError::NotFound(format!(
        "there is no route {}; here are /ipfs/CID for everyone and /piece/CID for providers, the API has its own address",
        uri.path()
    ))
}
