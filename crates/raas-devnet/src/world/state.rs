//! The [`World`]: all parts together, and the one door through which it changes.

use super::{actors::Actors, chain::Chain, timeline::StateAt};
use crate::{Config, ledger::Ledger};
use raas_core::{ids::ActorId, units::AttoFil};

/// The market actor.
pub const MARKET: ActorId = ActorId(5);
/// Where burnt funds go, an account on every network.
pub const BURNT: ActorId = ActorId(99);

/// What a call of a built-in actor answers: as `StateCall` shows it and as the FEVM precompile returns it.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct CallResult {
    /// 0, or the actor's exit code (17 not found, 32 deal removed, 33 deal not activated, ..).
    pub exit: i64,
    /// IPLD codec of `ret`: 0x51 (CBOR) with bytes, 0 without.
    pub codec: u64,
    /// The return value.
    pub ret: Vec<u8>,
}

/// A whole small Filecoin.
#[derive(Debug)]
pub struct World {
    pub(crate) config: Config,
    pub(crate) chain: Chain,
    /// Ids, keys, native balances.
    pub actors: Actors,
    /// What happened, for judges.
    pub ledger: Ledger,
}

impl World {
    /// A world at `config.start_height`. Pure: the same configuration gives the same world.
    #[must_use]
    pub fn new(config: &Config) -> Self {
        let mut actors = Actors::default();
        for system in [0, 1, 2, 3, 4, 5, 6, 7, 10, 99] {
            actors.add_genesis(ActorId(system), None, AttoFil::ZERO);
        }
        Self { config: config.clone(), chain: Chain::new(config), actors, ledger: Ledger::default() }
    }

    /// What the world was made from.
    #[must_use]
    pub const fn config(&self) -> &Config {
        &self.config
    }

    /// Clock and tipsets.
    #[must_use]
    pub const fn chain(&self) -> &Chain {
        &self.chain
    }

    /// The state that native reads at the head see, and eth reads at `latest`.
    #[must_use]
    pub fn at_head(&self) -> StateAt {
        StateAt::before(self.chain.head())
    }
}
