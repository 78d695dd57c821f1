//! Holdings that something touched and that were not planned since, by their numbers in the store's feed.

use raas_core::ids::HoldingId;
use std::collections::BTreeMap;

/// They are taken from both ends: the newest, so that a new job does not wait for the loss of a whole provider, and the
/// oldest, so that these do not wait for new jobs.
#[derive(Debug, Default)]
pub struct Touched {
    by_seq: BTreeMap<i64, HoldingId>,
    seqs: BTreeMap<HoldingId, i64>,
}

impl Touched {
    /// A holding was touched; what is known of it from before is over.
    pub fn note(&mut self, seq: i64, holding: HoldingId) {
        if let Some(before) = self.seqs.insert(holding, seq) {
            self.by_seq.remove(&before);
        }
        self.by_seq.insert(seq, holding);
    }

    /// Whether `holding` was touched and not taken since.
    #[must_use]
    pub fn has(&self, holding: HoldingId) -> bool {
        self.seqs.contains_key(&holding)
    }

    /// Whether nothing is left.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.by_seq.is_empty()
    }

    /// Takes at most `count`, each with its number.
    pub fn take(&mut self, count: usize) -> Vec<(i64, HoldingId)> {
        let mut taken = Vec::new();
        for at in 0..count {
            let next = if at % 2 == 0 { self.by_seq.pop_last() } else { self.by_seq.pop_first() };
            let Some((seq, holding)) = next else { break };
            self.seqs.remove(&holding);
            taken.push((seq, holding));
        }
        taken
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_newest_and_the_oldest_come_first_and_each_once() {
        let mut touched = Touched::default();
        for (seq, holding) in [(1, 10), (2, 20), (3, 30), (4, 40), (5, 10)] {
            touched.note(seq, HoldingId(holding));
        }
        let id = HoldingId;
        assert_eq!(touched.take(3), [(5, id(10)), (2, id(20)), (4, id(40))]);
        assert!(touched.has(id(30)) && !touched.has(id(10)));
        assert_eq!(touched.take(3), [(3, id(30))]);
        assert!(touched.is_empty());
    }
}
