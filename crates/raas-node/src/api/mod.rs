//! The admin listener: the specification's and the starter kit's routes, the node's own `/v1`, health.
//!
//! Handlers extract, make one call and map; what they need is in [`App`].

pub mod caller;
pub mod error;
pub mod extract;
mod guard;
pub mod jobs;
pub mod metrics;
pub mod problem;
pub mod routes;
pub mod spec;
pub mod v1;

use crate::blocks::PieceStore;
use crate::engine::Engine;
use crate::world::World;
use axum::http::{HeaderValue, header};
use axum::{Extension, Router};
use caller::Gate;
use raas_core::endpoint::{Alarm, alarms};
use raas_core::ports::Chain;
use routes::{Index, Route};
use std::sync::Arc;
use tokio::sync::{Mutex, Notify};
use tower_http::set_header::SetResponseHeaderLayer;

/// What every handler may use.
pub struct App<W: World> {
    /// The loop.
    pub engine: Engine<W>,
    /// The node's own copies.
    pub pieces: PieceStore,
    /// Held while a piece is fetched back for a reader.
    pub fetching: Mutex<()>,
    /// Wakes the loop: something was registered, stored or released.
    pub wake: Notify,
    /// The network's name, in every answer.
    pub network: String,
    /// How the data listener names itself since this start.
    pub listener: String,
    /// Largest upload in bytes.
    pub upload_max_bytes: u64,
    /// Whether the node runs on a devnet.
    pub devnet: bool,
    /// What a caller must show to move money: the content of a file that only the node's user can read.
    pub wallet_token: String,
}

impl<W: World> App<W> {
    /// Wakes the loop for a job that has come in, also where it waits for the chain.
    pub fn job_came(&self) {
        self.wake.notify_one();
        self.engine.registered.notify_one();
    }

    /// What an admin should know of the endpoints. That one voice is believed is no alarm where nothing has value.
    pub fn alarms(&self) -> Vec<Alarm> {
        let chain = self.engine.world().chain();
        let mut alarms = alarms(&chain.endpoints(), chain.wanted());
        alarms.retain(|alarm| !(self.devnet && matches!(alarm, Alarm::OneVoice { .. })));
        alarms
    }
}

/// The admin routes.
pub fn router<W: World>(app: Arc<App<W>>) -> Router {
    let routes = routes::table::<W>();
    let index = Index::new(&routes);
    let network = network_header(&app.network);
    let gate = Gate::new(Arc::clone(&app), index.clone());
    let routed = routes
        .into_iter()
        .fold(Router::new(), |router, Route { spec, handler }| router.route(spec.path, handler));
    routed
        .fallback(error::no_route)
        .method_not_allowed_fallback(error::no_method)
        .layer(network)
        .layer(SetResponseHeaderLayer::overriding(
            header::X_CONTENT_TYPE_OPTIONS,
            HeaderValue::from_static("nosniff"),
        ))
        .layer(axum::middleware::from_fn_with_state(gate, caller::admit))
        .layer(axum::middleware::from_fn_with_state(index.clone(), problem::shape))
        .layer(Extension(index))
        .with_state(app)
}

/// Names the network in every answer of a listener.
#[must_use]
pub fn network_header(network: &str) -> SetResponseHeaderLayer<HeaderValue> {
    let network = HeaderValue::from_str(network).unwrap_or(HeaderValue::from_static("unknown"));
    SetResponseHeaderLayer::overriding(header::HeaderName::from_static("raas-network"), network)
}
