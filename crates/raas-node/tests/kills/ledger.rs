//! The devnet's ledger as a judge reads it. Shares no code with the node.

use serde_json::Value;
use std::collections::{BTreeMap, BTreeSet};

/// Entries shown when a condition does not come.
const TAIL: usize = 40;

/// A published deal and what became of it.
#[derive(Clone, Debug)]
pub struct Deal {
    /// Whose miner has it.
    pub operator: u64,
    /// The client's account.
    pub client: u64,
    /// The piece's CID.
    pub piece: String,
    /// The proposal's CID.
    pub proposal: String,
    /// Price of the whole term, attoFIL.
    pub cost: u128,
    /// Whether its sector was proven.
    pub active: bool,
    /// Whether it ended, was terminated, or never activated in time.
    pub over: bool,
}

/// All entries.
#[derive(Debug)]
pub struct Ledger {
    entries: Vec<Value>,
}

impl Ledger {
    /// From `devnet_ledger`.
    pub fn read(json: &Value) -> Self {
        Self { entries: json.as_array().expect("entries").clone() }
    }

    /// Its end, a line per entry.
    pub fn tail(&self) -> impl Iterator<Item = String> {
        self.entries.iter().skip(self.entries.len().saturating_sub(TAIL)).map(Value::to_string)
    }

    /// Entries of a kind.
    pub fn of(&self, kind: &str) -> impl Iterator<Item = &Value> {
        self.entries.iter().filter(move |entry| entry["kind"] == kind)
    }

    /// The CIDs of the proposals that providers received, by deal UUID.
    pub fn proposals(&self) -> BTreeMap<String, BTreeSet<String>> {
        let mut proposals: BTreeMap<String, BTreeSet<String>> = BTreeMap::new();
        for entry in self.of("proposed") {
            proposals.entry(text(entry, "dealUuid")).or_default().insert(text(entry, "proposalCid"));
        }
        proposals
    }

    /// What every proposal costs that providers received, by its CID.
    pub fn signed(&self) -> BTreeMap<String, u128> {
        self.of("proposed").map(|entry| (text(entry, "proposalCid"), cost(entry))).collect()
    }

    /// Every deal, by id.
    pub fn deals(&self) -> BTreeMap<u64, Deal> {
        let mut deals = BTreeMap::new();
        for entry in &self.entries {
            let id = || number(entry, "dealId");
            match entry["kind"].as_str().expect("a kind") {
                "published" => {
                    let deal = Deal {
                        operator: number(entry, "operator"),
                        client: number(entry, "client"),
                        piece: text(entry, "pieceCid"),
                        proposal: text(entry, "proposalCid"),
                        cost: cost(entry),
                        active: false,
                        over: false,
                    };
                    assert!(deals.insert(id(), deal).is_none(), "deal {} twice", id());
                }
                "activated" => deals.get_mut(&id()).expect("published before").active = true,
                "ended" | "terminated" | "neverActivated" => {
                    deals.get_mut(&id()).expect("published before").over = true;
                }
                _ => {}
            }
        }
        deals
    }

    /// The operators that prove a copy now. Nothing becomes faulty in these lives without being terminated.
    pub fn proven(&self) -> BTreeSet<u64> {
        self.deals().values().filter(|deal| deal.active && !deal.over).map(|deal| deal.operator).collect()
    }

    /// (request, deal) of every `CompleteAggregatorRequest` log, of whatever contract.
    pub fn completions(&self) -> Vec<(u64, u64)> {
        // keccak-256 of CompleteAggregatorRequest(uint256,uint64), the frozen topic.
        const TOPIC: &str = "fcfb278ce1c62d14ce854540f204ef9fc7d58f09adc7bd773da126dd906bb980";
        let mut found: Vec<(u64, u64)> = self
            .of("log")
            .filter_map(|entry| {
                let topics: Vec<&str> =
                    entry["topics"].as_array()?.iter().filter_map(Value::as_str).collect();
                let [topic, request, deal] = topics.as_slice() else { return None };
                topic.ends_with(TOPIC).then(|| (word(request), word(deal)))
            })
            .collect();
        found.sort_unstable();
        found
    }

    /// All that was ever brought to escrow, attoFIL.
    pub fn added(&self) -> u128 {
        self.of("balanceAdded").map(|entry| attofil(entry, "amount")).sum()
    }
}

fn text(entry: &Value, field: &str) -> String {
    entry[field].as_str().unwrap_or_else(|| panic!("{field} of {entry}")).to_owned()
}

fn number(entry: &Value, field: &str) -> u64 {
    entry[field].as_u64().unwrap_or_else(|| panic!("{field} of {entry}"))
}

fn attofil(entry: &Value, field: &str) -> u128 {
    text(entry, field).parse().unwrap_or_else(|_| panic!("{field} of {entry}"))
}

fn cost(entry: &Value) -> u128 {
    let epochs = number(entry, "endEpoch") - number(entry, "startEpoch");
    attofil(entry, "pricePerEpoch") * u128::from(epochs)
}

/// The low eight bytes of a 32-byte word in hex.
fn word(hex: &str) -> u64 {
    u64::from_str_radix(&hex[hex.len() - 16..], 16).expect("hex")
}
