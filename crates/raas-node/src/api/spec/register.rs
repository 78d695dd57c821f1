//! `register_job` in all its spellings: JSON flat or under `job`, form, multipart.

use super::fields::{self, Fields, Registration};
use crate::api::App;
use crate::api::caller::Caller;
use crate::api::error::ApiError;
use crate::api::jobs::PolicyShape;
use crate::failpoint;
use crate::store::{self, JobSource, NewJob, Registered, TxSubmit};
use crate::world::World;
use axum::Json;
use axum::body::Bytes;
use axum::extract::{FromRequest, Multipart, Request, State};
use axum::http::{HeaderMap, StatusCode, header};
use raas_core::cid::DataCid;
use raas_core::fleet::Rules;
use raas_core::ids::OwnerId;
use raas_core::lead::Leads;
use raas_core::policy::Policy;
use raas_core::ports::Clock;
use raas_core::units::Epochs;
use schemars::JsonSchema;
use serde::Serialize;
use serde_json::Value;
use std::collections::BTreeSet;
use std::sync::Arc;

/// The contract takes no larger target; a job that wants more copies is registered there with this many.
const CONTRACT_TARGET_MAX: u32 = 32;

/// What a registration did.
#[derive(Debug, Serialize, JsonSchema)]
#[schemars(rename = "Registered")]
pub struct Answer {
    /// Whether it is new, for people.
    message: &'static str,
    network: String,
    /// The job's number.
    job: u64,
    /// The holding it counts for.
    holding: u64,
    cid: String,
    /// As it is stored.
    #[schemars(with = "PolicyShape")]
    policy: Policy,
    /// What of it cannot go as it says, and what is done instead.
    warnings: Vec<String>,
}

/// The specification's routes: registered on the contract too, where there is one.
pub async fn register<W: World>(
    State(app): State<Arc<App<W>>>,
    caller: Caller,
    request: Request,
) -> Result<(StatusCode, Json<Answer>), ApiError> {
    register_as(&app, &caller.tenant, request, true).await
}

/// `/v1`: on the contract only when asked.
pub async fn register_v1<W: World>(
    State(app): State<Arc<App<W>>>,
    caller: Caller,
    request: Request,
) -> Result<(StatusCode, Json<Answer>), ApiError> {
    register_as(&app, &caller.tenant, request, false).await
}

async fn register_as<W: World>(
    app: &App<W>,
    owner: &OwnerId,
    request: Request,
    on_chain_by_default: bool,
) -> Result<(StatusCode, Json<Answer>), ApiError> {
    let key =
        request.headers().get("idempotency-key").and_then(|value| value.to_str().ok()).map(str::to_owned);
    let fields = read(request).await?;
    let now = app.engine.world().clock().now().await;
    let registration = fields::parse(&fields, &app.engine.settings().default_policy, now)?;
    let operators = operators(app).await?;
    let apart = kept_apart(app, owner, &registration.cid).await?;
    let registered = store_job(app, owner, &registration, JobSource::Api, on_chain_by_default, key).await?;
    Ok((StatusCode::CREATED, Json(answer(app, &registration, registered, operators, apart))))
}

/// Stores a validated registration and wakes the loop.
pub async fn store_job<W: World>(
    app: &App<W>,
    owner: &OwnerId,
    registration: &Registration,
    source: JobSource,
    on_chain_by_default: bool,
    idempotency_key: Option<String>,
) -> Result<Registered, ApiError> {
    let now = app.engine.world().clock().now().await;
    let has_contract = app.engine.settings().registers_at().is_some();
    if registration.on_chain == Some(true) && !has_contract {
        return Err(ApiError::field(
            "onChain",
            "this node follows no contract that could show it; leave it out or say false",
        ));
    }
    let on_chain = has_contract && registration.on_chain.unwrap_or(on_chain_by_default);
    let policy = &registration.policy;
    let job = NewJob {
        owner: owner.clone(),
        cid: registration.cid.clone(),
        duties: registration.duties,
        policy: policy.clone(),
        source,
        on_chain: on_chain.then(|| TxSubmit {
            cid: registration.cid.cid().to_bytes(),
            target: policy.replicas.target.min(CONTRACT_TARGET_MAX),
            repair: policy.repair_after.get(),
            renew: policy.renew_before.get(),
        }),
        position: None,
        at: now.epoch,
        at_unix: now.unix_seconds,
        idempotency_key,
    };
    let stored = failpoint::around("register.store", app.engine.store().register_job(&job)).await;
    let registered = match stored {
        Ok(registered) => registered,
        Err(store::Error::KeyReused { .. }) => {
            let why = "this Idempotency-Key was used for another registration; take a new one";
            return Err(ApiError::Conflict(why.to_owned()));
        }
        Err(error) => return Err(error.into()),
    };
    app.job_came();
    Ok(registered)
}

/// A piece that is kept already under its payload's CID gets copies of its own, which few mean.
async fn kept_apart<W: World>(
    app: &App<W>,
    owner: &OwnerId,
    cid: &DataCid,
) -> Result<Option<String>, ApiError> {
    let Some(piece) = cid.commitment() else { return Ok(None) };
    let holdings = app.engine.store().holdings_of_piece(piece).await?;
    let other = holdings.iter().find(|other| other.open && other.cid != *cid && other.owner == *owner);
    Ok(other.map(|other| {
        format!(
            "the piece is kept already as {}; a job for its piece CID is kept apart from that, with copies of its own",
            other.cid
        )
    }))
}

/// How many operators run the providers that this node uses, as far as they were read; 0 before that.
async fn operators<W: World>(app: &App<W>) -> Result<usize, ApiError> {
    let used = &app.engine.settings().providers;
    let known = app.engine.store().providers().await?;
    let of_used = known.iter().filter(|known| used.contains(&known.on_chain.provider));
    Ok(of_used.map(|known| known.on_chain.operator).collect::<BTreeSet<_>>().len())
}

fn answer<W: World>(
    app: &App<W>,
    registration: &Registration,
    registered: Registered,
    operators: usize,
    apart: Option<String>,
) -> Answer {
    let (job, holding, message) = match registered {
        Registered::Created { job, holding } => (job, holding, "Job registered successfully."),
        Registered::AlreadyExists { job, holding } => (job, holding, "Job was registered before."),
    };
    let rules = &app.engine.settings().rules;
    Answer {
        message,
        network: app.network.clone(),
        job: job.0,
        holding: holding.0,
        cid: registration.cid.to_string(),
        policy: registration.policy.clone(),
        warnings: apart.into_iter().chain(warnings(registration, rules, operators)).collect(),
    }
}

/// What of a registration cannot go as it says, and what will be done instead.
fn warnings(registration: &Registration, rules: &Rules, operators: usize) -> Vec<String> {
    /// A sector that is faulty for so long is terminated by the network.
    const FAULT_MAX: Epochs = Epochs::days(42);
    let Registration { policy, duties, .. } = registration;
    let mut warnings = Vec::new();
    let tries = rules.renewal_tries;
    let lead = Leads::UNKNOWN.plus(policy.start_delay.plus(rules.finality_lag).times(tries));
    if duties.renew && policy.renew_before < lead {
        warnings.push(format!(
            "renewBefore of {} epochs is shorter than the {lead} epochs that a renewal with {tries} tries can take; \
             renewal starts {lead} epochs before the end",
            policy.renew_before
        ));
    }
    if duties.repair && policy.repair_after > FAULT_MAX {
        warnings.push(format!(
            "repairAfter of {} epochs is longer than the {FAULT_MAX} epochs after which the network terminates a \
             faulty sector; the copy is replaced then",
            policy.repair_after
        ));
    }
    let target = policy.replicas.target;
    if duties.replicate && operators > 0 && target as usize > operators {
        warnings.push(format!(
            "{target} copies on distinct operators are asked for, and this node knows {operators} operators; the rest \
             waits for more providers"
        ));
    }
    warnings
}

/// Largest registration in bytes; a few hundred are normal.
const BODY_MAX_BYTES: usize = 64 * 1024;

/// The fields of a request in any of the accepted encodings.
pub async fn read(request: Request) -> Result<Fields, ApiError> {
    let kind = content_type(request.headers());
    if kind == "multipart/form-data" {
        let mut parts = Multipart::from_request(request, &())
            .await
            .map_err(|error| ApiError::Bad(format!("unreadable multipart body: {}", error.body_text())))?;
        let mut fields = Fields::new();
        while let Some(part) = parts.next_field().await.map_err(|error| ApiError::Bad(error.body_text()))? {
            let name = part.name().unwrap_or_default().to_owned();
            let text = part.text().await.map_err(|error| ApiError::field(&name, error.body_text()))?;
            insert(&mut fields, name, text)?;
        }
        return Ok(fields);
    }
    let body = axum::body::to_bytes(request.into_body(), BODY_MAX_BYTES)
        .await
        .map_err(|_| ApiError::TooLarge(format!("a registration has at most {BODY_MAX_BYTES} bytes")))?;
    match kind.as_str() {
        "application/x-www-form-urlencoded" => form(&body),
        "" | "application/json" => json_fields(&body),
        other => Err(ApiError::Bad(format!(
            "content type {other:?} is none of application/json, application/x-www-form-urlencoded, multipart/form-data"
        ))),
    }
}

fn content_type(headers: &HeaderMap) -> String {
    let value = headers.get(header::CONTENT_TYPE).and_then(|value| value.to_str().ok()).unwrap_or_default();
    value.split(';').next().unwrap_or_default().trim().to_ascii_lowercase()
}

fn form(body: &Bytes) -> Result<Fields, ApiError> {
    let mut fields = Fields::new();
    for (name, value) in url::form_urlencoded::parse(body) {
        insert(&mut fields, name.into_owned(), value.into_owned())?;
    }
    Ok(fields)
}

fn json_fields(body: &Bytes) -> Result<Fields, ApiError> {
    let value: Value = serde_json::from_slice(body)
        .map_err(|error| ApiError::Bad(format!("the body is no JSON: {error}")))?;
    let mut object = match value {
        Value::Object(object) => object,
        _ => return Err(ApiError::Bad("the body must be a JSON object such as {\"cid\": \"…\"}".to_owned())),
    };
    if let Some(job) = object.remove("job") {
        if let Some(beside) = object.keys().next() {
            return Err(ApiError::field(
                beside.clone(),
                "stands beside \"job\"; put all fields in one place",
            ));
        }
        let Value::Object(inner) = job else {
            return Err(ApiError::field("job", "must be an object with the fields of the job"));
        };
        object = inner;
    }
    let mut fields = Fields::new();
    for (name, value) in object {
        let text = match value {
            Value::Null => continue,
            Value::String(text) => text,
            Value::Number(number) => number.to_string(),
            Value::Bool(flag) => flag.to_string(),
            Value::Array(_) | Value::Object(_) => {
                return Err(ApiError::field(name, "must be a text, a number, true or false"));
            }
        };
        insert(&mut fields, name, text)?;
    }
    Ok(fields)
}

fn insert(fields: &mut Fields, name: String, text: String) -> Result<(), ApiError> {
    if fields.contains_key(&name) {
        return Err(ApiError::field(name, "is there twice"));
    }
    fields.insert(name, text);
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn body(text: &'static str) -> Bytes {
        Bytes::from_static(text.as_bytes())
    }

    #[test]
    fn json_is_read_flat_and_under_job() {
        let flat = json_fields(&body(r#"{"cid":"x","replicationTarget":3,"endDate":null}"#)).expect("fields");
        let under = json_fields(&body(r#"{"job":{"cid":"x","replicationTarget":"3"}}"#)).expect("fields");
        assert_eq!(flat, under);
        assert_eq!(form(&body("cid=x&replicationTarget=3")).expect("fields"), flat);
    }

    #[test]
    fn what_cannot_be_read_is_refused() {
        for text in ["", "[]", "{\"cid\":", r#"{"job":3}"#, r#"{"job":{},"cid":"x"}"#, r#"{"cid":["x"]}"#] {
            assert!(json_fields(&body(text)).is_err(), "{text}");
        }
        assert!(form(&body("cid=x&cid=y")).is_err());
    }
}
