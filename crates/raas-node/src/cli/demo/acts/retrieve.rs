//! Retrieve: the node's own copy is gone, the bytes come back from a provider.

use super::Show;
use crate::cli::demo::digest::digest;
use crate::cli::failure::Failure;
use crate::cli::get;
use serde_json::json;
use std::fs;

/// Deletes the local copy behind the node's back and fetches the subject.
pub async fn retrieve(show: &mut Show<'_>) -> Result<(), Failure> {
    let standing = show.standing().await?;
    let file = show.stage.pieces().join(format!("{}.car", standing.piece));
    let bytes = fs::metadata(&file)?.len();
    fs::remove_file(&file)?;
    let said = format!("the node's own copy is deleted: {bytes} bytes of {}", standing.piece);
    show.report.step("deleted", &said, &[], json!({ "pieceCid": standing.piece, "carBytes": bytes }));

    let back = show.stage.scratch().join("retrieved");
    let fetched = get::fetch_to(&show.stage.client, &show.cid, &back).await?;
    let digest = digest(&back)?;
    show.ensure(digest == show.digest, || format!("the bytes are the same: {digest}, not {}", show.digest))?;
    let url = show.stage.providers.iter().find(|(id, _)| *id == fetched.source).map(|(_, url)| url.clone());
    show.ensure(url.is_some(), || format!("the bytes came from a provider, not from {}", fetched.source))?;
    let said = format!("/ipfs gives the same bytes back, from {} and verified on the way", fetched.source);
    let details = [format!("sha2-256 {digest}")];
    show.report.step(
        "retrieved",
        &said,
        &details,
        json!({
            "cid": show.cid, "pieceCid": standing.piece, "source": fetched.source, "sourceUrl": url,
            "sha256": digest, "bytes": fetched.bytes,
        }),
    );
    Ok(())
}
