//! What the acts share.

use crate::cli::demo::copies::{Copy, Standing};
use crate::cli::demo::digest::digest;
use crate::cli::demo::report::Report;
use crate::cli::demo::stage::Stage;
use crate::cli::demo::{chain, report::ensure};
use crate::cli::failure::Failure;
use crate::cli::words;
use serde_json::json;
use std::path::{Path, PathBuf};

/// Most steps to any one thing the demo waits for; some dozens are normal.
const STEPS_MAX: u32 = 500;

/// What `getActiveDeals` returned.
pub struct Listed {
    /// Deal ids, sorted.
    pub deals: Vec<u64>,
    /// The block, as hex.
    pub block: String,
}

/// The running demo.
pub struct Show<'a> {
    /// Devnet and node.
    pub stage: &'a Stage,
    /// Where steps are told.
    pub report: &'a Report,
    /// What is stored.
    pub path: PathBuf,
    /// Its hash before anything was done.
    pub digest: String,
    /// Its CID, once stored.
    pub cid: String,
}

impl<'a> Show<'a> {
    /// Hashes the subject and says where everything is.
    pub fn begin(stage: &'a Stage, report: &'a Report, path: &Path) -> Result<Self, Failure> {
        let digest = digest(path)?;
        let details = [
            format!("api {}, data {}, chain rpc {}", stage.admin, stage.data, stage.rpc),
            format!("contract {} (DealStatus)", stage.contract),
            "all money here is play money; providers may pull from loopback".to_owned(),
        ];
        let text = format!("a node on {} with {} storage providers", stage.network, stage.providers.len());
        let providers: serde_json::Map<_, _> =
            stage.providers.iter().map(|(id, url)| (id.clone(), url.clone().into())).collect();
        report.step(
            "started",
            &text,
            &details,
            json!({
                "admin": stage.admin, "data": stage.data, "rpc": stage.rpc, "contract": stage.contract,
                "providers": providers, "path": path.display().to_string(), "sha256": digest,
            }),
        );
        Ok(Self { stage, report, path: path.to_owned(), digest, cid: String::new() })
    }

    /// How the holding stands at this rest.
    pub async fn standing(&self) -> Result<Standing, Failure> {
        Standing::ask(self.stage, &self.cid).await
    }

    /// Steps until `holds` gives something of the holding's standing.
    pub async fn until<T>(
        &self,
        waited_for: &str,
        mut holds: impl AsyncFnMut(&Standing) -> Result<Option<T>, Failure>,
    ) -> Result<T, Failure> {
        let mut waits = Vec::new();
        let found = self
            .stage
            .stepper
            .until(waited_for, STEPS_MAX, async |_| {
                let standing = self.standing().await?;
                waits.clone_from(&standing.waits);
                holds(&standing).await
            })
            .await;
        found.map_err(|failure: Failure| match failure {
            Failure::Failed(error) => {
                let waits: Vec<String> = waits.iter().map(words::wait).collect();
                Failure::Failed(error.context(format!("the node waits: {}", waits.join("; "))))
            }
            other => other,
        })
    }

    /// The contract's list now, sorted, and the block it was read at.
    async fn listed(&self) -> Result<Listed, Failure> {
        let block = self.stage.stepper.rpc("eth_blockNumber", json!([])).await?;
        let block = block.as_str().unwrap_or("latest").to_owned();
        let cid: raas_core::cid::DataCid = self.cid.parse()?;
        let deals = chain::active_deals(&self.stage.stepper, &self.stage.contract, cid.cid(), &block).await?;
        Ok(Listed { deals, block })
    }

    /// Steps until the contract lists exactly the deals of `copies` as active.
    pub async fn until_listed(&self, copies: &[Copy]) -> Result<Listed, Failure> {
        let mut wanted: Vec<u64> = copies.iter().filter_map(|copy| copy.deal).collect();
        wanted.sort_unstable();
        let waited_for = format!("getActiveDeals to return exactly {wanted:?}");
        self.stage
            .stepper
            .until(&waited_for, STEPS_MAX, async |_| {
                let listed = self.listed().await?;
                Ok::<_, Failure>((listed.deals == wanted).then_some(listed))
            })
            .await
    }

    /// A claim that must hold.
    pub fn ensure(&self, holds: bool, claim: impl FnOnce() -> String) -> Result<(), Failure> {
        ensure(holds, claim)
    }
}
