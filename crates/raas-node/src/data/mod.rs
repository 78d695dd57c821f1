//! The data listener: `/piece` for providers with a deal's secret, `/ipfs` for everyone.

pub mod asked;
pub mod ipfs;
pub mod piece;
pub mod range;

use crate::api::{self, App, error};
use crate::world::World;
use axum::Router;
use axum::routing::get;
use std::sync::Arc;

/// The data routes. `get` answers HEAD as well.
pub fn router<W: World>(app: Arc<App<W>>) -> Router {
    Router::new()
        .route("/piece/{cid}", get(piece::piece::<W>))
        .route("/ipfs/{cid}", get(ipfs::root::<W>))
        .route("/ipfs/{cid}/{*path}", get(ipfs::path::<W>))
        .fallback(error::no_route)
        .method_not_allowed_fallback(error::no_method)
        .layer(api::network_header(&app.network))
        .with_state(app)
}
