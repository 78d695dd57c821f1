//! Which generation of the contract is at an address: what may be asked of it, and how it is completed.

use super::abi::Frc0087Abi as Frc;
use alloy_primitives::FixedBytes;
use alloy_sol_types::SolCall;
use std::fmt;
use std::str::FromStr;

/// A generation of DealStatus.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum AbiKind {
    /// Our own contract: all of the reference and of FRC-0087, with policies, counts and custom errors.
    #[default]
    Raas,
    /// A contract of FRC-0087 by others: completions name the market actor.
    Frc0087,
    /// The reference of the starter kit: no policies, no count, lists with holes, and no completion of a piece that is
    /// a whole deal.
    Reference,
}

/// A text that is no kind.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{0:?} is none of \"raas\", \"frc0087\" or \"reference\"")]
pub struct UnknownKind(pub String);

impl AbiKind {
    /// As it is written in a configuration.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Raas => "raas",
            Self::Frc0087 => "frc0087",
            Self::Reference => "reference",
        }
    }

    /// ERC-165 id of FRC-0087's `submit`, `submitRaaS` and `complete`.
    pub(super) fn frc_interface() -> FixedBytes<4> {
        let all = [Frc::submitCall::SELECTOR, Frc::submitRaaSCall::SELECTOR, Frc::completeCall::SELECTOR];
        all.into_iter().map(FixedBytes::from).fold(FixedBytes::ZERO, |id, selector| id ^ selector)
    }
}

impl FromStr for AbiKind {
    type Err = UnknownKind;

    fn from_str(text: &str) -> Result<Self, UnknownKind> {
        [Self::Raas, Self::Frc0087, Self::Reference]
            .into_iter()
            .find(|kind| kind.name() == text)
            .ok_or_else(|| UnknownKind(text.to_owned()))
    }
}

impl fmt::Display for AbiKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn kinds_are_written_as_they_are_read() {
        for kind in [AbiKind::Raas, AbiKind::Frc0087, AbiKind::Reference] {
            assert_eq!(kind.to_string().parse(), Ok(kind));
        }
        assert_eq!("Reference".parse::<AbiKind>(), Err(UnknownKind("Reference".to_owned())));
        assert_eq!(AbiKind::frc_interface().to_string(), "0xf90aefef");
    }
}
