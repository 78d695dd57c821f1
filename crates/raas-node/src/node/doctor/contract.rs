//! The contract: that it is there, what it can tell, and whether its events can still be read.

use super::{Findings, Patient};
use crate::settings::ContractAt;
use raas_clients::evm::{AbiKind, DealStatus};
use raas_core::observation::{NotSeen, Round};
use raas_core::ports::{Contract, Witness};
use raas_core::units::Epoch;

const AREA: &str = "contract";

/// Looks at the configured contracts.
pub(super) async fn contracts(patient: &Patient<'_>, round: &Round, findings: &mut Findings) {
    let config = patient.config;
    let (own, further) = match (config.own_contract(), config.deployments()) {
        (Ok(own), Ok(further)) => (own, further),
        (Err(error), _) | (_, Err(error)) => {
            findings.problem(AREA, "", error.to_string(), "mend the configuration");
            return;
        }
    };
    match own {
        Some(own) => {
            contract(patient, &own, round, findings).await;
            if config.contract.from_block.is_none() && !patient.devnet {
                let fix = "set contract.from_block to the block of its deployment";
                findings.warning(
                    AREA,
                    &own.address.to_string(),
                    "its events are looked for from block 0",
                    fix,
                );
            }
        }
        None if patient.devnet => {
            findings.ok(AREA, "", "none is named: the node deploys one on a devnet");
        }
        None => findings.ok(AREA, "", "none is named to register jobs of the API at"),
    }
    for at in further {
        contract(patient, &at, round, findings).await;
    }
}

async fn contract(patient: &Patient<'_>, at: &ContractAt, round: &Round, findings: &mut Findings) {
    let address = &at.address.to_string();
    let contract = DealStatus::new(patient.pool.clone(), at.address.0.into());
    match contract.code_hash().await {
        Ok(Some(hash)) => findings.ok(AREA, address, format!("has code, keccak-256 {hash}")),
        Ok(None) => {
            let fix = "see that contract.address and the network are right";
            findings.problem(AREA, address, "there is no contract at this address", fix);
            return;
        }
        Err(why) => {
            let fix = "an endpoint must answer eth_getCode";
            findings.problem(AREA, address, format!("its code could not be read: {why}"), fix);
            return;
        }
    }
    let counts = match contract.request_count(round.eth_block).await {
        Ok(Some(count)) => {
            findings.ok(AREA, address, format!("counts {count} requests"));
            true
        }
        Ok(None) => {
            let fix =
                "name two endpoints, so that its logs can be compared, and one that keeps the whole history";
            let found = "does not count its requests, as reference deployments do not: a gap in its logs cannot be made up for";
            findings.warning(AREA, address, found, fix);
            false
        }
        Err(why) => {
            findings.problem(AREA, address, format!("could not be asked: {why}"), "mend the endpoints above");
            return;
        }
    };
    events(at, &contract, round, address, counts, findings).await;
}

/// Whether its newest events can be read and vouched for, and those from where a new node would begin.
async fn events(
    at: &ContractAt,
    contract: &DealStatus,
    round: &Round,
    address: &str,
    counts: bool,
    findings: &mut Findings,
) {
    let to = round.eth_block;
    let from = Epoch(to.0.saturating_sub(60).max(0));
    match contract.window(round, from, to).await {
        Ok(window) => match window.witness {
            Witness::None => {
                let fix = "name a second endpoint, or one that offers StateGetActor and eth_getBlockReceipts";
                findings.problem(AREA, address, "nothing vouches for its logs: they are not believed", fix);
            }
            Witness::Endpoints(count) => {
                findings.ok(AREA, address, format!("{count} endpoints tell the same logs"))
            }
            Witness::State | Witness::Receipts => {
                findings.ok(AREA, address, "its state and receipts vouch for its logs");
            }
        },
        Err(why) => {
            let fix =
                "see the endpoints above; eth_getLogs must be offered and two must not contradict each other";
            findings.problem(AREA, address, format!("its newest events could not be read: {why}"), fix);
        }
    }
    let first = at.from_block;
    if first.0 >= from.0 {
        return;
    }
    let last = Epoch(first.0.saturating_add(1).min(to.0));
    if contract.window(round, first, last).await == Err(NotSeen::MissingState) {
        if counts {
            let found = format!(
                "no endpoint keeps block {first}; a new node takes older requests from the contract's views"
            );
            findings.ok(AREA, address, found);
        } else if at.abi == AbiKind::Reference {
            let fix = "name an endpoint that keeps the whole history";
            let found = format!(
                "no endpoint keeps block {first}: of older requests a new node learns the CIDs, and not what they ask for"
            );
            findings.warning(AREA, address, found, fix);
        } else {
            let fix = "name an endpoint that keeps the whole history, or set contract.skip_to_block";
            let found =
                format!("no endpoint keeps block {first}: a new node cannot read the events from there");
            findings.problem(AREA, address, found, fix);
        }
    }
}
