//! What the engine is told by configuration. Validated before the engine starts; never read from files here.

use raas_clients::evm::AbiKind;
use raas_core::fleet::Rules;
use raas_core::holding::Completes;
use raas_core::ids::{ContractAddress, ProviderId};
use raas_core::policy::Policy;
use raas_core::spend::Limits;
use raas_core::units::{AttoFil, Epoch, Epochs, PaddedSize};
use std::net::IpAddr;

/// What the largest piece has to be at least, in bytes: any block of a DAG fits it, whose largest has 2 MiB.
pub const PIECE_MAX_LEAST: u64 = 4 << 20;

/// Settings of one engine.
#[derive(Clone, Debug)]
pub struct Settings {
    /// Applied where a job says nothing.
    pub default_policy: Policy,
    /// The contracts followed, the node's own first; must agree with the world's contract port.
    pub contracts: Vec<ContractAt>,
    /// Providers the node may use. Their owners and addresses are read from the chain.
    pub providers: Vec<ProviderId>,
    /// Base of the URLs that providers pull pieces from.
    pub public_url: String,
    /// Most the node may ever commit to deals.
    pub budget_total: AttoFil,
    /// The other limits of spending.
    pub spending: SpendingLimits,
    /// Kept in the wallet for gas when escrow is topped up.
    pub wallet_reserve: AttoFil,
    /// Largest piece made of data. What needs more goes to several.
    pub piece_max: PaddedSize,
    /// Orders on their way to one provider at once.
    pub provider_capacity: u32,
    /// Repairs of lost copies started per window.
    pub repairs_per_window: u32,
    /// Length of that window.
    pub pace_window: Epochs,
    /// Numbers of the rules.
    pub rules: Rules,
    /// Steps in work at once. One in simulations, so that a seed decides everything.
    pub concurrency: usize,
}

/// What one day, one tenant and one holding may cost, and what gas may.
#[derive(Clone, Copy, Debug, Default)]
pub struct SpendingLimits {
    /// Deals of any 2,880 epochs.
    pub per_day: Option<AttoFil>,
    /// All deals of one owner.
    pub per_tenant: Option<AttoFil>,
    /// All deals of one holding.
    pub per_holding: Option<AttoFil>,
    /// Gas of any 2,880 epochs, each transaction at the most it can cost.
    pub gas_per_day: Option<AttoFil>,
    /// Gas of one transaction at most.
    pub gas_max: Option<AttoFil>,
}

/// Whom the data listener serves, with what, and how many at once.
#[derive(Clone, Debug)]
pub struct GatewaySettings {
    /// Files and directories besides what a reader can check.
    pub plain_files: bool,
    /// Pieces to anyone.
    pub public_pieces: bool,
    /// How many at once.
    pub limits: GatewayLimits,
    /// Reverse proxies of our own, believed about whom they ask for.
    pub proxies: Vec<IpAddr>,
}

/// How many answers at once, and how many requests in a while. None is zero.
#[derive(Clone, Copy, Debug)]
pub struct GatewayLimits {
    /// Answers to all clients under way.
    pub answers: u32,
    /// Of these to one client.
    pub answers_per_client: u32,
    /// Requests of one client, on average over ten seconds.
    pub requests_per_second: u32,
}

impl Settings {
    /// Where jobs of the API are registered: the first contract at which something can be shown for them.
    #[must_use]
    pub fn registers_at(&self) -> Option<&ContractAt> {
        self.contracts.iter().find(|at| at.completes() == Completes::Direct)
    }

    /// The limits as the store checks them.
    #[must_use]
    pub const fn limits(&self) -> Limits {
        let SpendingLimits { per_day, per_tenant, per_holding, .. } = self.spending;
        Limits { total: Some(self.budget_total), per_day, per_tenant, per_holding }
    }
}

/// Where a contract is and from which block its events count.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ContractAt {
    /// Which.
    pub address: ContractAddress,
    /// Block of its deployment.
    pub from_block: Epoch,
    /// After which block to go on where nothing keeps what came before; by the admin's decision.
    pub skip_to: Option<Epoch>,
    /// Its generation.
    pub abi: AbiKind,
}

impl ContractAt {
    /// What it takes as a completion.
    #[must_use]
    pub const fn completes(&self) -> Completes {
        match self.abi {
            AbiKind::Raas | AbiKind::Frc0087 => Completes::Direct,
            AbiKind::Reference => Completes::InAggregate,
        }
    }
}
