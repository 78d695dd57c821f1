//! The copies of the demo's holding as `why` tells them.

use super::chain::{self, Deal};
use super::report::ensure;
use super::stage::Stage;
use crate::cli::failure::Failure;
use reqwest::Method;
use serde_json::{Value, json};

/// One order with its deal.
#[derive(Clone, Debug)]
pub struct Copy {
    /// The order's number.
    pub order: u64,
    /// Its place; `None` for a spare.
    pub slot: Option<u64>,
    /// State of the order.
    pub state: String,
    /// Health of the copy.
    pub health: String,
    /// The fault under watch.
    pub faulty_since: Option<i64>,
    /// `replicate`, `renew`, `repair`.
    pub cause: String,
    /// The order that it renews or repairs.
    pub of: Option<u64>,
    /// The deal, once published.
    pub deal: Option<u64>,
    /// Its sector, once active.
    pub sector: Option<u64>,
    /// Where.
    pub provider: String,
    /// Who runs it.
    pub operator: String,
    /// The signed proposal.
    pub proposal: String,
    /// Epoch after the term.
    pub end: i64,
}

impl Copy {
    fn read(order: &Value) -> Option<Self> {
        let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
        Some(Self {
            order: order["order"].as_u64()?,
            slot: order["slots"][0].as_u64(),
            state: text(&order["state"]),
            health: text(&order["health"]["health"]),
            faulty_since: order["health"]["fault"]["since"].as_i64(),
            cause: text(&order["cause"]["cause"]),
            of: order["cause"]["of"].as_u64(),
            deal: order["dealId"].as_u64(),
            sector: order["sector"].as_u64(),
            provider: text(&order["storageProvider"]),
            operator: text(&order["operator"]),
            proposal: text(&order["proposalCid"]),
            end: order["endEpoch"].as_i64().unwrap_or_default(),
        })
    }

    /// Whether the node calls it proven.
    pub fn is_proven(&self) -> bool {
        self.health == "proven"
    }

    /// Deal, provider, operator, proposal, for a person.
    pub fn line(&self) -> String {
        let slot = self.slot.map_or_else(|| "spare".to_owned(), |slot| format!("slot {slot}"));
        let deal = self.deal.map_or_else(|| "no deal id yet".to_owned(), |deal| format!("deal {deal}"));
        format!(
            "{slot}: {deal} at {} (operator {}), {}, proposal {}",
            self.provider, self.operator, self.state, self.proposal
        )
    }

    /// Its facts.
    pub fn facts(&self) -> Value {
        json!({
            "order": self.order, "slot": self.slot, "state": self.state, "cause": self.cause, "of": self.of,
            "dealId": self.deal, "sector": self.sector, "provider": self.provider, "operator": self.operator,
            "proposalCid": self.proposal, "endEpoch": self.end,
        })
    }
}

/// The holding after a round.
#[derive(Clone, Debug)]
pub struct Standing {
    /// Every order, oldest first.
    pub copies: Vec<Copy>,
    /// The finalized tipset.
    pub tipset: String,
    /// Its height.
    pub finalized: i64,
    /// The head.
    pub head: i64,
    /// What is waited for.
    pub waits: Vec<Value>,
    /// The piece.
    pub piece: String,
}

impl Standing {
    /// Asks the node.
    pub async fn ask(stage: &Stage, cid: &str) -> Result<Self, Failure> {
        let why = stage.client.call(Method::GET, &format!("/v1/holdings/{cid}/why"), None).await?;
        let holding = &why["holdings"][0];
        let list = |value: &Value| value.as_array().cloned().unwrap_or_default();
        Ok(Self {
            copies: list(&holding["orders"]).iter().filter_map(Copy::read).collect(),
            tipset: why["round"]["tipset"].as_str().unwrap_or_default().to_owned(),
            finalized: why["round"]["height"].as_i64().unwrap_or_default(),
            head: why["round"]["head"].as_i64().unwrap_or_default(),
            waits: list(&holding["waits"]),
            piece: holding["pieces"][0]["commitment"].as_str().unwrap_or_default().to_owned(),
        })
    }

    /// Those the node calls proven.
    pub fn proven(&self) -> Vec<Copy> {
        self.copies.iter().filter(|copy| copy.is_proven()).cloned().collect()
    }

    /// The one with this order number.
    pub fn order(&self, order: u64) -> Option<&Copy> {
        self.copies.iter().find(|copy| copy.order == order)
    }

    /// The newest order made because of `order`.
    pub fn successor(&self, order: u64) -> Option<&Copy> {
        self.copies.iter().rev().find(|copy| copy.of == Some(order))
    }

    /// Round facts.
    pub fn facts(&self) -> Value {
        json!({ "tipset": self.tipset, "finalized": self.finalized, "head": self.head })
    }

    /// Reads a copy's deal at the round's tipset.
    pub async fn on_chain(&self, stage: &Stage, copy: &Copy) -> Result<Option<Deal>, Failure> {
        match copy.deal {
            Some(deal) => chain::deal(&stage.stepper, &self.tipset, deal).await,
            None => Ok(None),
        }
    }

    /// Checks by the chain alone that every one of `copies` is proven at the round's tipset, as the node says.
    pub async fn verify(&self, stage: &Stage, copies: &[Copy]) -> Result<(), Failure> {
        for copy in copies {
            let on_chain = self.on_chain(stage, copy).await?;
            let right = on_chain.as_ref().is_some_and(|deal| {
                deal.is_proven(self.finalized)
                    && deal.provider == copy.provider
                    && deal.piece == self.piece
                    && deal.end == copy.end
                    && deal.sector == copy.sector
            });
            ensure(right, || {
                format!("{} is proven at {}; the chain shows {on_chain:?}", copy.line(), self.finalized)
            })?;
        }
        Ok(())
    }
}
