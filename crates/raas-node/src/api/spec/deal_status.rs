//! `GET /api/deal_status?cid=`: the starter kit's fields, with what is true in place of its constants.

use crate::api::App;
use crate::api::caller::Caller;
use crate::api::error::ApiError;
use crate::api::extract::Parameters;
use crate::api::jobs::{ShownOrder, deals_of};
use crate::store::JobState;
use crate::world::World;
use axum::Json;
use axum::extract::State;
use raas_core::cid::DataCid;
use raas_core::policy::{Duties, Policy};
use raas_core::units::Epochs;
use schemars::JsonSchema;
use serde::Serialize;
use std::sync::Arc;

/// What is asked for.
#[derive(JsonSchema)]
#[expect(dead_code, reason = "the shape of the query")]
pub struct Asked {
    /// The CID.
    cid: String,
}

/// The starter kit's fields.
#[derive(Debug, Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct DealStatus {
    network: String,
    cid: String,
    deal_infos: Vec<ShownOrder>,
    /// `all`, `replication`, `renew` or `repair`; `null` where nothing is asked for.
    job_type: Option<&'static str>,
    replication_target: Option<String>,
    epochs: Option<String>,
    renew_before: Option<String>,
    current_active_deals: Vec<ActiveDeal>,
}

/// A deal that is active.
#[derive(Debug, Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct ActiveDeal {
    deal_id: u64,
    miner_id: u64,
}

/// Deals and policy of a CID. A CID that nobody registered has no deals and no policy; that is no error.
pub async fn deal_status<W: World>(
    State(app): State<Arc<App<W>>>,
    caller: Caller,
    Parameters(query): Parameters,
) -> Result<Json<DealStatus>, ApiError> {
    let Some(text) = query.get("cid") else {
        return Err(ApiError::field("cid", "is missing; ask for /api/deal_status?cid=CID"));
    };
    let cid: DataCid = text.parse().map_err(|error| ApiError::field("cid", format!("{error}")))?;
    let store = app.engine.store();
    let jobs = store.jobs(Some(&caller.tenant), Some(&cid), None, 1_000).await?;
    let open: Vec<_> = jobs.iter().filter(|job| job.state == JobState::Open).collect();
    let duties = open.iter().fold(Duties::default(), |union, job| union.union(job.duties));
    let policy =
        open.iter().map(|job| job.policy.clone()).reduce(|strictest, policy| strictest.strictest(&policy));
    let mut deals = Vec::new();
    for holding in store.holdings_of_cid(&cid).await? {
        let owner = store.owner_of(holding).await?;
        if owner.is_some_and(|owner| caller.sees(&owner)) {
            deals.extend(deals_of(&app, holding).await?);
        }
    }
    let active = deals
        .iter()
        .filter(|deal| deal.state == "active")
        // A copy without a deal stands in `dealInfos` alone, with its sector.
        .filter_map(|deal| Some(ActiveDeal { deal_id: deal.deal_id?, miner_id: deal.miner_id }))
        .collect();
    Ok(Json(DealStatus {
        network: app.network.clone(),
        cid: cid.to_string(),
        deal_infos: deals,
        job_type: job_type(duties),
        replication_target: policy.as_ref().map(|policy| policy.replicas.target.to_string()),
        epochs: policy.as_ref().map(|policy| epochs(duties, policy).to_string()),
        renew_before: policy.as_ref().map(|policy| policy.renew_before.to_string()),
        current_active_deals: active,
    }))
}

/// What `epochs` means at a registration: for renewals the threshold of renewals.
const fn epochs(duties: Duties, policy: &Policy) -> Epochs {
    if duties.renew && !duties.repair { policy.renew_before } else { policy.repair_after }
}

/// The specification's word for a set of duties; several single jobs that add up to all are `all`.
fn job_type(duties: Duties) -> Option<&'static str> {
    match (duties.replicate, duties.renew, duties.repair) {
        (false, false, false) => None,
        (true, false, false) => Some("replication"),
        (false, true, false) => Some("renew"),
        (false, false, true) => Some("repair"),
        _ => Some("all"),
    }
}
