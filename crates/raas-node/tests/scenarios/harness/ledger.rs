//! The devnet's ledger as a judge reads it. Shares no code with the node.

use serde::Deserialize;
use serde_json::Value;
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

/// One entry as it stands in the ledger.
#[derive(Clone, Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Entry {
    /// When.
    pub epoch: i64,
    /// What.
    pub kind: String,
    #[serde(flatten)]
    rest: Value,
}

impl Entry {
    /// A number of the entry.
    pub fn number(&self, field: &str) -> u64 {
        self.rest[field].as_u64().unwrap_or_else(|| panic!("{field} of {self:?}"))
    }

    /// A text of the entry.
    pub fn text(&self, field: &str) -> &str {
        self.rest[field].as_str().unwrap_or_else(|| panic!("{field} of {self:?}"))
    }
}

/// A published deal and what became of it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Deal {
    /// Its id.
    pub id: u64,
    /// At whom.
    pub provider: u64,
    /// Whose miner that is.
    pub operator: u64,
    /// The piece's CID, v1.
    pub piece: String,
    /// When it was published.
    pub published: i64,
    /// First epoch of the term.
    pub start: i64,
    /// First epoch after the term.
    pub end: i64,
    /// When its sector was proven first.
    pub activated: Option<i64>,
    /// In which sector.
    pub sector: Option<u64>,
    /// When it was over: ended, terminated or never activated.
    pub over: Option<(i64, String)>,
}

/// All entries.
#[derive(Clone, Default)]
pub struct Ledger {
    entries: Vec<Arc<Entry>>,
}

impl Ledger {
    /// How many of the first entries do not change any more: those before the newest epoch, unless a reorganisation
    /// takes them away.
    pub fn settled(&self) -> usize {
        let newest = self.entries.last().map(|entry| entry.epoch);
        self.entries.partition_point(|entry| Some(entry.epoch) < newest)
    }

    /// Takes what `devnet_ledger` tells from index `from` on.
    pub fn go_on(&mut self, from: usize, told: Value) {
        let told: Vec<Entry> = serde_json::from_value(told).expect("ledger entries");
        self.entries.truncate(from);
        self.entries.extend(told.into_iter().map(Arc::new));
    }

    /// Entries of one kind.
    pub fn of<'a>(&'a self, kind: &'a str) -> impl Iterator<Item = &'a Entry> {
        self.entries.iter().map(Arc::as_ref).filter(move |entry| entry.kind == kind)
    }

    /// Every proposal that reached a provider, by its CID: a repetition of the same bytes is the same proposal.
    pub fn proposals(&self) -> BTreeSet<String> {
        self.of("proposed").map(|entry| entry.text("proposalCid").to_owned()).collect()
    }

    /// Epoch and provider of each proposal when it was first made, in order.
    pub fn proposed(&self) -> Vec<(i64, u64)> {
        let mut seen = BTreeSet::new();
        self.of("proposed")
            .filter(|entry| seen.insert(entry.text("proposalCid")))
            .map(|entry| (entry.epoch, entry.number("provider")))
            .collect()
    }

    /// Entries that somebody signed: proposals, messages and transactions. What a node does shows here.
    pub fn acts(&self) -> usize {
        self.entries.iter().filter(|entry| matches!(entry.kind.as_str(), "proposed" | "transaction")).count()
            + self.of("balanceAdded").count()
    }

    /// Every deal for `piece`, by id.
    pub fn deals(&self, piece: &str) -> BTreeMap<u64, Deal> {
        let mut deals = BTreeMap::new();
        for entry in &self.entries {
            self.apply(entry, &mut deals);
        }
        deals.retain(|_, deal| deal.piece == piece);
        deals
    }

    fn apply(&self, entry: &Entry, deals: &mut BTreeMap<u64, Deal>) {
        match entry.kind.as_str() {
            "published" => {
                let deal = Deal {
                    id: entry.number("dealId"),
                    provider: entry.number("provider"),
                    operator: entry.number("operator"),
                    piece: entry.text("pieceCid").to_owned(),
                    published: entry.epoch,
                    start: entry.rest["startEpoch"].as_i64().expect("a start"),
                    end: entry.rest["endEpoch"].as_i64().expect("an end"),
                    activated: None,
                    sector: None,
                    over: None,
                };
                deals.insert(deal.id, deal);
            }
            "activated" => {
                let deal = deals.get_mut(&entry.number("dealId")).expect("published before");
                deal.activated = Some(entry.epoch);
                deal.sector = Some(entry.number("sector"));
            }
            "ended" | "terminated" | "neverActivated" => {
                // Deals made in bulk have no facts of their making.
                let Some(deal) = deals.get_mut(&entry.number("dealId")) else { return };
                deal.over.get_or_insert((entry.epoch, entry.kind.clone()));
            }
            _ => {}
        }
    }

    /// After each epoch in which something happened: on how many distinct operators `piece` was proven (active, not
    /// over, sector not faulty).
    pub fn proven_history(&self, piece: &str) -> Vec<(i64, usize)> {
        let mut deals: BTreeMap<u64, Deal> = BTreeMap::new();
        let mut faulty: BTreeSet<(u64, u64)> = BTreeSet::new();
        let mut history: Vec<(i64, usize)> = Vec::new();
        for entry in &self.entries {
            self.apply(entry, &mut deals);
            mark(entry, &mut faulty);
            let proven = deals.values().filter(|deal| deal.piece == piece && is_proven(deal, &faulty));
            let operators: BTreeSet<u64> = proven.map(|deal| deal.operator).collect();
            // Entries of one epoch are in order of their bytes, so only the state after the epoch counts.
            match history.last_mut() {
                Some((epoch, count)) if *epoch == entry.epoch => *count = operators.len(),
                _ => history.push((entry.epoch, operators.len())),
            }
        }
        history
    }

    /// On how many distinct operators every piece is proven now.
    pub fn proven_by_piece(&self) -> BTreeMap<String, usize> {
        let mut deals: BTreeMap<u64, Deal> = BTreeMap::new();
        let mut faulty: BTreeSet<(u64, u64)> = BTreeSet::new();
        for entry in &self.entries {
            self.apply(entry, &mut deals);
            mark(entry, &mut faulty);
        }
        let mut operators: BTreeMap<String, BTreeSet<u64>> = BTreeMap::new();
        for deal in deals.into_values().filter(|deal| is_proven(deal, &faulty)) {
            operators.entry(deal.piece).or_default().insert(deal.operator);
        }
        operators.into_iter().map(|(piece, operators)| (piece, operators.len())).collect()
    }

    /// Active deals at `provider` that are not over.
    pub fn live_deals_at(&self, provider: u64) -> usize {
        let mut deals: BTreeMap<u64, Deal> = BTreeMap::new();
        self.entries.iter().for_each(|entry| self.apply(entry, &mut deals));
        let live =
            |deal: &&Deal| deal.provider == provider && deal.activated.is_some() && deal.over.is_none();
        deals.values().filter(live).count()
    }

    /// On how many distinct operators `piece` is proven now.
    pub fn proven(&self, piece: &str) -> usize {
        self.proven_history(piece).last().map_or(0, |(_, count)| *count)
    }

    /// Calls of the function with this selector that were executed: when, and whether with success.
    pub fn calls(&self, selector: &str) -> Vec<(i64, bool)> {
        self.of("transaction")
            .filter(|entry| entry.text("selector") == selector)
            .map(|entry| (entry.epoch, entry.rest["success"] == true))
            .collect()
    }

    /// `CompleteAggregatorRequest` logs of `contract`: (request, deal), in order of both.
    pub fn completions(&self, contract: &str) -> Vec<(u64, u64)> {
        // keccak-256 of CompleteAggregatorRequest(uint256,uint64), the frozen topic.
        const TOPIC: &str = "fcfb278ce1c62d14ce854540f204ef9fc7d58f09adc7bd773da126dd906bb980";
        let mut found: Vec<(u64, u64)> = self
            .of("log")
            .filter(|entry| entry.text("contract").eq_ignore_ascii_case(contract))
            .filter_map(|entry| {
                let topics: Vec<&str> =
                    entry.rest["topics"].as_array()?.iter().filter_map(Value::as_str).collect();
                let [topic, request, deal] = topics.as_slice() else { return None };
                topic.ends_with(TOPIC).then(|| (word(request), word(deal)))
            })
            .collect();
        found.sort_unstable();
        found
    }
}

/// Keeps the set of faulty (provider, sector).
fn mark(entry: &Entry, faulty: &mut BTreeSet<(u64, u64)>) {
    let sector = || (entry.number("provider"), entry.number("sector"));
    match entry.kind.as_str() {
        "faulted" => {
            faulty.insert(sector());
        }
        "recovered" => {
            faulty.remove(&sector());
        }
        _ => {}
    }
}

/// Active, not over, its sector not faulty.
fn is_proven(deal: &Deal, faulty: &BTreeSet<(u64, u64)>) -> bool {
    deal.over.is_none() && deal.sector.is_some_and(|sector| !faulty.contains(&(deal.provider, sector)))
}

/// The low eight bytes of a 32-byte word in hex.
fn word(hex: &str) -> u64 {
    u64::from_str_radix(&hex[hex.len() - 16..], 16).expect("hex")
}
