//! The real adapters as one world.

use crate::blocks::LocalBytes;
use crate::world::World;
use raas_clients::clock::{DevnetClock, WallClock};
use raas_clients::evm::DealStatus;
use raas_clients::filecoin::LotusChain;
use raas_clients::provider::Mk12;
use raas_clients::wallet::KeyWallet;
use raas_core::ids::ContractAddress;
use raas_core::ports::{Clock, Now};
use std::collections::BTreeMap;

/// Wall time on a real network, the devnet's own on a devnet.
#[derive(Debug)]
pub enum NodeClock {
    /// Wall time.
    Wall(WallClock),
    /// `devnet_now`.
    Devnet(DevnetClock),
}

impl Clock for NodeClock {
    async fn now(&self) -> Now {
        match self {
            Self::Wall(clock) => clock.now().await,
            Self::Devnet(clock) => clock.now().await,
        }
    }
}

/// Lotus RPC, MK12 providers, contracts, a key, the local disk.
#[derive(Debug)]
pub struct RealWorld {
    pub(super) chain: LotusChain,
    pub(super) contracts: BTreeMap<ContractAddress, DealStatus>,
    pub(super) deal_maker: Mk12,
    pub(super) bytes: LocalBytes,
    pub(super) wallet: KeyWallet,
    pub(super) clock: NodeClock,
}

impl World for RealWorld {
    type Chain = LotusChain;
    type Contract = DealStatus;
    type DealMaker = Mk12;
    type Bytes = LocalBytes;
    type Wallet = KeyWallet;
    type Clock = NodeClock;

    fn chain(&self) -> &LotusChain {
        &self.chain
    }

    fn contract(&self, at: ContractAddress) -> Option<&DealStatus> {
        self.contracts.get(&at)
    }

    fn deal_maker(&self) -> &Mk12 {
        &self.deal_maker
    }

    fn bytes(&self) -> &LocalBytes {
        &self.bytes
    }

    fn wallet(&self) -> &KeyWallet {
        &self.wallet
    }

    fn clock(&self) -> &NodeClock {
        &self.clock
    }
}
