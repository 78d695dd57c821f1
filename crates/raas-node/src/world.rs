//! Everything outside the engine, as one bundle of ports.
//!
//! The node wires real adapters, the simulation wires the devnet's world in memory; the engine is the same.

use raas_core::ids::ContractAddress;
use raas_core::ports::{Bytes, Chain, Clock, Contract, DealMaker, Wallet};

/// One adapter for each port.
pub trait World: Send + Sync + 'static {
    /// Native chain reads.
    type Chain: Chain;
    /// The DealStatus contracts.
    type Contract: Contract;
    /// Providers' deal protocols.
    type DealMaker: DealMaker;
    /// The node's own copies.
    type Bytes: Bytes;
    /// Keys, signing, sending.
    type Wallet: Wallet;
    /// Decision time.
    type Clock: Clock;

    /// Native chain reads.
    fn chain(&self) -> &Self::Chain;
    /// The contract at an address; `None` for one that is not followed.
    fn contract(&self, at: ContractAddress) -> Option<&Self::Contract>;
    /// Providers' deal protocols.
    fn deal_maker(&self) -> &Self::DealMaker;
    /// The node's own copies.
    fn bytes(&self) -> &Self::Bytes;
    /// Keys, signing, sending.
    fn wallet(&self) -> &Self::Wallet;
    /// Decision time.
    fn clock(&self) -> &Self::Clock;
}
