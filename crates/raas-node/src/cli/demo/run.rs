//! The acts in their order.

use super::acts::{Show, renew, repair, retrieve, store};
use super::report::Report;
use super::stage::Stage;
use super::subject;
use crate::cli::args::Demo;
use crate::cli::failure::Failure;
use crate::cli::output;
use crate::cli::signals::Signals;
use serde_json::json;
use std::time::{Duration, Instant};

/// Epoch length once the acts are over and everything stays up, in milliseconds.
const STAY_EPOCH_MS: u64 = 1_000;

/// Shows everything, then stays up or ends.
pub async fn demo(args: &Demo, json: bool) -> Result<(), Failure> {
    let path = subject::choose(args.path.as_deref())?;
    let mut signals = Signals::new()?;
    let began = Instant::now();
    let stage = tokio::select! {
        stage = Stage::set() => stage?,
        () = signals.next() => return Err(Failure::failed("stopped while starting")),
    };
    let shown = tokio::select! {
        shown = acts(&stage, &path, json, began) => shown,
        () = signals.next() => Err(Failure::failed("stopped before the end")),
    };
    if shown.is_ok() && !args.exit {
        stay(&stage, &mut signals, json).await?;
    }
    tokio::select! {
        () = stage.strike() => {}
        () = signals.next() => {}
    }
    shown
}

async fn acts(stage: &Stage, path: &std::path::Path, json: bool, began: Instant) -> Result<(), Failure> {
    let report = Report::new(json, &stage.network, began);
    let mut show = Show::begin(stage, &report, path)?;
    store::store(&mut show).await?;
    renew::renew(&mut show).await?;
    repair::fault(&mut show).await?;
    repair::terminate(&mut show).await?;
    repair::listed(&mut show).await?;
    retrieve::retrieve(&mut show).await?;
    let took = began.elapsed();
    let text =
        format!("every step was verified by chain, contract and bytes, in {:.1} s", took.as_secs_f64());
    let entries = stage.stepper.rpc("devnet_ledger", json!([])).await?.as_array().map_or(0, Vec::len);
    let ledger = stage.stepper.rpc("devnet_ledgerHash", json!([entries])).await?;
    report.step(
        "done",
        &text,
        &[format!("the devnet's ledger has hash {}", ledger.as_str().unwrap_or("?"))],
        json!({
            "ledgerHash": ledger, "ledgerEntries": entries, "verified": true,
        }),
    );
    Ok(())
}

/// Time goes on by itself and the node with it, until a signal.
async fn stay(stage: &Stage, signals: &mut Signals, json: bool) -> Result<(), Failure> {
    stage.stepper.rpc("devnet_setEpochMs", json!([STAY_EPOCH_MS])).await?;
    if !json {
        output::say("");
        output::say(&format!("api        {}", stage.admin));
        output::say(&format!("data       {} (/ipfs)", stage.data));
        output::say(&format!("chain rpc  {}", stage.rpc));
        output::say(&format!(
            "Everything stays up, an epoch a second, on {}; all money here is play money. Try another shell:",
            stage.network
        ));
        output::say(&format!("  raas --node {} job list", stage.admin));
        output::say(&format!("  raas --node {} incidents list", stage.admin));
        output::say("Ctrl-C ends it.");
    }
    loop {
        tokio::select! {
            () = signals.next() => return Ok(()),
            rest = stage.stepper.quiesce() => {
                if let Err(error) = rest {
                    tracing::warn!(%error, "the node did not come to rest");
                }
            }
        }
        tokio::select! {
            () = signals.next() => return Ok(()),
            () = tokio::time::sleep(Duration::from_millis(STAY_EPOCH_MS)) => {}
        }
    }
}
