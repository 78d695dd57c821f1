//! A3: at no time more is committed than a budget allows: by signatures that can still be published, and by deals.

use super::Asked;
use std::collections::BTreeMap;

const DAY: i64 = 2_880;

#[derive(Clone, Debug)]
struct Bought {
    piece: String,
    at: i64,
    cost: u128,
    published: bool,
    /// When it lapses if nobody publishes it.
    lapses: i64,
}

pub struct Money {
    asked: Asked,
    bought: BTreeMap<String, Bought>,
    paid_for: u128,
    escrowed: u128,
}

impl Money {
    pub fn new(asked: Asked) -> Self {
        Self { asked, bought: BTreeMap::new(), paid_for: 0, escrowed: 0 }
    }

    /// A signature is money from the moment it is made.
    pub fn signed(&mut self, at: i64, proposal: &str, piece: &str, cost: u128) -> Result<(), String> {
        // A provider has three days until the deal starts.
        let lapses = at + 3 * DAY + self.asked.finality_lag;
        let new = Bought { piece: piece.to_owned(), at, cost, published: false, lapses };
        self.bought.entry(proposal.to_owned()).or_insert(new);
        let counts = |bought: &&Bought| bought.published || bought.lapses >= at;
        let sum = |wanted: &dyn Fn(&Bought) -> bool| -> u128 {
            self.bought
                .values()
                .filter(counts)
                .filter(|bought| wanted(bought))
                .map(|bought| bought.cost)
                .sum()
        };
        let scopes = [
            ("node", Some(self.asked.budget.0), sum(&|_| true)),
            ("day", self.asked.per_day, sum(&|bought| bought.at > at - DAY)),
            ("holding", self.asked.per_holding, sum(&|bought| bought.piece == piece)),
        ];
        for (scope, limit, spent) in scopes {
            if limit.is_some_and(|limit| spent > limit) {
                return Err(format!(
                    "A3: at {at} {spent} attoFIL are committed, more than the {scope} may cost"
                ));
            }
        }
        Ok(())
    }

    pub fn published(&mut self, proposal: &str, cost: u128) -> Result<(), String> {
        if let Some(bought) = self.bought.get_mut(proposal) {
            bought.published = true;
        }
        self.paid_for += cost;
        if self.paid_for > self.asked.budget.0 {
            return Err("A3: more was bought than the budget allows".to_owned());
        }
        Ok(())
    }

    pub fn escrowed(&mut self, amount: u128) -> Result<(), String> {
        self.escrowed += amount;
        if self.escrowed > self.asked.budget.0 + self.asked.endowed {
            return Err("A3: more went into escrow than the budget allows".to_owned());
        }
        Ok(())
    }
}
