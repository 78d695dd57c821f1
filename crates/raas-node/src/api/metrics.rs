//! `/metrics`: the node in numbers, for Prometheus.
//!
//! Everything is read when it is asked for, from the store and from what the last pass saw, so that nothing is counted
//! twice and a restart loses nothing. Labels are states, accounts, endpoints and contracts of the configuration: never CIDs,
//! jobs or tenants.

use super::App;
use super::error::ApiError;
use crate::store::Figures;
use crate::world::World;
use axum::extract::State;
use axum::http::header;
use axum::response::{IntoResponse, Response};
use raas_core::endpoint::Standing;
use raas_core::ports::{Chain, Clock, Lane};
use raas_core::spend::DAY;
use raas_core::units::{AttoFil, Epoch};
use std::fmt::{Display, Write};
use std::sync::Arc;

/// Seconds of an epoch.
const EPOCH_SECONDS: i64 = 30;

/// One metric: its name, its kind, what it says.
struct Metric {
    name: &'static str,
    kind: &'static str,
    help: &'static str,
}

macro_rules! metrics {
    ($($constant:ident $name:literal $kind:literal $help:literal;)*) => {
        $(const $constant: Metric = Metric { name: $name, kind: $kind, help: $help };)*
        /// All of them.
        const ALL: &[Metric] = &[$($constant,)*];
    };
}

metrics! {
    BUILD_INFO "raas_build_info" "gauge" "Always 1; the label has the version.";
    READY "raas_ready" "gauge" "Whether the loop runs and sees the chain.";
    HOLD "raas_hold" "gauge" "1 for the reason why nothing is started, if there is one.";
    LAST_PASS "raas_last_pass_timestamp_seconds" "gauge" "When the last pass over everything began, by the clock of decisions.";
    NOW "raas_clock_timestamp_seconds" "gauge" "The clock of decisions now.";
    HEAD "raas_head_epoch" "gauge" "Head of the last round.";
    FINALIZED "raas_finalized_epoch" "gauge" "Finalized height of the last round.";
    ENDPOINT_UP "raas_endpoint_up" "gauge" "Whether a chain endpoint answers and keeps up.";
    ENDPOINT_AGE "raas_endpoint_head_age_seconds" "gauge" "How far an endpoint's head is behind the clock.";
    CURSOR_LAG "raas_cursor_lag_epochs" "gauge" "How far the reading of a contract's events is behind the head.";
    JOBS "raas_jobs" "gauge" "Jobs by state.";
    REPLICAS "raas_replicas" "gauge" "Copies on chain by what was seen of them last.";
    FIRST_END "raas_replica_expiration_timestamp_seconds" "gauge" "The first end of a term among the active copies.";
    RENEWALS_DUE "raas_renewal_due" "gauge" "Active copies in the default policy's renewal window that have no successor on its way.";
    UNDER_WAY "raas_orders_under_way" "gauge" "Orders that are not on chain yet, by state.";
    ORDERS "raas_orders_total" "counter" "Orders ever made, by cause: repair starts are those of cause repair.";
    BREAKER "raas_breaker_open" "gauge" "Whether the storm breaker of the fleet is open; for providers, how many are.";
    INCIDENTS "raas_incidents_open" "gauge" "Providers' troubles by kind.";
    STEPS "raas_steps" "gauge" "Steps of work in the store by kind.";
    STEP_AGE "raas_step_oldest_due_age_seconds" "gauge" "How long the earliest step of a kind has been due; 0 while it is not.";
    STEPS_PARKED "raas_steps_parked" "gauge" "Steps set aside after crashes or refusals, until somebody retries them.";
    TX_OPEN "raas_transactions_open" "gauge" "Transactions that are not settled, by account.";
    TX_AGE "raas_transaction_oldest_age_seconds" "gauge" "Since when the oldest open transaction of an account is signed.";
    TX_BUMPS "raas_transaction_bumps" "gauge" "Replacements with more gas among the open transactions of an account.";
    HALTED "raas_account_halted" "gauge" "Whether an account sends nothing until the admin releases it.";
    SPENT "raas_spent_fil" "gauge" "FIL spent within a day: on deals, and on gas at most.";
    BUDGET "raas_budget_left_fil" "gauge" "FIL left of a day's limit of the configuration.";
    RUNWAY "raas_runway_days" "gauge" "How many days the money lasts, as it was last looked at.";
    DISK_FREE "raas_disk_free_bytes" "gauge" "Free space where pieces are kept.";
    DISK_RESERVE "raas_disk_reserve_bytes" "gauge" "Space that is to stay free.";
}

/// The names of all metrics, each with its kind and what it says: docs/METRICS.md.
#[must_use]
pub fn page() -> String {
    let mut page = "# Metrics\n\n\
        `GET /metrics`, in the text form of Prometheus. Where the node has keys it wants one of an admin. `ops/` has alert rules and a\n\
        dashboard for Grafana.\n\n| name | kind | what |\n| --- | --- | --- |\n"
        .to_owned();
    for Metric { name, kind, help } in ALL {
        let _ = writeln!(page, "| `{name}` | {kind} | {help} |");
    }
    page
}

/// The text that is answered.
#[derive(Default)]
struct Exposition(String);

impl Exposition {
    /// One metric with all its samples: labels and value.
    fn put<V: Display>(&mut self, metric: &Metric, samples: impl IntoIterator<Item = (Labels, V)>) {
        let Metric { name, kind, help } = metric;
        let mut samples = samples.into_iter().peekable();
        if samples.peek().is_none() {
            return;
        }
        let _ = writeln!(self.0, "# HELP {name} {help}\n# TYPE {name} {kind}");
        for (labels, value) in samples {
            let _ = writeln!(self.0, "{name}{labels} {value}");
        }
    }

    fn one(&mut self, metric: &Metric, value: impl Display) {
        self.put(metric, [(Labels::default(), value)]);
    }
}

/// Labels of a sample, with their values escaped.
#[derive(Default)]
struct Labels(Vec<(&'static str, String)>);

impl Labels {
    fn of(name: &'static str, value: impl ToString) -> Self {
        Self(vec![(name, value.to_string())])
    }
}

impl Display for Labels {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        for (at, (name, value)) in self.0.iter().enumerate() {
            let value = value.replace('\\', "\\\\").replace('"', "\\\"").replace('\n', "\\n");
            write!(f, "{}{name}=\"{value}\"", if at == 0 { '{' } else { ',' })?;
        }
        f.write_str(if self.0.is_empty() { "" } else { "}" })
    }
}

/// Answers with all of them.
pub async fn metrics<W: World>(State(app): State<Arc<App<W>>>) -> Result<Response, ApiError> {
    let settings = app.engine.settings();
    let now = app.engine.world().clock().now().await;
    let head = app.engine.status().round.map_or(now.epoch, |round| round.head);
    let figures = app.engine.store().figures(head, settings.default_policy.renew_before).await?;
    let unix = |epoch: Epoch| {
        now.unix_seconds.saturating_add((epoch.0.saturating_sub(now.epoch.0)).saturating_mul(EPOCH_SECONDS))
    };
    let mut text = Exposition::default();
    text.put(&BUILD_INFO, [(Labels::of("version", env!("CARGO_PKG_VERSION")), 1)]);
    text.one(&NOW, now.unix_seconds);
    chain(&app, &mut text, now.epoch).await?;
    stored(&mut text, &figures, now.unix_seconds, unix);
    money(&app, &mut text, head).await?;
    let breaker = app.engine.store().breaker().await?;
    let of_scope = |scope| Labels::of("scope", scope);
    text.put(
        &BREAKER,
        [
            (of_scope("fleet"), usize::from(breaker.fleet.is_some())),
            (of_scope("provider"), breaker.providers.len()),
        ],
    );
    let room = app.pieces.room();
    text.one(&DISK_FREE, room.free_bytes()?);
    text.one(&DISK_RESERVE, room.reserve_bytes());
    Ok(([(header::CONTENT_TYPE, "text/plain; version=0.0.4; charset=utf-8")], text.0).into_response())
}

/// What the last pass saw of the chain.
async fn chain<W: World>(app: &App<W>, text: &mut Exposition, now: Epoch) -> Result<(), ApiError> {
    let status = app.engine.status();
    text.one(&READY, u8::from(status.round.is_some() && status.hold.is_none()));
    let hold =
        status.hold.and_then(|hold| Some(serde_json::to_value(hold).ok()?["hold"].as_str()?.to_owned()));
    text.put(&HOLD, hold.map(|hold| (Labels::of("hold", hold), 1)));
    if let Some(last) = status.now {
        text.one(&LAST_PASS, last.unix_seconds);
    }
    if let Some(round) = &status.round {
        text.one(&HEAD, round.head);
        text.one(&FINALIZED, round.height);
    }
    let endpoints = app.engine.world().chain().endpoints();
    let of_endpoint = |name: &String| Labels::of("endpoint", name);
    text.put(
        &ENDPOINT_UP,
        endpoints.iter().map(|seen| (of_endpoint(&seen.name), u8::from(seen.standing == Standing::Good))),
    );
    let age = |head: Epoch| now.0.saturating_sub(head.0).saturating_mul(EPOCH_SECONDS);
    let ages = endpoints.iter().filter_map(|seen| Some((of_endpoint(&seen.name), age(seen.head?))));
    text.put(&ENDPOINT_AGE, ages);
    let mut lags = Vec::new();
    for at in &app.engine.settings().contracts {
        if let (Some(round), Some(read)) = (&status.round, app.engine.followed_to(at).await?) {
            lags.push((Labels::of("contract", at.address), round.head.0.saturating_sub(read.0)));
        }
    }
    text.put(&CURSOR_LAG, lags);
    Ok(())
}

fn stored(text: &mut Exposition, figures: &Figures, now_unix: i64, unix: impl Fn(Epoch) -> i64) {
    let state = |name: &str| Labels::of("state", name);
    text.put(
        &JOBS,
        [(state("open"), figures.jobs_open), (state("stopped"), figures.jobs - figures.jobs_open)],
    );
    text.put(&REPLICAS, figures.replicas.iter().map(|(name, count)| (state(name), *count)));
    if let Some(end) = figures.first_end {
        text.one(&FIRST_END, unix(end));
    }
    text.one(&RENEWALS_DUE, figures.renewals_due);
    text.put(&UNDER_WAY, figures.orders_under_way.iter().map(|(name, count)| (state(name), *count)));
    // Causes that did not happen yet are 0, so that their first time is a rise.
    let causes = ["replicate", "renew", "hedge", "repair"];
    let orders = |cause: &str| figures.orders.get(cause).copied().unwrap_or_default();
    text.put(&ORDERS, causes.map(|cause| (Labels::of("cause", cause), orders(cause))));
    let kinds = ["faulty", "lost", "unseen"];
    let incidents = |kind: &str| figures.incidents.get(kind).copied().unwrap_or_default();
    text.put(&INCIDENTS, kinds.map(|kind| (Labels::of("kind", kind), incidents(kind))));
    text.put(&STEPS, figures.steps.iter().map(|(kind, (count, _))| (Labels::of("kind", kind), *count)));
    let age = |due: i64| now_unix.saturating_sub(due).max(0);
    text.put(&STEP_AGE, figures.steps.iter().map(|(kind, (_, due))| (Labels::of("kind", kind), age(*due))));
    text.one(&STEPS_PARKED, figures.steps_parked);
    let accounts =
        ["native", "evm"].map(|name| (name, figures.transactions.get(name).copied().unwrap_or_default()));
    let account = |name: &str| Labels::of("account", name);
    text.put(&TX_OPEN, accounts.map(|(name, of)| (account(name), of.open)));
    let signed =
        accounts.into_iter().filter_map(|(name, of)| Some((account(name), age(unix(of.oldest_signed?)))));
    text.put(&TX_AGE, signed);
    text.put(&TX_BUMPS, accounts.map(|(name, of)| (account(name), of.bumps)));
}

/// What was spent within a day, and what its limits leave.
async fn money<W: World>(app: &App<W>, text: &mut Exposition, head: Epoch) -> Result<(), ApiError> {
    let (store, settings) = (app.engine.store(), app.engine.settings());
    let halts = store.halts().await?;
    let lanes = [("native", Lane::Native), ("evm", Lane::Evm)];
    text.put(
        &HALTED,
        lanes.map(|(name, lane)| (Labels::of("account", name), u8::from(halts.contains_key(&lane)))),
    );
    let day = head.before(DAY);
    let deals = store.spent_since(Epoch(day.0 + 1)).await?;
    let gas = store.gas_since(day).await?.into_values().fold(AttoFil::ZERO, AttoFil::plus);
    let on = |what| Labels::of("on", what);
    text.put(&SPENT, [(on("deals"), in_fil(deals)), (on("gas"), in_fil(gas))]);
    let limits = [
        ("budget.per_day_attofil", settings.limits().per_day, deals),
        ("budget.gas_per_day_attofil", settings.spending.gas_per_day, gas),
    ];
    let left = limits
        .into_iter()
        .filter_map(|(key, limit, used)| Some((Labels::of("limit", key), in_fil(limit?.minus(used)))));
    text.put(&BUDGET, left);
    if let Some(outlook) = app.engine.status().outlook {
        let of = [("deals", outlook.deals), ("contract", outlook.contract), ("budget", outlook.budget)];
        text.put(
            &RUNWAY,
            of.into_iter().filter_map(|(money, runway)| Some((Labels::of("money", money), runway.days?))),
        );
    }
    Ok(())
}

/// FIL as a number, as exact as one of 64 bits can be.
fn in_fil(amount: AttoFil) -> f64 {
    amount.0 as f64 / 1e18
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn samples_are_written_with_their_labels_escaped() {
        let mut text = Exposition::default();
        text.put(&JOBS, [(Labels::of("state", "a\"b\\c\nd"), 1), (Labels::default(), 2)]);
        text.put::<u8>(&STEPS, []);
        let said = "# HELP raas_jobs Jobs by state.\n# TYPE raas_jobs gauge\n\
            raas_jobs{state=\"a\\\"b\\\\c\\nd\"} 1\nraas_jobs 2\n";
        assert_eq!(text.0, said);
    }

    #[test]
    fn every_metric_has_the_project_s_prefix_and_a_name_of_its_own() {
        let mut names: Vec<&str> = ALL.iter().map(|metric| metric.name).collect();
        assert!(names.iter().all(|name| name.starts_with("raas_")));
        assert!(ALL.iter().all(|metric| (metric.kind == "counter") == metric.name.ends_with("_total")));
        names.sort_unstable();
        names.dedup();
        assert_eq!(names.len(), ALL.len());
    }
}
