//! `GET /api/deal_status?cid=`: the starter kit's fields, with what is true in place of its constants.

use crate::api::App;
use crate::api::error::ApiError;
use crate::api::extract::Parameters;
use crate::api::jobs::deals_of;
use crate::store::JobState;
use crate::world::World;
use axum::Json;
use axum::extract::State;
use raas_core::cid::DataCid;
use raas_core::ids::OwnerId;
use raas_core::policy::{Duties, Policy};
use raas_core::units::Epochs;
use serde_json::{Value, json};
use std::sync::Arc;

/// Deals and policy of a CID. A CID that nobody registered has no deals and no policy; that is no error.
pub async fn deal_status<W: World>(
    State(app): State<Arc<App<W>>>,
    Parameters(query): Parameters,
) -> Result<Json<Value>, ApiError> {
    let Some(text) = query.get("cid") else {
        return Err(ApiError::field("cid", "is missing; ask for /api/deal_status?cid=CID"));
    };
    let cid: DataCid = text.parse().map_err(|error| ApiError::field("cid", format!("{error}")))?;
    let store = app.engine.store();
    let jobs = store.jobs(Some(&OwnerId::local()), Some(&cid), None, 1_000).await?;
    let open: Vec<_> = jobs.iter().filter(|job| job.state == JobState::Open).collect();
    let duties = open.iter().fold(Duties::default(), |union, job| union.union(job.duties));
    let policy =
        open.iter().map(|job| job.policy.clone()).reduce(|strictest, policy| strictest.strictest(&policy));
    let mut deals = Vec::new();
    for holding in store.holdings_of_cid(&cid).await? {
        deals.extend(deals_of(&app, holding).await?);
    }
    let active: Vec<Value> = deals
        .iter()
        // A copy without a deal stands in `dealInfos` alone, with its sector.
        .filter(|deal| deal["state"] == "active" && deal["dealId"].is_u64())
        .map(|deal| json!({ "dealId": deal["dealId"], "minerId": deal["minerId"] }))
        .collect();
    Ok(Json(json!({
        "network": app.network,
        "cid": cid,
        "dealInfos": deals,
        "jobType": job_type(duties),
        "replicationTarget": policy.as_ref().map(|policy| policy.replicas.target.to_string()),
        "epochs": policy.as_ref().map(|policy| epochs(duties, policy).to_string()),
        "renewBefore": policy.as_ref().map(|policy| policy.renew_before.to_string()),
        "currentActiveDeals": active,
    })))
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
