//! The contract: that it is there, what it can tell, and whether its events can still be read.

use super::{Findings, Patient};
use raas_clients::evm::DealStatus;
use raas_core::observation::{NotSeen, Round};
use raas_core::ports::{Contract, Witness};
use raas_core::units::Epoch;

const AREA: &str = "contract";

/// Looks at the configured contract.
pub(super) async fn contract(patient: &Patient<'_>, round: &Round, findings: &mut Findings) {
    let Some(address) = &patient.config.contract.address else {
        if patient.devnet {
            findings.ok(AREA, "", "none is named: the node deploys one on a devnet");
        } else {
            findings.ok(AREA, "", "none is named: jobs come by the API alone");
        }
        return;
    };
    let Ok(parsed) = address.parse() else {
        findings.problem(AREA, address, "is no address", "0x and 40 hex digits are needed");
        return;
    };
    let contract = DealStatus::new(patient.pool.clone(), parsed);
    match contract.code_hash().await {
        Ok(Some(hash)) => findings.ok(AREA, address, format!("has code, keccak-256 {hash}")),
        Ok(None) => {
            let fix = "see that contract.address and the network are right";
            findings.problem(AREA, address, "there is no contract at this address", fix);
            return;
        }
        Err(why) => {
            let fix = "an endpoint must answer eth_getCode";
            findings.problem(AREA, address, format!("its code could not be read: {why:?}"), fix);
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
            findings.problem(
                AREA,
                address,
                format!("could not be asked: {why:?}"),
                "mend the endpoints above",
            );
            return;
        }
    };
    if patient.config.contract.from_block.is_none() && !patient.devnet {
        let fix = "set contract.from_block to the block of its deployment";
        findings.warning(AREA, address, "its events are looked for from block 0", fix);
    }
    events(patient, &contract, round, address, counts, findings).await;
}

/// Whether its newest events can be read and vouched for, and those from where a new node would begin.
async fn events(
    patient: &Patient<'_>,
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
            findings.problem(AREA, address, format!("its newest events could not be read: {why:?}"), fix);
        }
    }
    let first = Epoch(patient.config.contract.from_block.unwrap_or(0).max(0));
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
        } else {
            let fix = "name an endpoint that keeps the whole history, or set contract.skip_to_block";
            let found =
                format!("no endpoint keeps block {first}: a new node cannot read the events from there");
            findings.problem(AREA, address, found, fix);
        }
    }
}
