//! Repair: after the policy's patience when a provider is faulty, at once when one terminates.

use super::Show;
use crate::cli::demo::copies::{Copy, Standing};
use crate::cli::failure::Failure;
use crate::cli::words;
use reqwest::Method;
use serde_json::{Value, json};

/// One provider stops proving.
pub async fn fault(show: &mut Show<'_>) -> Result<(), Failure> {
    let victim = victim(show).await?;
    show.stage.stepper.rpc("devnet_fault", json!([victim.provider])).await?;
    let (seen, since) = show
        .until("the fault at a finalized tipset", async |standing| {
            let copy = standing.order(victim.order);
            let since = copy.filter(|copy| copy.health == "suspect").and_then(|copy| copy.faulty_since);
            Ok(since.map(|since| (standing.clone(), since)))
        })
        .await?;
    let on_chain = seen.on_chain(show.stage, &victim).await?;
    show.ensure(on_chain.as_ref().is_some_and(|deal| deal.faulty), || {
        format!("{} is faulty", victim.line())
    })?;
    let until = seen
        .waits
        .iter()
        .filter(|wait| wait["for_"]["order"].as_u64() == Some(victim.order))
        .find_map(|wait| wait["for_"]["until"].as_i64())
        .ok_or_else(|| Failure::failed("not verified: the node waits for its patience to pass"))?;
    let said = format!(
        "{} stopped proving: deal {} is suspect since epoch {since}, and repaired if still so at {until}",
        victim.provider,
        shown(victim.deal)
    );
    let incident = incident(show, &victim, "faulty").await?;
    show.report.step(
        "fault",
        &said,
        &[words::incident(&incident), format!("tipset {}", seen.tipset)],
        json!({
            "round": seen.facts(), "copy": victim.facts(), "since": since, "until": until, "incident": incident,
        }),
    );

    let ordered = ordered(show, &victim).await?;
    show.ensure(ordered.finalized >= until, || {
        format!("the repair was ordered at finalized epoch {}, not before {until}", ordered.finalized)
    })?;
    let why =
        format!("faulty for {} epochs at finalized epoch {}", ordered.finalized - since, ordered.finalized);
    finished(show, &victim, &ordered, &why).await
}

/// Another one gives its sectors up.
pub async fn terminate(show: &mut Show<'_>) -> Result<(), Failure> {
    let victim = victim(show).await?;
    show.stage.stepper.rpc("devnet_terminate", json!([victim.provider])).await?;
    let seen = show
        .until("the loss at a finalized tipset", async |standing| {
            let lost = standing.order(victim.order).is_none_or(|copy| copy.state == "lost");
            Ok(lost.then(|| standing.clone()))
        })
        .await?;
    let on_chain = seen.on_chain(show.stage, &victim).await?;
    show.ensure(on_chain.is_none(), || format!("the market has deal {} no more", shown(victim.deal)))?;
    let said = format!(
        "{} terminated: the market has deal {} no more and the sector is dead, two witnesses at epoch {}",
        victim.provider,
        shown(victim.deal),
        seen.finalized
    );
    let incident = incident(show, &victim, "lost").await?;
    show.report.step(
        "terminated",
        &said,
        &[words::incident(&incident), format!("tipset {}", seen.tipset)],
        json!({
            "round": seen.facts(), "copy": victim.facts(), "incident": incident,
        }),
    );

    let ordered = ordered(show, &victim).await?;
    show.ensure(ordered.finalized == seen.finalized, || {
        format!("the repair was ordered at once, at {} not {}", seen.finalized, ordered.finalized)
    })?;
    finished(show, &victim, &ordered, "lost by two witnesses, so at once").await
}

/// What the contract lists now. The market does not see faults, so a faulty deal is active there.
pub async fn listed(show: &mut Show<'_>) -> Result<(), Failure> {
    let standing = show.standing().await?;
    let active: Vec<Copy> = standing.copies.iter().filter(|copy| copy.state == "active").cloned().collect();
    let faulty: Vec<u64> =
        active.iter().filter(|copy| !copy.is_proven()).filter_map(|copy| copy.deal).collect();
    let listed = show.until_listed(&active).await?;
    let said = format!(
        "getActiveDeals returns {:?}: the proven ones, and {faulty:?}, whose fault the market does not see",
        listed.deals
    );
    show.report.step(
        "listed",
        &said,
        &[],
        json!({
            "cid": show.cid, "contract": show.stage.contract, "block": listed.block,
            "activeDeals": listed.deals, "faultyDeals": faulty,
        }),
    );
    Ok(())
}

/// A proven copy in a slot, of the earliest place.
async fn victim(show: &Show<'_>) -> Result<Copy, Failure> {
    let mut proven = show.standing().await?.proven();
    proven.retain(|copy| copy.slot.is_some());
    proven.sort_by_key(|copy| (copy.cause == "repair", copy.slot));
    proven.into_iter().next().ok_or_else(|| Failure::failed("not verified: a copy is proven"))
}

/// The newest incident of a provider's trouble, as `raas incidents list` tells it.
async fn incident(show: &Show<'_>, victim: &Copy, kind: &str) -> Result<Value, Failure> {
    let answer = show.stage.client.call(Method::GET, "/v1/incidents", None).await?;
    let of = |incident: &&Value| incident["kind"] == kind && named(&incident["provider"]) == victim.provider;
    let found = answer["incidents"].as_array().into_iter().flatten().filter(of);
    let newest = found.max_by_key(|incident| incident["id"].as_u64()).cloned();
    newest.ok_or_else(|| {
        Failure::failed(format!("not verified: {} has an incident of {kind} copies", victim.provider))
    })
}

/// A provider's number as its address.
fn named(provider: &Value) -> String {
    provider.as_u64().map_or_else(|| words::plain(provider), |id| format!("f0{id}"))
}

async fn ordered(show: &Show<'_>, victim: &Copy) -> Result<Standing, Failure> {
    show.until("the order of a repair", async |standing| {
        Ok(standing.successor(victim.order).is_some().then(|| standing.clone()))
    })
    .await
}

/// Steps until the repair is proven and verifies it.
async fn finished(show: &Show<'_>, victim: &Copy, ordered: &Standing, why: &str) -> Result<(), Failure> {
    let repaired = show
        .until("the repair proven", async |standing| {
            let proven = standing.successor(victim.order).is_some_and(Copy::is_proven);
            Ok(proven.then(|| standing.clone()))
        })
        .await?;
    let Some(copy) = repaired.successor(victim.order).cloned() else {
        return Err(Failure::failed("not verified: there is a repair"));
    };
    let proven = repaired.proven();
    repaired.verify(show.stage, &proven).await?;
    show.ensure(copy.operator != victim.operator, || format!("{} is at another operator", copy.line()))?;
    let said = format!(
        "ordered at epoch {} ({why}); {} proven copies at finalized epoch {}",
        ordered.head,
        proven.len(),
        repaired.finalized
    );
    let mut details: Vec<String> = proven.iter().map(Copy::line).collect();
    details.push(format!("tipset {}", repaired.tipset));
    show.report.step(
        "repaired",
        &said,
        &details,
        json!({
            "round": repaired.facts(),
            "orderedAt": ordered.facts(),
            "of": victim.facts(),
            "repair": copy.facts(),
            "copies": proven.iter().map(Copy::facts).collect::<Vec<_>>(),
            "pieceCid": repaired.piece,
        }),
    );
    Ok(())
}

fn shown(deal: Option<u64>) -> String {
    deal.map_or_else(|| "?".to_owned(), |deal| deal.to_string())
}
