//! Renew: a second generation is proven before the first one ends.

use super::Show;
use crate::cli::demo::copies::{Copy, Standing};
use crate::cli::failure::Failure;
use serde_json::json;

/// Advances into the renewal window and shows the overlap, the second generation, and the end of the first.
pub async fn renew(show: &mut Show<'_>) -> Result<(), Failure> {
    let old = show.standing().await?.proven();
    let opens = show
        .standing()
        .await?
        .waits
        .iter()
        .filter_map(|wait| wait["for_"]["opens"].as_i64())
        .min()
        .ok_or_else(|| Failure::failed("not verified: the node waits for its renewal windows"))?;
    let end = old.iter().map(|copy| copy.end).min().unwrap_or_default();
    let said =
        format!("nothing to do until epoch {opens}, when the renewal window before the end at {end} opens");
    show.report.step("waits", &said, &[], json!({ "opens": opens, "end": end }));

    let overlap = show
        .until("renewals published and not active yet", async |standing| {
            still_proven(show, standing, &old).await?;
            let published = renewals(standing, &old).iter().filter(|copy| copy.state == "published").count();
            Ok((published == old.len()).then(|| standing.clone()))
        })
        .await?;
    show.ensure(overlap.head >= opens, || format!("head {} is inside the window", overlap.head))?;
    let said = format!(
        "epoch {}: {} renewals are being sealed while all {} old copies are proven",
        overlap.head,
        old.len(),
        old.len()
    );
    let mut details: Vec<String> = renewals(&overlap, &old).iter().map(Copy::line).collect();
    details.push(format!("tipset {}", overlap.tipset));
    show.report.step(
        "overlap",
        &said,
        &details,
        json!({
            "round": overlap.facts(),
            "old": facts(&old),
            "renewals": facts(&renewals(&overlap, &old)),
        }),
    );

    let renewed = show
        .until("every renewal proven", async |standing| {
            still_proven(show, standing, &old).await?;
            let new = renewals(standing, &old);
            let all = new.len() == old.len() && new.iter().all(Copy::is_proven);
            Ok(all.then(|| standing.clone()))
        })
        .await?;
    let new = renewals(&renewed, &old);
    renewed.verify(show.stage, &new).await?;
    let said = format!(
        "both generations are proven at finalized epoch {}: the old one is given up by nobody",
        renewed.finalized
    );
    let mut details: Vec<String> = new.iter().map(Copy::line).collect();
    details.push(format!("tipset {}", renewed.tipset));
    show.report.step(
        "renewed",
        &said,
        &details,
        json!({
            "round": renewed.facts(), "old": facts(&old), "copies": facts(&new), "pieceCid": renewed.piece,
        }),
    );

    let ended = show
        .until("the end of the old generation", async |standing| {
            let over =
                old.iter().all(|copy| standing.order(copy.order).is_none_or(|copy| copy.state == "ended"));
            Ok(over.then(|| standing.clone()))
        })
        .await?;
    ended.verify(show.stage, &new).await?;
    let listed = show.until_listed(&new).await?;
    let said = format!(
        "the old deals have ended by epoch {}; getActiveDeals returns exactly their successors {:?}",
        ended.finalized, listed.deals
    );
    show.report.step(
        "ended",
        &said,
        &[format!("tipset {}", ended.tipset)],
        json!({
            "round": ended.facts(), "old": facts(&old), "copies": facts(&new), "pieceCid": ended.piece,
            "contract": show.stage.contract, "cid": show.cid, "block": listed.block, "activeDeals": listed.deals,
        }),
    );
    Ok(())
}

/// At each rest of the overlap, the chain alone must show the old copies proven.
async fn still_proven(show: &Show<'_>, standing: &Standing, old: &[Copy]) -> Result<(), Failure> {
    standing.verify(show.stage, old).await
}

fn renewals(standing: &Standing, old: &[Copy]) -> Vec<Copy> {
    old.iter().filter_map(|copy| standing.successor(copy.order)).cloned().collect()
}

fn facts(copies: &[Copy]) -> Vec<serde_json::Value> {
    copies.iter().map(Copy::facts).collect()
}
