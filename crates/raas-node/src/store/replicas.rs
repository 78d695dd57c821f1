//! What becomes of active replicas, many in one statement: their health changes, they are lost, their terms end.

use raas_core::health::Health;
use raas_core::ids::{OrderId, ProviderId};
use sqlx::SqliteConnection;
use std::collections::{BTreeMap, BTreeSet};

use super::error::Error;
use super::events::{Happened, log, log_all};
use super::places;
use super::schema::{ORDER_STATE, int};
use super::types::{ReplicaChange, RoundReport};
use super::watch::{Narrow, json_list};

/// Replicas of one provider whose health changes alike: beyond so many they are one line of the log.
const TOLD_SINGLY: usize = 8;
/// Rows written by one statement.
const ROWS: usize = 1_000;

/// Writes what became of replicas in a round. Those whose version is stale are returned.
pub(super) async fn write(
    connection: &mut SqliteConnection,
    report: &RoundReport,
) -> Result<Vec<OrderId>, Error> {
    let mut skipped = Vec::new();
    let mut alike: BTreeMap<(ProviderId, String, String), Vec<&ReplicaChange>> = BTreeMap::new();
    for page in report.replicas.chunks(ROWS) {
        let written = write_page(connection, page).await?;
        let (done, stale): (Vec<_>, Vec<_>) = page.iter().partition(|change| written.contains(&change.order));
        skipped.extend(stale.iter().map(|change| change.order));
        let (over, active): (Vec<_>, Vec<_>) = done.into_iter().partition(|change| change.to.is_closed());
        if !over.is_empty() {
            let ids: Vec<u64> = over.iter().map(|change| change.order.0).collect();
            places::close(connection, &json_list(&ids)).await?;
            let lines: Vec<_> = over.iter().map(|change| (change.holding, line(change))).collect();
            log_all(connection, &lines).await?;
        }
        for change in active {
            let (from, to) = (Some(change.from), health(change));
            if from != to {
                alike
                    .entry((change.provider, format!("{from:?}"), format!("{to:?}")))
                    .or_default()
                    .push(change);
            }
        }
    }
    for ((provider, ..), alike) in alike {
        if !report.turned_before.contains(&provider) {
            let more = report.turning.get(&provider).copied().unwrap_or(0);
            tell(connection, provider, &alike, more).await?;
        }
    }
    Ok(skipped)
}

/// Which of `page` were as they were read, and are written.
async fn write_page(
    connection: &mut SqliteConnection,
    page: &[ReplicaChange],
) -> Result<BTreeSet<OrderId>, Error> {
    let mut rows = Vec::with_capacity(page.len());
    for change in page {
        let narrow = Narrow::of(&change.to)?;
        rows.push(serde_json::json!([
            change.order.0,
            change.version,
            ORDER_STATE.encode(&change.to)?,
            narrow.mark,
            narrow.fault_since,
            narrow.fault_first,
            narrow.sector,
            narrow.term_end,
            change.to.name(),
            change.to.is_closed(),
        ]));
    }
    let written: Vec<i64> = sqlx::query_scalar(
        "UPDATE orders SET version = version + 1, state = n.value ->> 2, mark = n.value ->> 3,
         fault_since = n.value ->> 4, fault_first = n.value ->> 5, sector = n.value ->> 6, term_end = n.value ->> 7,
         state_name = n.value ->> 8, closed = n.value ->> 9
         FROM json_each($1) n WHERE orders.id = n.value ->> 0 AND orders.version = n.value ->> 1
         AND orders.state_name = 'active' RETURNING orders.id",
    )
    .bind(serde_json::Value::Array(rows).to_string())
    .fetch_all(&mut *connection)
    .await?;
    let written: BTreeSet<i64> = written.into_iter().collect();
    let mut orders = BTreeSet::new();
    for change in page {
        if written.contains(&int("order", change.order.0)?) {
            orders.insert(change.order);
        }
    }
    Ok(orders)
}

fn health(change: &ReplicaChange) -> Option<Health> {
    change.to.on_chain().map(|on_chain| on_chain.health.health)
}

fn line(change: &ReplicaChange) -> Happened {
    Happened::OrderChanged {
        order: change.order,
        from: "active".to_owned(),
        to: change.to.name().to_owned(),
        deal: change.to.on_chain().and_then(|on_chain| on_chain.replica.deal()),
        health: health(change),
    }
}

/// One line for each, or one for all, with the `more` that are written later.
async fn tell(
    connection: &mut SqliteConnection,
    provider: ProviderId,
    alike: &[&ReplicaChange],
    more: u32,
) -> Result<(), Error> {
    let Some((first, to)) = alike.first().and_then(|first| Some((first, health(first)?))) else {
        return Ok(());
    };
    if alike.len() <= TOLD_SINGLY {
        let lines: Vec<_> = alike.iter().map(|change| (change.holding, line(change))).collect();
        return log_all(connection, &lines).await;
    }
    let replicas = u32::try_from(alike.len()).unwrap_or(u32::MAX).saturating_add(more);
    log(connection, None, None, &Happened::ReplicasChanged { provider, from: first.from, to, replicas }).await
}
