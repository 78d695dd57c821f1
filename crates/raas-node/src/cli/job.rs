//! `raas job register|list|show|retry|stop`.

use super::args::{Job, Register};
use super::client::Client;
use super::failure::Failure;
use super::output;
use super::words::{self, deal_rows, plain};
use raas_core::cid::DataCid;
use reqwest::Method;
use serde_json::{Map, Value, json};

/// Runs one of them.
pub async fn job(node: &Client, job: &Job, json: bool) -> Result<(), Failure> {
    match job {
        Job::Register(register) => self::register(node, register, json).await,
        Job::List { cid, limit } => list(node, cid.as_deref(), *limit, json).await,
        Job::Show { job } => show(node, job, json).await,
        Job::Retry { cid } => retry(node, cid.as_deref(), json).await,
        Job::Stop { id } => stop(node, *id, json).await,
    }
}

async fn register(node: &Client, args: &Register, json: bool) -> Result<(), Failure> {
    let fields = [
        ("cid", Some(&args.cid)),
        ("jobType", args.job_type.as_ref()),
        ("replicas", args.replicas.as_ref()),
        ("renewBefore", args.renew_before.as_ref()),
        ("repairAfter", args.repair_after.as_ref()),
        ("duration", args.duration.as_ref()),
        ("endDate", args.end_date.as_ref()),
        ("keepLocal", args.keep_local.as_ref()),
    ];
    let mut body: Map<String, Value> = fields
        .into_iter()
        .filter_map(|(name, value)| Some((name.to_owned(), Value::from(value?.as_str()))))
        .collect();
    if args.on_chain {
        body.insert("onChain".to_owned(), Value::from(true));
    }
    let answer = node.call(Method::POST, "/v1/jobs", Some(&Value::Object(body))).await?;
    if json {
        output::json(&answer);
        return Ok(());
    }
    output::table(&[
        ["job".to_owned(), plain(&answer["job"])],
        ["cid".to_owned(), plain(&answer["cid"])],
        ["policy".to_owned(), words::policy(&answer["policy"])],
        ["network".to_owned(), plain(&answer["network"])],
    ]);
    output::say(&plain(&answer["message"]));
    for warning in answer["warnings"].as_array().into_iter().flatten() {
        output::say(&format!("warning: {}", plain(warning)));
    }
    output::say(&format!("next: raas why {}", plain(&answer["cid"])));
    Ok(())
}

async fn list(node: &Client, cid: Option<&str>, limit: u32, json: bool) -> Result<(), Failure> {
    let mut query = url::form_urlencoded::Serializer::new(String::new());
    query.append_pair("limit", &limit.to_string());
    if let Some(cid) = cid {
        query.append_pair("cid", cid);
    }
    let answer = node.call(Method::GET, &format!("/v1/jobs?{}", query.finish()), None).await?;
    if json {
        output::json(&answer);
        return Ok(());
    }
    let jobs = answer["jobs"].as_array().map(Vec::as_slice).unwrap_or_default();
    let mut rows = vec![["JOB", "STATE", "WANTED", "DUTIES", "SOURCE", "CID"].map(str::to_owned)];
    rows.extend(jobs.iter().map(|job| {
        [
            plain(&job["id"]),
            words::job_state(job),
            words::copies(job),
            words::duties(&job["duties"]),
            words::source(&job["source"]),
            plain(&job["cid"]),
        ]
    }));
    output::table(&rows);
    output::say(&format!("{} jobs, network {}", jobs.len(), plain(&answer["network"])));
    if !answer["next_after"].is_null() {
        output::say("there are more: raise --limit");
    }
    Ok(())
}

/// A job by its number, or every job of a CID.
async fn show(node: &Client, job: &str, json: bool) -> Result<(), Failure> {
    if let Ok(id) = job.parse::<u64>() {
        let answer = node.call(Method::GET, &format!("/v1/jobs/{id}"), None).await?;
        if json {
            output::json(&answer);
        } else {
            show_one(&answer);
        }
        return Ok(());
    }
    let Ok(cid) = job.parse::<DataCid>() else {
        return Err(Failure::Usage(format!(
            "{job:?} is neither a job's number nor a CID; `raas job list` shows both"
        )));
    };
    let listed = node.call(Method::GET, &format!("/v1/jobs?limit=1000&cid={cid}"), None).await?;
    let ids: Vec<u64> =
        listed["jobs"].as_array().into_iter().flatten().filter_map(|job| job["id"].as_u64()).collect();
    if ids.is_empty() {
        return Err(Failure::failed(format!(
            "no job is registered for {cid}; `raas job register {cid}` does it"
        )));
    }
    let mut answers = Vec::new();
    for id in ids {
        answers.push(node.call(Method::GET, &format!("/v1/jobs/{id}"), None).await?);
    }
    if json {
        output::json(&json!({ "network": listed["network"], "cid": cid, "jobs": answers }));
        return Ok(());
    }
    for (at, answer) in answers.iter().enumerate() {
        if at > 0 {
            output::data("");
        }
        show_one(answer);
    }
    Ok(())
}

fn show_one(answer: &Value) {
    let job = &answer["job"];
    output::table(&[
        ["job".to_owned(), plain(&job["id"])],
        ["state".to_owned(), words::job_state(job)],
        ["cid".to_owned(), plain(&job["cid"])],
        ["duties".to_owned(), words::duties(&job["duties"])],
        ["policy".to_owned(), words::policy_of(job)],
        ["source".to_owned(), words::source(&job["source"])],
        ["on chain".to_owned(), words::registration(answer)],
        ["since".to_owned(), format!("epoch {} ({})", plain(&job["at"]["epoch"]), plain(&job["at"]["time"]))],
        ["copies".to_owned(), words::standing(&answer["standing"])],
        ["network".to_owned(), plain(&answer["network"])],
    ]);
    words::parts(&answer["standing"]).iter().for_each(|part| output::data(part));
    if let Some(why) = words::why_unserved(job) {
        output::data(&format!("nothing is done for it: {why}"));
    }
    orders(&answer["orders"]);
    output::say(&format!("next: raas why {}", plain(&job["cid"])));
}

async fn retry(node: &Client, cid: Option<&str>, json: bool) -> Result<(), Failure> {
    let query =
        cid.map(|cid| url::form_urlencoded::Serializer::new("?".to_owned()).append_pair("cid", cid).finish());
    let path = format!("/v1/steps/retry{}", query.unwrap_or_default());
    let answer = node.call(Method::POST, &path, None).await?;
    if json {
        output::json(&answer);
    } else {
        output::data(&format!(
            "{} steps are tried again now (network {})",
            answer["retried"],
            plain(&answer["network"])
        ));
    }
    Ok(())
}

async fn stop(node: &Client, id: u64, json: bool) -> Result<(), Failure> {
    let answer = node.call(Method::POST, &format!("/v1/jobs/{id}/stop"), None).await?;
    if json {
        output::json(&answer);
        return Ok(());
    }
    let word = if answer["stopped_now"] == true { "is stopped" } else { "was stopped before" };
    output::data(&format!("job {id} {word} (network {})", plain(&answer["network"])));
    let alive = answer["still_alive"].as_array().map_or(0, Vec::len);
    if alive > 0 {
        output::data("still alive until its end, and kept on if another job wants it:");
        orders(&answer["still_alive"]);
    }
    Ok(())
}

fn orders(orders: &Value) {
    let rows = deal_rows(orders);
    if rows.len() > 1 {
        output::data("");
        output::table(&rows);
    }
}
