//! When each holding is planned again: two columns in order of the holdings' ids, twelve bytes a holding.

use raas_core::ids::HoldingId;
use raas_core::units::Epoch;

/// Not before something touches it.
const NEVER: u32 = u32::MAX;
/// In every round.
pub const EVERY_ROUND: Epoch = Epoch(0);

/// Wakes by holding.
#[derive(Debug, Default)]
pub struct Wakes {
    holdings: Vec<HoldingId>,
    at: Vec<u32>,
}

impl Wakes {
    /// Of holdings in order of their ids.
    #[must_use]
    pub fn new(wakes: Vec<(HoldingId, Option<Epoch>)>) -> Self {
        let holdings = wakes.iter().map(|(holding, _)| *holding).collect();
        let at = wakes.iter().map(|(_, wake)| column(*wake)).collect();
        Self { holdings, at }
    }

    /// How many holdings are known.
    #[must_use]
    pub fn len(&self) -> usize {
        self.holdings.len()
    }

    /// Whether none is.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.holdings.is_empty()
    }

    /// Sets a wake; whether it was another one.
    pub fn set(&mut self, holding: HoldingId, wake: Option<Epoch>) -> bool {
        let value = column(wake);
        match self.holdings.binary_search(&holding) {
            Ok(at) => match self.at.get_mut(at) {
                Some(before) if *before != value => {
                    *before = value;
                    true
                }
                _ => false,
            },
            Err(at) => {
                self.holdings.insert(at, holding);
                self.at.insert(at, value);
                true
            }
        }
    }

    /// Holdings whose wake has come at `head`.
    #[must_use]
    pub fn due(&self, head: Epoch) -> Vec<HoldingId> {
        let now = u32::try_from(head.0).unwrap_or(0);
        let rows = self.at.iter().zip(&self.holdings);
        rows.filter(|(at, _)| **at <= now).map(|(_, holding)| *holding).collect()
    }

    /// The earliest epoch after which a sleeping holding wakes.
    #[must_use]
    pub fn next(&self) -> Option<Epoch> {
        let sleeping = self.at.iter().filter(|at| **at != NEVER && **at != 0);
        sleeping.min().map(|at| Epoch(i64::from(*at)))
    }

    /// At most `count` holdings after `after`, from the first again when it was the last.
    #[must_use]
    pub fn slice(&self, after: HoldingId, count: usize) -> Vec<HoldingId> {
        let from = self.holdings.partition_point(|holding| *holding <= after);
        let rest = self.holdings.get(from..).unwrap_or_default();
        rest.iter().chain(&self.holdings).take(count.min(self.holdings.len())).copied().collect()
    }

    /// All holdings.
    #[must_use]
    pub fn holdings(&self) -> &[HoldingId] {
        &self.holdings
    }
}

fn column(wake: Option<Epoch>) -> u32 {
    wake.map_or(NEVER, |wake| u32::try_from(wake.0.max(0)).unwrap_or(NEVER - 1).min(NEVER - 1))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_due_what_is_next_and_what_comes_around() {
        let id = HoldingId;
        let mut wakes = Wakes::new(vec![(id(1), Some(Epoch(50))), (id(3), None), (id(4), Some(EVERY_ROUND))]);
        assert_eq!(wakes.due(Epoch(49)), [id(4)]);
        assert_eq!(wakes.due(Epoch(50)), [id(1), id(4)]);
        assert_eq!(wakes.next(), Some(Epoch(50)));
        assert!(wakes.set(id(2), Some(Epoch(40))));
        assert!(!wakes.set(id(2), Some(Epoch(40))));
        assert!(wakes.set(id(1), None));
        assert_eq!(wakes.next(), Some(Epoch(40)));
        assert_eq!(wakes.slice(id(2), 3), [id(3), id(4), id(1)]);
        assert_eq!(wakes.slice(id(9), 99), [id(1), id(2), id(3), id(4)]);
    }
}
