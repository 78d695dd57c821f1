//! The contracts that are followed, as far as the rules must know them: what each takes as a completion.

use raas_core::holding::Completes;
use raas_core::ids::ContractAddress;
use sqlx::SqliteConnection;

use super::error::Error;
use super::open::Store;

impl Store {
    /// Replaces what is known of the contracts. Holdings with requests of one that came, went or takes something else
    /// now are planned again.
    pub async fn set_deployments(&self, deployments: &[(ContractAddress, Completes)]) -> Result<(), Error> {
        let mut tx = self.write().await?;
        let before: Vec<(String, String)> =
            sqlx::query_as("SELECT contract, completes FROM deployment ORDER BY contract")
                .fetch_all(&mut *tx)
                .await?;
        let mut now: Vec<(String, String)> = deployments
            .iter()
            .map(|(contract, completes)| (contract.to_string(), name(*completes).to_owned()))
            .collect();
        now.sort();
        sqlx::query("DELETE FROM deployment").execute(&mut *tx).await?;
        for (contract, completes) in &now {
            sqlx::query("INSERT INTO deployment (contract, completes) VALUES ($1, $2)")
                .bind(contract)
                .bind(completes)
                .execute(&mut *tx)
                .await?;
        }
        let changed = before.iter().filter(|old| !now.contains(old));
        for (contract, _) in changed.chain(now.iter().filter(|new| !before.contains(new))) {
            plan_again(&mut tx, contract).await?;
        }
        tx.commit().await?;
        Ok(())
    }
}

async fn plan_again(connection: &mut SqliteConnection, contract: &str) -> Result<(), Error> {
    for sql in [
        "DELETE FROM dirty WHERE holding IN (SELECT holding FROM job WHERE contract = $1)",
        "INSERT INTO dirty (holding) SELECT DISTINCT holding FROM job WHERE contract = $1",
    ] {
        sqlx::query(sql).bind(contract).execute(&mut *connection).await?;
    }
    Ok(())
}

const fn name(completes: Completes) -> &'static str {
    match completes {
        Completes::Direct => "direct",
        Completes::InAggregate => "in_aggregate",
    }
}

/// What a column of the table says.
pub(super) fn completes(text: Option<&str>) -> Result<Option<Completes>, Error> {
    match text {
        None => Ok(None),
        Some("direct") => Ok(Some(Completes::Direct)),
        Some("in_aggregate") => Ok(Some(Completes::InAggregate)),
        Some(other) => {
            Err(Error::Unreadable { format: "deployment's completions", source: other.to_owned().into() })
        }
    }
}
