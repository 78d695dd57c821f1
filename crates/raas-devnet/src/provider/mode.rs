//! How a provider misbehaves, for how long.

use serde::{Deserialize, Serialize};
use std::str::FromStr;

/// What a provider does wrong. Modes of a deal are drawn when the deal is proposed and stay with it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub enum Mode {
    /// Nothing.
    #[default]
    Normal,
    /// Every request is dropped without an answer, and nothing is done.
    Offline,
    /// A proposal is handled, but the answer never arrives.
    DropReply,
    /// A proposal is refused.
    Reject,
    /// A proposal is refused in words, and published all the same before its start epoch.
    RejectThenPublish,
    /// A proposal is accepted; then nothing, and no answer about it ever again.
    AcceptAndVanish,
    /// A deal is published and its sector never proven.
    NeverSeal,
    /// A retrieval gives wrong bytes.
    WrongBytes,
    /// A deal's data is not fetched before [`SLOW_EPOCHS`](super::SLOW_EPOCHS) have passed.
    Slow,
    /// A retrieval finds no unsealed copy, though the sector is proven.
    NoUnsealed,
}

impl Mode {
    /// All of them, in the order of the documentation.
    pub const ALL: [Self; 10] = [
        Self::Normal,
        Self::Offline,
        Self::DropReply,
        Self::Reject,
        Self::RejectThenPublish,
        Self::AcceptAndVanish,
        Self::NeverSeal,
        Self::WrongBytes,
        Self::Slow,
        Self::NoUnsealed,
    ];

    /// The name the control method takes.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Normal => "normal",
            Self::Offline => "offline",
            Self::DropReply => "dropReply",
            Self::Reject => "reject",
            Self::RejectThenPublish => "rejectThenPublish",
            Self::AcceptAndVanish => "acceptAndVanish",
            Self::NeverSeal => "neverSeal",
            Self::WrongBytes => "wrongBytes",
            Self::Slow => "slow",
            Self::NoUnsealed => "noUnsealed",
        }
    }
}

/// Not the name of a mode.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error(
    "mode {0:?} does not exist: use normal, offline, dropReply, reject, rejectThenPublish, acceptAndVanish, \
     neverSeal, wrongBytes, slow or noUnsealed"
)]
pub struct UnknownMode(pub String);

impl FromStr for Mode {
    type Err = UnknownMode;

    fn from_str(name: &str) -> Result<Self, UnknownMode> {
        Self::ALL.into_iter().find(|mode| mode.name() == name).ok_or_else(|| UnknownMode(name.to_owned()))
    }
}

/// The mode at present and how often it still applies.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Mood {
    mode: Mode,
    /// `None` is until further notice.
    left: Option<u32>,
}

impl Mood {
    /// `mode`, `count` times; a count of 0 is normal at once.
    #[must_use]
    pub fn new(mode: Mode, count: Option<u32>) -> Self {
        if count == Some(0) { Self::default() } else { Self { mode, left: count } }
    }

    /// The mode at present.
    #[must_use]
    pub const fn mode(&self) -> Mode {
        self.mode
    }

    /// How often it still applies; `None` is until further notice.
    #[must_use]
    pub const fn left(&self) -> Option<u32> {
        self.left
    }

    /// Counts one time down if `mode` is the present one.
    pub fn spend(&mut self, mode: Mode) {
        if self.mode != mode {
            return;
        }
        if let Some(left) = self.left {
            *self = Self::new(mode, Some(left - 1));
        }
    }

    /// The present mode if it is one of `modes`, counted down.
    pub(super) fn draw(&mut self, modes: &[Mode]) -> Option<Mode> {
        let drawn = Some(self.mode).filter(|mode| modes.contains(mode))?;
        self.spend(drawn);
        Some(drawn)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_counted_mode_ends_by_itself() {
        let mut mood = Mood::new(Mode::Reject, Some(2));
        assert_eq!(mood.draw(&[Mode::Offline]), None, "another mode is not spent");
        assert_eq!(mood.draw(&[Mode::Reject]), Some(Mode::Reject));
        assert_eq!(mood.left(), Some(1));
        assert_eq!(mood.draw(&[Mode::Reject]), Some(Mode::Reject));
        assert_eq!(mood, Mood::default());
        let mut endless = Mood::new(Mode::Slow, None);
        endless.spend(Mode::Slow);
        assert_eq!(endless.mode(), Mode::Slow);
        assert_eq!(Mood::new(Mode::Slow, Some(0)).mode(), Mode::Normal);
    }

    #[test]
    fn names_are_read_back() {
        for mode in Mode::ALL {
            assert_eq!(mode.name().parse(), Ok(mode));
        }
        assert!("dropreply".parse::<Mode>().is_err());
    }
}
