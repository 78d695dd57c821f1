//! Store: three copies on three operators, proven on chain, listed on the contract.

use super::Show;
use crate::cli::args::Upload;
use crate::cli::demo::copies::Copy;
use crate::cli::failure::Failure;
use crate::cli::upload;
use serde_json::{Value, json};
use std::collections::BTreeSet;

/// Copies of the node's default policy.
const COPIES: usize = 3;

/// Uploads the subject and shows its copies proven.
pub async fn store(show: &mut Show<'_>) -> Result<(), Failure> {
    let args = Upload { path: show.path.clone(), cid: None, no_deal: false, car: false };
    let answer = upload::send(&show.stage.client, &args).await?;
    show.cid = answer["cid"].as_str().unwrap_or_default().to_owned();
    let details = [
        format!("cid   {}", show.cid),
        format!("piece {} ({} bytes padded)", text(&answer["pieceCid"]), answer["pieceSize"]),
        format!("sha2-256 of the source {}", show.digest),
    ];
    let said = format!(
        "{} ({} bytes) is on the node's disk, packed and hashed; job {} asks for {COPIES} copies",
        show.path.display(),
        answer["bytes"],
        answer["job"]
    );
    show.report.step(
        "stored",
        &said,
        &details,
        json!({
            "cid": show.cid, "pieceCid": answer["pieceCid"], "pieceSize": answer["pieceSize"],
            "bytes": answer["bytes"], "job": answer["job"], "sha256": show.digest,
        }),
    );

    let standing = show
        .until("three copies proven at a finalized tipset", async |standing| {
            Ok((standing.proven().len() == COPIES).then(|| standing.clone()))
        })
        .await?;
    let copies = standing.proven();
    standing.verify(show.stage, &copies).await?;
    let operators: BTreeSet<&str> = copies.iter().map(|copy| copy.operator.as_str()).collect();
    show.ensure(operators.len() == COPIES, || format!("three operators, not {operators:?}"))?;
    let said = format!(
        "{COPIES} of {COPIES} copies are active in proven sectors at finalized epoch {}",
        standing.finalized
    );
    let mut details: Vec<String> = copies.iter().map(Copy::line).collect();
    details.push(format!("tipset {}", standing.tipset));
    show.report.step(
        "proven",
        &said,
        &details,
        json!({
            "cid": show.cid, "pieceCid": standing.piece, "round": standing.facts(),
            "copies": copies.iter().map(Copy::facts).collect::<Vec<_>>(),
        }),
    );

    let listed = show.until_listed(&copies).await?;
    let said = format!("the contract's getActiveDeals returns exactly these {COPIES}: {:?}", listed.deals);
    show.report.step(
        "attested",
        &said,
        &[],
        json!({
            "cid": show.cid, "contract": show.stage.contract, "block": listed.block, "activeDeals": listed.deals,
        }),
    );
    Ok(())
}

fn text(value: &Value) -> &str {
    value.as_str().unwrap_or("?")
}
