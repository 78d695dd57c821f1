//! The demo's own look at the chain: raw JSON-RPC, sharing no code with the node's clients.

use super::stepper::{StepError, Stepper};
use crate::cli::failure::Failure;
use alloy_primitives::keccak256;
use serde_json::{Value, json};

/// A deal as the market and its miner show it at one tipset.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Deal {
    /// Its piece.
    pub piece: String,
    /// Who stores.
    pub provider: String,
    /// First epoch of the term.
    pub start: i64,
    /// Epoch after the term.
    pub end: i64,
    /// Since when it is active.
    pub active_since: Option<i64>,
    /// Its sector, once active.
    pub sector: Option<u64>,
    /// Whether the miner lists its sector as faulty.
    pub faulty: bool,
}

impl Deal {
    /// Active, in a sector that is not faulty, within its term at `height`.
    pub const fn is_proven(&self, height: i64) -> bool {
        self.active_since.is_some() && !self.faulty && height < self.end
    }
}

/// A deal at the tipset whose key is `tipset` (CIDs joined with commas); `None` when the market has it no more.
pub async fn deal(stepper: &Stepper, tipset: &str, id: u64) -> Result<Option<Deal>, Failure> {
    let key: Vec<Value> = tipset.split(',').map(|cid| json!({ "/": cid })).collect();
    let answer = match stepper.rpc("Filecoin.StateMarketStorageDeal", json!([id, key])).await {
        Ok(answer) => answer,
        Err(StepError::Refused { why, .. }) if why.starts_with("deal ") => return Ok(None),
        Err(error) => return Err(error.into()),
    };
    let (proposal, state) = (&answer["Proposal"], &answer["State"]);
    let provider = text(&proposal["Provider"])?;
    let active_since = state["SectorStartEpoch"].as_i64().filter(|epoch| *epoch >= 0);
    let sector = active_since.and_then(|_| state["SectorNumber"].as_u64());
    let faulty = match sector {
        Some(sector) => {
            let faults = stepper.rpc("Filecoin.StateMinerFaults", json!([provider, key])).await?;
            runs_contain(&faults, sector)
        }
        None => false,
    };
    Ok(Some(Deal {
        piece: text(&proposal["PieceCID"]["/"])?,
        provider: format!("f{}", provider.get(1..).unwrap_or_default()),
        start: number(&proposal["StartEpoch"])?,
        end: number(&proposal["EndEpoch"])?,
        active_since,
        sector,
        faulty,
    }))
}

fn text(value: &Value) -> Result<String, Failure> {
    value
        .as_str()
        .map(str::to_owned)
        .ok_or_else(|| Failure::failed("the chain's answer has an unknown shape"))
}

fn number(value: &Value) -> Result<i64, Failure> {
    value.as_i64().ok_or_else(|| Failure::failed("the chain's answer has an unknown shape"))
}

/// A bit field as Lotus writes it: lengths of runs, the first one of zeros.
fn runs_contain(runs: &Value, wanted: u64) -> bool {
    let mut at = 0_u64;
    for (index, run) in runs.as_array().into_iter().flatten().filter_map(Value::as_u64).enumerate() {
        at += run;
        if wanted < at {
            return index % 2 == 1;
        }
    }
    false
}

/// The deals that the contract says are active for a CID at a block: what anyone gets from `eth_call`.
pub async fn active_deals(
    stepper: &Stepper,
    contract: &str,
    cid: &cid::Cid,
    block: &str,
) -> Result<Vec<u64>, Failure> {
    let data = call("getActiveDeals(bytes)", &cid.to_bytes());
    let answer = stepper.rpc("eth_call", json!([{ "to": contract, "data": data }, block])).await?;
    let bytes = hex::decode(text(&answer)?.trim_start_matches("0x"))?;
    let mut deals: Vec<u64> = pairs(&bytes)
        .ok_or_else(|| Failure::failed("getActiveDeals: unreadable answer"))?
        .into_iter()
        .map(|(deal, _)| deal)
        .collect();
    deals.sort_unstable();
    Ok(deals)
}

/// Call data of a function that takes one `bytes`.
fn call(signature: &str, argument: &[u8]) -> String {
    let mut data = keccak256(signature).0[..4].to_vec();
    data.extend(word(32));
    data.extend(word(argument.len() as u64));
    data.extend(argument);
    data.resize(4 + 64 + argument.len().div_ceil(32) * 32, 0);
    format!("0x{}", hex::encode(data))
}

fn word(number: u64) -> [u8; 32] {
    let mut word = [0; 32];
    word[24..].copy_from_slice(&number.to_be_bytes());
    word
}

/// An ABI array of pairs of `uint64`.
fn pairs(bytes: &[u8]) -> Option<Vec<(u64, u64)>> {
    let read = |index: usize| -> Option<u64> {
        let word = bytes.get(index * 32..index * 32 + 32)?;
        Some(u64::from_be_bytes(word[24..].try_into().ok()?))
    };
    let count = usize::try_from(read(1)?).ok()?;
    (0..count).map(|index| Some((read(2 + 2 * index)?, read(3 + 2 * index)?))).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn runs_of_a_bit_field() {
        let runs = json!([2, 1, 3, 2]);
        let set: Vec<u64> = (0..10).filter(|bit| runs_contain(&runs, *bit)).collect();
        assert_eq!(set, [2, 6, 7]);
        assert!(!runs_contain(&json!([0]), 0) && runs_contain(&json!([0, 1]), 0));
    }

    #[test]
    fn call_data_and_answers_of_the_view() {
        let data = call("getActiveDeals(bytes)", &[1, 2, 3]);
        assert_eq!(data.len(), 2 + 2 * (4 + 96));
        assert!(data.ends_with(&format!("{:064x}{:0<64}", 3, "010203")));
        let mut answer = [word(32), word(2)].concat();
        answer.extend([word(7), word(1_000), word(9), word(1_002)].concat());
        assert_eq!(pairs(&answer), Some(vec![(7, 1_000), (9, 1_002)]));
        assert_eq!(pairs(&answer[..100]), None);
    }
}
