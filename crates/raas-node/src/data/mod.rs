//! The data listener: `/piece` for providers with a deal's secret, `/ipfs` for everyone.

pub mod asked;
pub mod ipfs;
pub mod piece;
pub mod range;

use crate::api::error::{self, ApiError};
use crate::api::{self, App};
use crate::world::World;
use axum::Router;
use axum::http::Uri;
use axum::routing::get;
use std::sync::Arc;

/// The data routes. `get` answers HEAD as well.
pub fn router<W: World>(app: Arc<App<W>>) -> Router {
    Router::new()
        .route("/piece/{cid}", get(piece::piece::<W>))
        .route("/ipfs/{cid}", get(ipfs::root::<W>))
        .route("/ipfs/{cid}/", get(ipfs::root::<W>))
        .route("/ipfs/{cid}/{*path}", get(ipfs::path::<W>))
        .fallback(no_route)
        .method_not_allowed_fallback(error::no_method)
        .layer(api::network_header(&app.network))
        .with_state(app)
}

async fn no_route(uri: Uri) -> ApiError {
    ApiError::NotFound(format!(
        "there is no route {}; here are /ipfs/CID for everyone and /piece/CID for providers, the API has its own address",
        uri.path()
    ))
}
