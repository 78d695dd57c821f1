//! The admin listener: the specification's and the starter kit's routes, the node's own `/v1`, health.
//!
//! Handlers extract, make one call and map; what they need is in [`App`].

pub mod error;
pub mod extract;
mod guard;
pub mod jobs;
pub mod spec;
pub mod v1;

use crate::blocks::PieceStore;
use crate::engine::Engine;
use crate::world::World;
use axum::Router;
use axum::extract::DefaultBodyLimit;
use axum::http::{HeaderValue, header};
use axum::routing::{delete, get, post};
use raas_core::endpoint::{Alarm, alarms};
use raas_core::ports::Chain;
use std::sync::Arc;
use tokio::sync::{Mutex, Notify};
use tower_http::set_header::SetResponseHeaderLayer;

/// A list of as many piece CIDs as the index of a 64 GiB deal has room for.
const AGGREGATE_JSON_MAX: usize = 40 << 20;

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
    let register = post(spec::register::register::<W>);
    let network = network_header(&app.network);
    Router::new()
        .route("/register_job", register.clone())
        .route("/register_jobs", register.clone())
        .route("/api/register_job", register.clone())
        .route("/api/register_jobs", register)
        .route("/api/uploadFile", post(spec::upload::upload::<W>).layer(DefaultBodyLimit::disable()))
        .route("/api/deal_status", get(spec::deal_status::deal_status::<W>))
        .route("/v1/jobs", get(v1::jobs::list::<W>).post(spec::register::register_v1::<W>))
        .route("/v1/jobs/{id}", get(v1::jobs::show::<W>))
        .route("/v1/jobs/{id}/stop", post(v1::jobs::stop::<W>))
        .route("/v1/holdings/{cid}/plan", get(v1::explain::plan::<W>))
        .route("/v1/holdings/{cid}/why", get(v1::explain::why::<W>))
        .route("/v1/node", get(v1::node::node::<W>))
        .route("/v1/node/quiesce", post(v1::node::quiesce::<W>))
        .route("/v1/wallet", get(v1::wallet::show::<W>))
        .route("/v1/wallet/datacap", get(v1::wallet::datacap::<W>))
        .route("/v1/wallet/transactions", get(v1::wallet::transactions::<W>).post(v1::pay::pay::<W>))
        .route("/v1/wallet/release", post(v1::pay::release::<W>))
        .route("/v1/pins", get(v1::pins::list::<W>).post(v1::pins::add::<W>))
        .route("/v1/pins/{cid}", delete(v1::pins::remove::<W>))
        .route("/v1/store", get(v1::store::show::<W>))
        .route("/v1/store/pieces", get(v1::store::pieces::<W>))
        .route("/v1/store/gc", post(v1::store::collect::<W>))
        .route("/v1/store/verify/{cid}", post(v1::store::verify::<W>))
        .route("/v1/incidents", get(v1::incidents::list::<W>))
        .route("/v1/incidents/{id}", get(v1::incidents::show::<W>))
        .route("/v1/steps/retry", post(v1::node::retry::<W>))
        .route("/v1/chain/rewind", get(v1::chain::show::<W>).post(v1::chain::rewind::<W>))
        .route("/v1/breaker/release", post(v1::node::release::<W>))
        .route(
            "/v1/aggregates",
            post(v1::aggregates::put::<W>).layer(DefaultBodyLimit::max(AGGREGATE_JSON_MAX)),
        )
        .route("/v1/aggregates/{cid}", get(v1::aggregates::show::<W>))
        .route("/v1/proofs/{cid}", get(v1::proofs::show::<W>))
        .route("/livez", get(v1::node::livez))
        .route("/readyz", get(v1::node::readyz::<W>))
        .fallback(error::no_route)
        .method_not_allowed_fallback(error::no_method)
        .layer(network)
        .layer(SetResponseHeaderLayer::overriding(
            header::X_CONTENT_TYPE_OPTIONS,
            HeaderValue::from_static("nosniff"),
        ))
        .layer(axum::middleware::from_fn(guard::own_pages_only))
        .with_state(app)
}

/// Names the network in every answer of a listener.
#[must_use]
pub fn network_header(network: &str) -> SetResponseHeaderLayer<HeaderValue> {
    let network = HeaderValue::from_str(network).unwrap_or(HeaderValue::from_static("unknown"));
    SetResponseHeaderLayer::overriding(header::HeaderName::from_static("raas-network"), network)
}
