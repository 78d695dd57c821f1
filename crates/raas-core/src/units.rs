//! Quantities with their units in the type: epochs, attoFIL, padded piece sizes.
//!
//! An [`Epoch`] is a point on the chain's clock, [`Epochs`] a distance between two of them. Mixing the two,
//! or a padded with an unpadded size, is the classic error of this field, so neither has a bare integer form.

use serde::{Deserialize, Serialize};
use std::fmt;

/// Epochs in one day at the mainnet block delay of 30 s.
pub const EPOCHS_PER_DAY: i64 = 2_880;

/// A height of the chain. Negative only for "never" markers of the actors, which are decoded to `Option` at
/// the edge and never reach this type.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Epoch(pub i64);

/// A number of epochs, never negative by construction through [`Epochs::new`].
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Epochs(i64);

impl Epochs {
    /// No distance at all.
    pub const ZERO: Self = Self(0);

    /// `None` for a negative count.
    #[must_use]
    pub const fn new(count: i64) -> Option<Self> {
        if count < 0 { None } else { Some(Self(count)) }
    }

    /// `days` whole days of 2,880 epochs.
    #[must_use]
    pub const fn days(days: u32) -> Self {
        Self(days as i64 * EPOCHS_PER_DAY)
    }

    /// The count.
    #[must_use]
    pub const fn get(self) -> i64 {
        self.0
    }

    /// This distance `times` over, saturating.
    #[must_use]
    pub const fn times(self, times: u32) -> Self {
        Self(self.0.saturating_mul(times as i64))
    }

    /// The sum, saturating.
    #[must_use]
    pub const fn plus(self, other: Self) -> Self {
        Self(self.0.saturating_add(other.0))
    }
}

impl Epoch {
    /// The epoch `distance` later, saturating.
    #[must_use]
    pub const fn after(self, distance: Epochs) -> Self {
        Self(self.0.saturating_add(distance.0))
    }

    /// The epoch `distance` earlier, saturating.
    #[must_use]
    pub const fn before(self, distance: Epochs) -> Self {
        Self(self.0.saturating_sub(distance.0))
    }

    /// How far `self` lies after `earlier`; zero when it does not.
    #[must_use]
    pub const fn since(self, earlier: Self) -> Epochs {
        let gap = self.0.saturating_sub(earlier.0);
        Epochs(if gap < 0 { 0 } else { gap })
    }
}

impl fmt::Display for Epoch {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.0)
    }
}

impl fmt::Display for Epochs {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.0)
    }
}

/// Money in attoFIL (1 FIL = 10^18 attoFIL). Serialised as a decimal string, as every chain API does, since
/// JSON numbers lose digits.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct AttoFil(pub u128);

impl AttoFil {
    /// Nothing.
    pub const ZERO: Self = Self(0);

    /// Whole FIL.
    #[must_use]
    pub const fn fil(fil: u64) -> Self {
        Self(fil as u128 * 1_000_000_000_000_000_000)
    }

    /// The sum, saturating.
    #[must_use]
    pub const fn plus(self, other: Self) -> Self {
        Self(self.0.saturating_add(other.0))
    }

    /// The difference, zero when `other` is larger.
    #[must_use]
    pub const fn minus(self, other: Self) -> Self {
        Self(self.0.saturating_sub(other.0))
    }

    /// The product, saturating.
    #[must_use]
    pub const fn times(self, factor: u64) -> Self {
        Self(self.0.saturating_mul(factor as u128))
    }
}

impl fmt::Display for AttoFil {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.0)
    }
}

impl std::str::FromStr for AttoFil {
    type Err = std::num::ParseIntError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        text.parse().map(Self)
    }
}

impl Serialize for AttoFil {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(&self.0)
    }
}

impl<'de> Deserialize<'de> for AttoFil {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = String::deserialize(deserializer)?;
        text.parse().map_err(serde::de::Error::custom)
    }
}

/// A piece's size after Fr32 padding: a power of two of at least 128 bytes, at most 64 GiB.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(try_from = "u64", into = "u64")]
pub struct PaddedSize(u64);

/// Why a number of bytes is no padded piece size.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{0} is not a padded piece size: a power of two from 128 to 68719476736 is needed")]
pub struct NotPadded(pub u64);

impl PaddedSize {
    /// The largest piece any sector holds, 64 GiB.
    pub const MAX: Self = Self(1 << 36);

    /// Checks that `bytes` is a power of two in 128..=64 GiB.
    pub const fn new(bytes: u64) -> Result<Self, NotPadded> {
        if bytes >= 128 && bytes <= Self::MAX.0 && bytes.is_power_of_two() {
            Ok(Self(bytes))
        } else {
            Err(NotPadded(bytes))
        }
    }

    /// The bytes.
    #[must_use]
    pub const fn get(self) -> u64 {
        self.0
    }

    /// Bytes of the stream that fills it: 127 of 128.
    #[must_use]
    pub const fn payload_bytes(self) -> u64 {
        self.0 / 128 * 127
    }

    /// The cost per epoch of the whole piece at `price` per GiB and epoch, rounded up, so that it is never
    /// below what a provider computes by rounding down.
    #[must_use]
    pub const fn cost_per_epoch(self, price: AttoFil) -> AttoFil {
        AttoFil(price.0.saturating_mul(self.0 as u128).div_ceil(1 << 30))
    }
}

impl TryFrom<u64> for PaddedSize {
    type Error = NotPadded;

    fn try_from(bytes: u64) -> Result<Self, NotPadded> {
        Self::new(bytes)
    }
}

impl From<PaddedSize> for u64 {
    fn from(size: PaddedSize) -> Self {
        size.0
    }
}

impl fmt::Display for PaddedSize {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_distance_never_goes_below_zero() {
        assert_eq!(Epoch(10).since(Epoch(30)), Epochs::ZERO);
        assert_eq!(Epoch(30).since(Epoch(10)).get(), 20);
        assert_eq!(Epochs::new(-1), None);
    }

    #[test]
    fn arithmetic_at_the_edges_saturates() {
        assert_eq!(Epoch(i64::MAX).after(Epochs::days(1)), Epoch(i64::MAX));
        assert_eq!(AttoFil(u128::MAX).plus(AttoFil(1)), AttoFil(u128::MAX));
        assert_eq!(AttoFil(1).minus(AttoFil(2)), AttoFil::ZERO);
    }

    #[test]
    fn padded_sizes_are_powers_of_two_in_range() {
        for bad in [0, 1, 64, 127, 129, 1 << 37, u64::MAX] {
            assert_eq!(PaddedSize::new(bad), Err(NotPadded(bad)));
        }
        assert_eq!(PaddedSize::new(128).map(PaddedSize::get), Ok(128));
    }

    #[test]
    fn a_small_piece_still_costs_something() {
        let size = PaddedSize::new(1 << 20).expect("a power of two");
        assert_eq!(size.cost_per_epoch(AttoFil(1)), AttoFil(1));
        assert_eq!(size.cost_per_epoch(AttoFil(1024)), AttoFil(1));
        assert_eq!(size.cost_per_epoch(AttoFil(2048)), AttoFil(2));
    }
}
