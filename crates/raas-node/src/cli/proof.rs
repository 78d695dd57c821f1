//! `raas proof`: that a piece is in an aggregate, for whoever wants to check it.

use super::client::Client;
use super::failure::Failure;
use super::output;
use super::words::plain;
use clap::Args as ClapArgs;
use raas_core::cid::{Commitment, DataCid};
use reqwest::Method;
use serde_json::Value;

/// `raas proof`.
#[derive(Debug, ClapArgs)]
#[command(
    after_help = "`raas piece verify` checks a proof without any node. With --json all forms of all proofs are printed."
)]
pub struct Proof {
    /// A payload's or a piece's CID, in any form.
    pub cid: String,
    /// Only in this aggregate, by its piece CID.
    #[arg(long)]
    pub aggregate: Option<Commitment>,
}

/// Where the piece lies, and the proof of it.
pub async fn proof(node: &Client, wanted: &Proof, json: bool) -> Result<(), Failure> {
    let cid: DataCid = wanted.cid.parse().map_err(|error| Failure::Usage(format!("cid: {error}")))?;
    let only = wanted.aggregate.map(|aggregate| format!("?aggregate={aggregate}")).unwrap_or_default();
    let answer = node.call(Method::GET, &format!("/v1/proofs/{cid}{only}"), None).await?;
    if json {
        output::json(&answer);
        return Ok(());
    }
    for (at, proof) in answer["proofs"].as_array().into_iter().flatten().enumerate() {
        if at > 0 {
            output::data("");
        }
        shown(proof);
    }
    Ok(())
}

fn shown(proof: &Value) {
    let deals = proof["deals"].as_array().map(Vec::as_slice).unwrap_or_default();
    let deal = |deal: &Value| {
        format!(
            "{} at {} ({})",
            plain(&deal["dealId"]),
            plain(&deal["storageProvider"]),
            plain(&deal["state"])
        )
    };
    let deals: Vec<String> = deals.iter().map(deal).collect();
    output::table(&[
        [
            "piece".to_owned(),
            format!("{} ({} bytes padded)", plain(&proof["pieceCid"]), plain(&proof["pieceSize"])),
        ],
        [
            "aggregate".to_owned(),
            format!(
                "{} ({} bytes padded)",
                plain(&proof["aggregatePieceCid"]),
                plain(&proof["aggregateSize"])
            ),
        ],
        [
            "offset".to_owned(),
            format!("{} padded, {} as served", plain(&proof["offset"]), plain(&proof["byteOffset"])),
        ],
        ["deals".to_owned(), if deals.is_empty() { "none yet".to_owned() } else { deals.join(", ") }],
        ["proof".to_owned(), plain(&proof["proofCid"])],
        ["abi".to_owned(), plain(&proof["abi"]["proof"])],
    ]);
}
