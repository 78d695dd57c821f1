//! The [`World`]: all parts together, and the one door through which it changes.

use super::{
    actor_events::ActorEvent,
    actors::Actors,
    chain::Chain,
    command::{Command, CommandError, Outcome, Sectors},
    datacap::{VERIFIER, VERIFIER_ALLOWANCE},
    market::Market,
    messages::{NativeReceipt, Waiting, eth_form},
    miner::Miner,
    queue::{Event, Queue},
    registry::Registry,
    reorg::Replays,
    timeline::{StateAt, Timeline},
};
use crate::{
    Config,
    codec::{Address, SignedMessage, from_cbor},
    fevm::Fevm,
    ledger::{Fact, Ledger},
    provider,
};
use alloy_primitives::U256;
use cid::Cid;
use raas_core::{
    ids::{ActorId, ProviderId},
    units::AttoFil,
};
use std::{collections::BTreeMap, sync::Arc};

/// The market actor.
pub const MARKET: ActorId = ActorId(5);
/// Where burnt funds go, an account on every network.
pub const BURNT: ActorId = ActorId(99);
/// Bytes of every sector: 32 GiB.
pub const SECTOR_SIZE: u64 = 32 << 30;
/// What every provider has in escrow when the world begins.
const PROVIDER_ESCROW: AttoFil = AttoFil::fil(1_000);
/// The most epochs one command lets pass: ten years.
pub const MOST_EPOCHS: i64 = 10 * 365 * 2_880;
/// The most null rounds one command declares.
const MOST_NULLS: i64 = 10_000;

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
#[derive(Clone, Debug)]
pub struct World {
    pub(crate) config: Config,
    pub(crate) chain: Chain,
    /// Ids, keys, native balances.
    pub actors: Actors,
    /// Contracts and their accounts.
    pub fevm: Fevm,
    /// What providers were offered and took.
    pub book: provider::Book,
    /// What happened, for judges.
    pub ledger: Ledger,
    pub(super) market: Market,
    pub(super) miners: BTreeMap<ProviderId, Miner>,
    pub(super) queue: Queue,
    pub(super) mempool: BTreeMap<(ActorId, u64), Waiting>,
    pub(super) receipts: BTreeMap<i64, Vec<NativeReceipt>>,
    pub(super) message_places: BTreeMap<Cid, (i64, usize)>,
    pub(super) events: BTreeMap<i64, Vec<ActorEvent>>,
    /// What the verified registry and its token hold.
    pub registry: Registry,
    /// The first epoch of version 29, where this world saw it come.
    pub(super) solstice: Option<i64>,
    pub(super) replays: Replays,
    /// Worlds to go back to.
    snapshots: Vec<Arc<World>>,
    /// Blocks of miners' states that somebody asked for.
    pub ipld: crate::ipld::Blocks,
    /// Commands that were applied and not yet taken by a journal; `None` when nobody journals.
    recorded: Option<Vec<Command>>,
}

impl World {
    /// A world at `config.start_height`. Pure: the same configuration gives the same world.
    #[must_use]
    pub fn new(config: &Config) -> Self {
        let chain = Chain::new(config);
        let mut world = Self {
            config: config.clone(),
            chain,
            actors: Actors::default(),
            fevm: Fevm::new(config.chain_id),
            book: provider::Book::new(config),
            ledger: Ledger::default(),
            market: Market::new(config.first_deal_id),
            miners: BTreeMap::new(),
            queue: Queue::default(),
            mempool: BTreeMap::new(),
            receipts: BTreeMap::new(),
            message_places: BTreeMap::new(),
            events: BTreeMap::new(),
            registry: Registry::default(),
            solstice: None,
            replays: Replays::default(),
            snapshots: Vec::new(),
            ipld: crate::ipld::Blocks::default(),
            recorded: None,
        };
        for system in [0, 1, 2, 3, 4, 5, 6, 7, 10, 99] {
            world.actors.add_genesis(ActorId(system), None, AttoFil::ZERO);
        }
        let verifier = crate::codec::SecretKey::from_seed(&world.chain.derive("verifier", 0)).address();
        world.actors.add_genesis(VERIFIER, Some(verifier), AttoFil::fil(1_000));
        world.registry.allowance = Timeline::since(0, VERIFIER_ALLOWANCE);
        for provider in &config.providers {
            world.add_provider(provider);
        }
        world
    }

    pub(super) fn add_provider(&mut self, provider: &crate::ProviderConfig) {
        let number = i64::try_from(provider.id.number()).unwrap_or(0);
        let miner = Miner::new(provider.clone(), self.chain.derive("worker", number));
        let operator = i64::try_from(provider.operator.0).unwrap_or(0);
        let owner = crate::codec::SecretKey::from_seed(&self.chain.derive("owner", operator)).address();
        if self.actors.get(provider.operator).is_none() {
            self.actors.add_genesis(provider.operator, Some(owner), AttoFil::fil(1_000));
        }
        if self.actors.get(provider.worker).is_none() {
            let worker = Some(miner.worker_key.address());
            self.actors.add_genesis(provider.worker, worker, AttoFil::fil(1_000));
        }
        self.actors.add_genesis(provider.id.0, None, AttoFil::fil(100));
        self.market.change(provider.id.0, 0, |balance| balance.escrow = PROVIDER_ESCROW);
        self.actors.grant(MARKET, 0, PROVIDER_ESCROW);
        self.miners.insert(provider.id, miner);
    }

    /// Applies one command. A refused command changes nothing.
    pub fn apply(&mut self, command: Command) -> Result<Outcome, CommandError> {
        let outcome = self.act(&command)?;
        if let Some(recorded) = &mut self.recorded {
            recorded.push(command);
        }
        Ok(outcome)
    }

    pub(super) fn act(&mut self, command: &Command) -> Result<Outcome, CommandError> {
        // What is given out of nothing is written into the state that the head's readers see.
        let written = match command {
            Command::Fund { .. } | Command::Bulk(_) => self.chain.parent(self.chain.head()),
            _ => self.chain.clock(),
        };
        let outcome = self.do_it(command)?;
        self.note_done(command, written);
        Ok(outcome)
    }

    fn do_it(&mut self, command: &Command) -> Result<Outcome, CommandError> {
        match command {
            Command::Advance { epochs } => {
                self.advance(within("epochs", *epochs, MOST_EPOCHS)?);
                Ok(Outcome::Height(self.chain.clock()))
            }
            Command::NullRounds { count } => {
                Ok(Outcome::Height(self.chain.add_nulls(within("count", *count, MOST_NULLS)?)))
            }
            Command::Fault(target) => {
                let sectors = self.reach(target)?;
                self.lose(target.provider, &sectors);
                Ok(Outcome::Sectors(sectors))
            }
            Command::Recover(target) => {
                let sectors = self.reach(target)?;
                self.regain(target.provider, &sectors);
                Ok(Outcome::Sectors(sectors))
            }
            Command::Terminate(target) => self.order_termination(target),
            Command::Onboard(order) => self.onboard(order),
            Command::Upgrade => {
                if !self.is_frozen(StateAt::NEWEST) {
                    self.solstice = Some(self.chain.clock() + 1);
                }
                Ok(Outcome::Done)
            }
            Command::Reorg(order) => self.reorganise(order).map(Outcome::Reorganised),
            Command::BaseFee { fee } => {
                let fee = *fee;
                if fee < crate::fevm::BASE_FEE {
                    return Err(CommandError::Bulk {
                        field: "fee",
                        value: fee.to_string(),
                        fix: "use at least 100",
                    });
                }
                self.chain.set_base_fee(fee);
                self.fevm.set_base_fee(fee);
                Ok(Outcome::Done)
            }
            Command::Snapshot => Ok(Outcome::Snapshot(self.snapshot())),
            Command::Restore { snapshot } => self.restore(*snapshot),
            Command::Bulk(order) => self.order_bulk(order).map(Outcome::Bulk),
            Command::AddProviders { count, operators } => {
                self.add_providers(*count, *operators).map(Outcome::Providers)
            }
            Command::Fund { address, amount } => self.fund(address, *amount),
            Command::Datacap { address, bytes } => self.grant_datacap(address, *bytes),
            Command::Push { message, signature } => {
                let signed = read_signed(message, signature)?;
                self.push(signed).map(Outcome::Message)
            }
            Command::PushEth { raw } => {
                let raw = hex::decode(raw)
                    .map_err(|error| CommandError::Hex { field: "raw", why: error.to_string() })?;
                self.push_eth(&raw).map(Outcome::Transaction)
            }
            Command::Provider(command) => self.provider_command(command),
        }
    }

    fn order_termination(&mut self, target: &Sectors) -> Result<Outcome, CommandError> {
        let sectors = self.reach(target)?;
        let order = Event::TerminateSectors { provider: target.provider, sectors: sectors.clone() };
        self.schedule(self.chain.clock() + 1, order);
        Ok(Outcome::Sectors(sectors))
    }

    /// Gives money that native reads at the head and eth reads at `latest` see at once.
    fn fund(&mut self, text: &str, amount: AttoFil) -> Result<Outcome, CommandError> {
        let address = read_address(text).ok_or_else(|| CommandError::Address(text.to_owned()))?;
        let seen = self.chain.parent(self.chain.head());
        let id = self.actors.ensure(&address, seen).ok_or_else(|| CommandError::Address(text.to_owned()))?;
        match self.actors.robust(id).and_then(eth_form) {
            Some(eth) => self.fevm.grant(eth.into(), seen, U256::from(amount.0)),
            None => self.actors.grant(id, seen, amount),
        }
        if !self.is_replaying() {
            let fact = Fact::Funded { address: address.to_string(), amount };
            self.ledger.record(self.chain.clock(), fact);
        }
        Ok(Outcome::Done)
    }

    /// The epoch from which on the network has version 29; `None` while nobody has set one.
    #[must_use]
    pub fn solstice(&self) -> Option<i64> {
        if self.config.network_version >= 29 { Some(-1) } else { self.solstice }
    }

    /// Whether the verified registry is frozen in state `at`.
    #[must_use]
    pub fn is_frozen(&self, at: StateAt) -> bool {
        self.solstice().is_some_and(|solstice| at.0 >= solstice)
    }

    fn snapshot(&mut self) -> u64 {
        let copy = Self { recorded: None, ..self.clone() };
        self.snapshots.push(Arc::new(copy));
        self.snapshots.len() as u64
    }

    fn restore(&mut self, number: u64) -> Result<Outcome, CommandError> {
        let unknown = || CommandError::UnknownSnapshot(number);
        let index =
            usize::try_from(number).ok().and_then(|number| number.checked_sub(1)).ok_or_else(unknown)?;
        let snapshot = self.snapshots.get(index).cloned().ok_or_else(unknown)?;
        let (recorded, mut snapshots) = (self.recorded.take(), std::mem::take(&mut self.snapshots));
        snapshots.truncate(index + 1);
        *self = Self { recorded, snapshots, ..Self::clone(&snapshot) };
        Ok(Outcome::Height(self.chain.clock()))
    }

    /// Differs whenever the chain has moved or a transaction has come: clock, branch, transactions so far.
    #[must_use]
    pub fn pulse(&self) -> (i64, u32, u64) {
        (self.chain.clock(), self.chain.branch(i64::MAX), self.fevm.arrivals())
    }

    /// Starts keeping applied commands for [`World::take_recorded`].
    pub fn record_commands(&mut self) {
        self.recorded.get_or_insert_with(Vec::new);
    }

    /// The commands applied since the last call, oldest first.
    pub fn take_recorded(&mut self) -> Vec<Command> {
        self.recorded.as_mut().map(std::mem::take).unwrap_or_default()
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

    /// The market actor's records.
    #[must_use]
    pub const fn market(&self) -> &Market {
        &self.market
    }

    /// All miners, by id.
    pub fn miners(&self) -> impl Iterator<Item = (ProviderId, &Miner)> {
        self.miners.iter().map(|(id, miner)| (*id, miner))
    }

    /// One miner.
    #[must_use]
    pub fn miner(&self, provider: ProviderId) -> Option<&Miner> {
        self.miners.get(&provider)
    }

    /// Tells where a provider's server listens. No history: it is not journaled and does not change the ledger.
    pub fn set_server(&mut self, provider: ProviderId, url: String, multiaddrs: Vec<Vec<u8>>) {
        if let Some(miner) = self.miners.get_mut(&provider) {
            miner.url = Some(url);
            miner.multiaddrs = multiaddrs;
        }
    }

    /// The state that native reads at the head see, and eth reads at `latest`.
    #[must_use]
    pub fn at_head(&self) -> StateAt {
        StateAt::before(self.chain.head())
    }

    /// The owner of a miner.
    pub(super) fn operator(&self, provider: ProviderId) -> ActorId {
        self.miners.get(&provider).map_or(ActorId(0), |miner| miner.config.operator)
    }

    /// The miner behind an address, if it is one.
    pub(super) fn miner_of(&self, address: &Address) -> Option<ProviderId> {
        let Address::Id(id) = address else { return None };
        self.miners.contains_key(&ProviderId(*id)).then_some(ProviderId(*id))
    }

    /// Whether an account is owner or worker of a miner.
    pub(super) fn controls(&self, provider: ProviderId, account: ActorId) -> bool {
        let of = |miner: &Miner| miner.config.worker == account || miner.config.operator == account;
        self.miners.get(&provider).is_some_and(of)
    }
}

fn within(field: &'static str, value: i64, most: i64) -> Result<i64, CommandError> {
    if (1..=most).contains(&value) { Ok(value) } else { Err(CommandError::Count { field, value, most }) }
}

/// A Filecoin address of any kind, or an Ethereum address with 0x.
#[must_use]
pub fn read_address(text: &str) -> Option<Address> {
    match text.strip_prefix("0x") {
        Some(digits) => Some(Address::from_eth(hex::decode(digits).ok()?.try_into().ok()?)),
        None => text.parse().ok(),
    }
}

fn read_signed(message: &str, signature: &str) -> Result<SignedMessage, CommandError> {
    let bad = |field, why: String| CommandError::Hex { field, why };
    let message = hex::decode(message).map_err(|error| bad("message", error.to_string()))?;
    let signature = hex::decode(signature).map_err(|error| bad("signature", error.to_string()))?;
    Ok(SignedMessage {
        message: from_cbor(&message).map_err(|error| bad("message", error.to_string()))?,
        signature: crate::codec::Signature::from_bytes(&signature)
            .map_err(|error| bad("signature", error.to_string()))?,
    })
}
