//! Values over epochs: how the past stays readable.

/// Which state a read sees: every change made in epochs up to and including this one.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct StateAt(pub i64);

impl StateAt {
    /// Everything so far, what the tipset at the head has done included.
    pub const NEWEST: Self = Self(i64::MAX);

    /// The state a native read at the tipset of `height` sees: before that tipset's own messages.
    #[must_use]
    pub const fn before(height: i64) -> Self {
        Self(height.saturating_sub(1))
    }

    /// The state an eth read at block `height` sees: with that tipset's messages executed.
    #[must_use]
    pub const fn after(height: i64) -> Self {
        Self(height)
    }
}

/// One value's history: entries (epoch of change, value), epochs rising.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Timeline<T> {
    entries: Vec<(i64, T)>,
}

impl<T> Default for Timeline<T> {
    fn default() -> Self {
        Self { entries: Vec::new() }
    }
}

impl<T> Timeline<T> {
    /// A history with `value` from `epoch` on.
    #[must_use]
    pub fn since(epoch: i64, value: T) -> Self {
        Self { entries: vec![(epoch, value)] }
    }

    /// Records `value` from `epoch` on. A second change in one epoch replaces the first, as only the state after
    /// the epoch can be read. Epochs never go back: an earlier one counts as the latest recorded.
    pub fn set(&mut self, epoch: i64, value: T) {
        match self.entries.last_mut() {
            Some((last, slot)) if *last >= epoch => *slot = value,
            _ => self.entries.push((epoch, value)),
        }
    }

    /// Forgets every change after `epoch`. False when nothing is left.
    pub fn revert(&mut self, epoch: i64) -> bool {
        let left = self.entries.partition_point(|(at, _)| *at <= epoch);
        self.entries.truncate(left);
        left > 0
    }

    /// Whether there is no entry.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.entries.is_empty()
    }

    /// Changes the value from `epoch` on, in every state since then.
    pub fn amend_since(&mut self, epoch: i64, mut change: impl FnMut(&mut T))
    where
        T: Clone + Default,
    {
        let split = self.entries.partition_point(|(at, _)| *at < epoch);
        if self.entries.get(split).is_none_or(|(at, _)| *at != epoch) {
            let value =
                split.checked_sub(1).and_then(|last| self.entries.get(last)).map(|(_, value)| value.clone());
            self.entries.insert(split, (epoch, value.unwrap_or_default()));
        }
        for (_, value) in self.entries.iter_mut().skip(split) {
            change(value);
        }
    }

    /// The value in state `at`; `None` before the first entry.
    #[must_use]
    pub fn get(&self, at: StateAt) -> Option<&T> {
        let later = self.entries.partition_point(|(epoch, _)| *epoch <= at.0);
        self.entries.get(later.checked_sub(1)?).map(|(_, value)| value)
    }

    /// The epoch of the last entry up to `at` that is not `same` as the one before it.
    #[must_use]
    pub fn changes(&self, at: StateAt, same: impl Fn(&T, &T) -> bool) -> Option<i64> {
        let upto = self.entries.partition_point(|(epoch, _)| *epoch <= at.0);
        let entries = self.entries.get(..upto)?;
        let changed = |index: &usize| match (
            index.checked_sub(1).and_then(|at| entries.get(at)),
            entries.get(*index),
        ) {
            (Some((_, before)), Some((_, after))) => !same(before, after),
            _ => true,
        };
        let last = (0..entries.len()).rev().find(changed)?;
        entries.get(last).map(|(epoch, _)| *epoch)
    }

    /// The newest value.
    #[must_use]
    pub fn latest(&self) -> Option<&T> {
        self.entries.last().map(|(_, value)| value)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_change_in_t_is_seen_after_t_and_not_before() {
        let mut line = Timeline::since(0, "old");
        line.set(10, "new");
        assert_eq!(line.get(StateAt::before(10)), Some(&"old"));
        assert_eq!(line.get(StateAt::after(10)), Some(&"new"));
        assert_eq!(line.get(StateAt::before(11)), Some(&"new"));
        assert_eq!(line.get(StateAt(-1)), None);
    }

    #[test]
    fn amending_reaches_all_later_states() {
        let mut line = Timeline::since(5, 1);
        line.set(9, 10);
        line.amend_since(7, |value| *value += 100);
        let seen: Vec<_> = (5..10).map(|epoch| line.get(StateAt::after(epoch)).copied()).collect();
        assert_eq!(seen, [Some(1), Some(1), Some(101), Some(101), Some(110)]);
    }

    #[test]
    fn the_last_change_of_an_epoch_wins() {
        let mut line = Timeline::since(5, 1);
        line.set(7, 2);
        line.set(7, 3);
        assert_eq!(line.get(StateAt::after(7)), Some(&3));
        assert_eq!(line.get(StateAt::after(6)), Some(&1));
    }
}
