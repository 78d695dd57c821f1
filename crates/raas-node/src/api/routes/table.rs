//! The table.

use super::page;
use super::spec::{Method, Route, Scope};
use crate::api::metrics;
use crate::api::problem::Kind;
use crate::api::spec::fields::WantedJob;
use crate::api::spec::{deal_status, register, upload};
use crate::api::v1::{
    aggregates, chain, explain, incidents, jobs, keys, node, pay, pins, proofs, store, wallet,
};
use crate::world::World;
use axum::extract::DefaultBodyLimit;
use serde_json::Value;

/// A list of as many piece CIDs as the index of a 64 GiB deal has room for.
const AGGREGATE_JSON_MAX: usize = 40 << 20;

/// All routes of the admin listener.
#[must_use]
pub fn table<W: World>() -> Vec<Route<W>> {
    let mut routes = specified();
    routes.extend(of_jobs());
    routes.extend(of_money());
    routes.extend(of_bytes());
    routes.extend(of_the_node());
    routes
}

/// The routes of the RaaS specification and its starter kit.
fn specified<W: World>() -> Vec<Route<W>> {
    let register = |path, name| {
        Route::new(Method::Post, path, name, Scope::Write, register::register::<W>)
            .says("Registers a job, on the contract too, where there is one.")
            .header("Idempotency-Key", "The same key with the same job gives the first job again.", false)
            .body::<WantedJob>()
            .body_as::<WantedJob>("application/x-www-form-urlencoded")
            .body_as::<WantedJob>("multipart/form-data")
            .answers::<register::Answer>(201)
            .fails(&[Kind::Conflict])
    };
    vec![
        register("/register_job", "registerJob"),
        register("/register_jobs", "registerJobs"),
        register("/api/register_job", "apiRegisterJob"),
        register("/api/register_jobs", "apiRegisterJobs"),
        Route::new(Method::Post, "/api/uploadFile", "uploadFile", Scope::Write, upload::upload::<W>)
            .says("Stores a file or CAR of any size, and registers a job for it.")
            .query::<upload::Asked>()
            .body_as::<upload::UploadForm>("multipart/form-data")
            .body_as::<Value>("application/octet-stream")
            .body_as::<Value>("application/vnd.ipld.car")
            .answers::<upload::Stored>(201)
            .fails(&[Kind::NoRoom, Kind::Conflict])
            .with(|handler| handler.layer(DefaultBodyLimit::disable())),
        Route::new(Method::Get, "/api/deal_status", "dealStatus", Scope::Read, deal_status::deal_status::<W>)
            .says("Deals and policy of a CID.")
            .query::<deal_status::Asked>()
            .answers::<deal_status::DealStatus>(200),
    ]
}

fn of_jobs<W: World>() -> Vec<Route<W>> {
    vec![
        Route::new(Method::Get, "/v1/jobs", "listJobs", Scope::Read, jobs::list::<W>)
            .says("Jobs in order of their numbers, a page at a time.")
            .query::<jobs::Listing>()
            .answers::<jobs::Page>(200),
        Route::new(Method::Post, "/v1/jobs", "createJob", Scope::Write, register::register_v1::<W>)
            .says("Registers a job; on the contract only when asked.")
            .header("Idempotency-Key", "The same key with the same job gives the first job again.", false)
            .body::<WantedJob>()
            .body_as::<WantedJob>("application/x-www-form-urlencoded")
            .body_as::<WantedJob>("multipart/form-data")
            .answers::<register::Answer>(201)
            .fails(&[Kind::Conflict]),
        Route::new(Method::Get, "/v1/jobs/{id}", "getJob", Scope::Read, jobs::show::<W>)
            .says("One job with the orders and the standing of its data.")
            .answers::<jobs::One>(200)
            .fails(&[Kind::NotFound]),
        Route::new(Method::Post, "/v1/jobs/{id}/stop", "stopJob", Scope::Write, jobs::stop::<W>)
            .says("No more spending for the job; what lives is listed with its end.")
            .answers::<jobs::Stopped>(200)
            .fails(&[Kind::NotFound]),
        Route::new(Method::Get, "/v1/holdings/{cid}/plan", "getPlan", Scope::Read, explain::plan::<W>)
            .says("What the node does for a CID, and what it waits for.")
            .answers::<explain::Planned>(200)
            .fails(&[Kind::NotFound]),
        Route::new(Method::Get, "/v1/holdings/{cid}/why", "getWhy", Scope::Read, explain::why::<W>)
            .says("What is so of a CID, why, and what it rests on.")
            .answers::<explain::Explained>(200)
            .fails(&[Kind::NotFound]),
        Route::new(Method::Post, "/v1/steps/retry", "retrySteps", Scope::Admin, node::retry::<W>)
            .says("Tries everything that is put off or set aside again now.")
            .query::<node::Retry>()
            .answers::<node::Retried>(200)
            .fails(&[Kind::NotFound]),
    ]
}

/// Those that move money want an admin's secret even where no keys are.
fn of_money<W: World>() -> Vec<Route<W>> {
    vec![
        Route::new(Method::Get, "/v1/wallet", "getWallet", Scope::Admin, wallet::show::<W>)
            .says("What the wallet has, owes and may spend, and how long it lasts.")
            .answers::<wallet::Shown>(200),
        Route::new(Method::Get, "/v1/wallet/datacap", "getDataCap", Scope::Admin, wallet::datacap::<W>)
            .says("DataCap, and the allocations that wait for a provider.")
            .answers::<wallet::DataCap>(200),
        Route::new(
            Method::Get,
            "/v1/wallet/transactions",
            "listTransactions",
            Scope::Admin,
            wallet::transactions::<W>,
        )
        .says("The newest transactions, newest first, or one of them.")
        .query::<wallet::Listing>()
        .answers::<wallet::Transactions>(200)
        .fails(&[Kind::NotFound]),
        Route::new(Method::Post, "/v1/wallet/transactions", "pay", Scope::Admin, pay::pay::<W>)
            .says("Quotes a payment and, unless it is a dry run, makes it.")
            .header(
                "Idempotency-Key",
                "Names the payment, so that it happens once. Not needed for a dry run.",
                false,
            )
            .body::<pay::Payment>()
            .answers::<pay::Paid>(200)
            .fails(&[Kind::Conflict]),
        Route::new(Method::Post, "/v1/wallet/release", "releaseAccount", Scope::Admin, pay::release::<W>)
            .says("Lets a halted account go on, or a restored store act before its time.")
            .query::<pay::Release>()
            .answers::<pay::Released>(200),
        Route::new(Method::Get, "/v1/chain/rewind", "lookAtRewind", Scope::Admin, chain::show::<W>)
            .says("What would change if history was read again now.")
            .query::<chain::Wanted>()
            .answers::<chain::Shown>(200)
            .fails(&[Kind::Conflict]),
        Route::new(Method::Post, "/v1/chain/rewind", "rewind", Scope::Admin, chain::rewind::<W>)
            .says("Reads history again that was final and is another one now.")
            .body::<chain::Confirmed>()
            .answers::<chain::Shown>(200)
            .fails(&[Kind::Conflict]),
    ]
}

fn of_bytes<W: World>() -> Vec<Route<W>> {
    vec![
        Route::new(Method::Get, "/v1/pins", "listPins", Scope::Read, pins::list::<W>)
            .says("What is kept on this disk whatever the policies of jobs say, a page at a time.")
            .query::<pins::Page>()
            .answers::<pins::Pins>(200),
        Route::new(Method::Post, "/v1/pins", "addPin", Scope::Write, pins::add::<W>)
            .says("Keeps a CID on this disk; its bytes are looked for where they are not here.")
            .body::<pins::Wanted>()
            .answers::<pins::Pinned>(200),
        Route::new(Method::Delete, "/v1/pins/{cid}", "removePin", Scope::Write, pins::remove::<W>)
            .says("Keeps a CID no longer. What nothing else keeps is deleted after a while.")
            .answers::<pins::Unpinned>(200)
            .fails(&[Kind::NotFound]),
        Route::new(Method::Get, "/v1/store", "getStore", Scope::Admin, store::show::<W>)
            .says("All local bytes in a few numbers, and the room beside them.")
            .answers::<store::Local>(200),
        Route::new(Method::Get, "/v1/store/pieces", "listPieces", Scope::Admin, store::pieces::<W>)
            .says("Pieces with what keeps each, a page at a time.")
            .query::<store::Page>()
            .answers::<store::Pieces>(200),
        Route::new(Method::Post, "/v1/store/gc", "collectPieces", Scope::Admin, store::collect::<W>)
            .says("Deletes the bytes of every piece that nothing keeps.")
            .query::<store::Collect>()
            .answers::<store::Collected>(200),
        Route::new(Method::Post, "/v1/store/verify/{cid}", "verifyPieces", Scope::Admin, store::verify::<W>)
            .says("Hashes the pieces of a CID again.")
            .answers::<store::Verified>(200)
            .fails(&[Kind::NotFound]),
        Route::new(Method::Post, "/v1/aggregates", "putAggregate", Scope::Admin, aggregates::put::<W>)
            .says("Puts pieces of this node together to one; nothing is bought by it.")
            .body::<aggregates::Wanted>()
            .answers::<aggregates::Made>(201)
            .fails(&[Kind::Conflict])
            .with(|handler| handler.layer(DefaultBodyLimit::max(AGGREGATE_JSON_MAX))),
        Route::new(Method::Get, "/v1/aggregates/{cid}", "getAggregate", Scope::Admin, aggregates::show::<W>)
            .says("What lies in an aggregate.")
            .answers::<aggregates::Shown>(200)
            .fails(&[Kind::NotFound]),
        Route::new(Method::Get, "/v1/proofs/{cid}", "getProofs", Scope::Admin, proofs::show::<W>)
            .says("That pieces of a CID are in aggregates, with where they lie; one of them as CBOR or ABI.")
            .query::<proofs::Wanted>()
            .answers::<proofs::Proofs>(200)
            .answers_as::<String>(200, "application/cbor")
            .answers_as::<String>(200, "application/octet-stream")
            .fails(&[Kind::NotFound]),
    ]
}

fn of_the_node<W: World>() -> Vec<Route<W>> {
    vec![
        Route::new(Method::Get, "/v1/node", "getNode", Scope::Read, node::node::<W>)
            .says("What this node is, and what it last saw.")
            .answers::<node::Shown>(200),
        Route::new(Method::Post, "/v1/node/quiesce", "quiesce", Scope::Admin, node::quiesce::<W>)
            .says("Runs the loop until nothing changes, then tells when something is due.")
            .query::<node::Quiesce>()
            .answers::<node::AtRest>(200),
        Route::new(Method::Get, "/v1/keys", "listKeys", Scope::Admin, keys::list::<W>)
            .says("Every key that was ever made, without its secret.")
            .answers::<keys::Keys>(200),
        Route::new(Method::Post, "/v1/keys", "makeKey", Scope::Admin, keys::make::<W>)
            .says("Makes a key; its secret is told this once. From the first on every caller needs one.")
            .body::<keys::Wanted>()
            .answers::<keys::Made>(201),
        Route::new(Method::Delete, "/v1/keys/{id}", "revokeKey", Scope::Admin, keys::revoke::<W>)
            .says("Ends a key at once.")
            .answers::<keys::Revoked>(200)
            .fails(&[Kind::NotFound]),
        Route::new(Method::Get, "/v1/incidents", "listIncidents", Scope::Admin, incidents::list::<W>)
            .says("Providers' troubles, open ones first.")
            .answers::<incidents::All>(200),
        Route::new(Method::Get, "/v1/incidents/{id}", "getIncident", Scope::Admin, incidents::show::<W>)
            .says("One of them with the first CIDs that it concerns.")
            .answers::<incidents::One>(200)
            .fails(&[Kind::NotFound]),
        Route::new(Method::Post, "/v1/breaker/release", "releaseBreaker", Scope::Admin, node::release::<W>)
            .says("Lets suspects be repaired again, slowly at first.")
            .query::<node::Release>()
            .answers::<node::Released>(200),
        Route::new(Method::Get, "/livez", "livez", Scope::Open, node::livez)
            .says("The process answers.")
            .answers_as::<String>(200, "text/plain"),
        Route::new(Method::Get, "/readyz", "readyz", Scope::Open, node::readyz::<W>)
            .says("Whether the loop runs and sees the chain; `?verbose` tells each check.")
            .query::<node::Verbose>()
            .answers::<node::Readiness>(200)
            .answers::<node::Readiness>(503),
        Route::new(Method::Get, "/metrics", "getMetrics", Scope::Admin, metrics::metrics::<W>)
            .says("The node in numbers, for Prometheus.")
            .answers_as::<String>(200, "text/plain"),
        Route::new(Method::Get, "/v1/openapi.json", "getOpenApi", Scope::Open, page::openapi_json)
            .says("This document.")
            .answers::<Value>(200),
        Route::new(Method::Get, "/docs", "getDocs", Scope::Open, page::docs)
            .says("This document as a page.")
            .answers_as::<String>(200, "text/html"),
        Route::new(Method::Get, "/docs/errors", "getErrors", Scope::Open, page::catalogue)
            .says("Every error with its meaning and next step; types of problems lead here.")
            .answers_as::<String>(200, "text/html"),
    ]
}
