//! What was looked at, as plain data: everything that [`super::judge`] decides on, and nothing else.

use alloy_primitives::Address as EthAddress;
use raas_clients::evm::{AbiKind, LogsSeen};
use raas_clients::filecoin::Identity;
use raas_clients::rpc::{CallError, Unknown};
use raas_core::endpoint::EndpointSeen;
use raas_core::forecast::Urgency;
use raas_core::gate::Hold;
use raas_core::ids::ProviderId;
use raas_core::observation::ProviderOnChain;
use raas_core::ports::{Lane, Pin, Witness};
use raas_core::units::{AttoFil, Epoch};
use serde::Deserialize;
use std::time::Duration;

/// Everything. What depends on something that did not answer was not looked at and is `None` or empty.
#[derive(Clone, Debug)]
pub struct Looked {
    /// As the configuration names it.
    pub network: String,
    /// A devnet: nothing has value, others are on this machine, and a node makes for itself what is not named.
    pub devnet: bool,
    /// The chain endpoints.
    pub voices: Voices,
    /// What a node would pin.
    pub pinned: Option<Pinned>,
    /// Time.
    pub clock: Option<Clock>,
    /// The data directory.
    pub disk: Disk,
    /// The key and what is on it.
    pub wallet: Wallet,
    /// The contracts.
    pub contracts: Contracts,
    /// The providers.
    pub providers: Providers,
    /// Where providers fetch the bytes.
    pub listener: Listener,
    /// The node, if one runs.
    pub node: Node,
}

/// The chain endpoints, as they are configured and as they answer.
#[derive(Clone, Debug)]
pub struct Voices {
    /// `chain.agree`.
    pub agree: u32,
    /// The chain id that goes with the network's name.
    pub chain_id: Option<u64>,
    /// The network by its name.
    pub known: Option<Identity>,
    /// Hosts of the URLs.
    pub addresses: Vec<Address>,
    /// One for each voice: an HTTP and a WebSocket URL of one place are one.
    pub endpoints: Vec<Endpoint>,
}

/// Where an endpoint's URL leads.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Address {
    /// Its host.
    pub host: String,
    /// Without TLS.
    pub plain: bool,
    /// On this machine.
    pub here: bool,
}

/// One endpoint.
#[derive(Clone, Debug)]
pub struct Endpoint {
    /// Host and port; never the path, which may hold a key.
    pub name: String,
    /// Which network it serves, or why it does not tell.
    pub identity: Result<Identity, Silence>,
    /// How it stood when a round was pinned.
    pub seen: Option<EndpointSeen>,
    /// Whether its WebSocket opens, if it has one.
    pub socket: Option<Result<(), String>>,
    /// Whether its log queries tell all that it has; `None` where that could not be looked at.
    pub logs: Option<LogsSeen>,
    /// How long it took to tell which network it serves.
    pub took: Duration,
}

/// Why an endpoint does not tell which network it serves, by what mends it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Silence {
    /// It turns calls away, because there are too many.
    Busy(String),
    /// It wants a token, or another one.
    Refused(String),
    /// Nobody is there, or not in time.
    Dead(String),
    /// Something is there, and it is no such endpoint.
    Strange(String),
}

impl Silence {
    /// In words.
    pub(super) const fn why(&self) -> &String {
        let (Self::Busy(why) | Self::Refused(why) | Self::Dead(why) | Self::Strange(why)) = self;
        why
    }
}

impl From<CallError> for Silence {
    fn from(error: CallError) -> Self {
        let why = error.to_string();
        match error {
            CallError::Retry { reason, .. } if is_busy(&reason) => Self::Busy(why),
            CallError::Retry { .. } => Self::Dead(why),
            CallError::Unknown(Unknown::Other { code: 401..=403, .. }) => Self::Refused(why),
            CallError::Unknown(_) | CallError::TooMuch(_) | CallError::Evidence(_) => Self::Strange(why),
        }
    }
}

/// Whether it is the number of calls.
fn is_busy(reason: &str) -> bool {
    let text = reason.to_ascii_lowercase();
    ["429", "busy", "rate limit", "too many requests", "connection limited"]
        .iter()
        .any(|word| text.contains(word))
}

/// Which network an endpoint serves, by what is wanted.
#[derive(Clone, Copy, Debug)]
pub(super) enum Serves<'a> {
    Right(&'a Identity),
    Other(&'a Identity),
    Silent(&'a Silence),
}

impl Voices {
    /// Each endpoint by the network's name, or by the first that answers where the name says nothing.
    pub(super) fn serves(&self) -> Vec<(&Endpoint, Serves<'_>)> {
        let mut right = self.known.as_ref();
        let judged = self.endpoints.iter().map(|endpoint| {
            let serves = match &endpoint.identity {
                Err(why) => Serves::Silent(why),
                Ok(identity) => {
                    let wanted = self.chain_id.is_none_or(|wanted| wanted == identity.chain_id);
                    if wanted && right.is_none_or(|right| right.is_same_network(identity)) {
                        right = Some(right.unwrap_or(identity));
                        Serves::Right(identity)
                    } else {
                        Serves::Other(identity)
                    }
                }
            };
            (endpoint, serves)
        });
        judged.collect()
    }

    /// The network, as the first endpoint tells that serves the right one.
    pub(super) fn identity(&self) -> Option<&Identity> {
        self.serves().into_iter().find_map(|(_, serves)| match serves {
            Serves::Right(identity) => Some(identity),
            Serves::Other(_) | Serves::Silent(_) => None,
        })
    }
}

/// What a node would pin now.
#[derive(Clone, Debug)]
pub struct Pinned {
    /// Where the chain should be by the clock.
    pub expected: Epoch,
    /// The pin, or why there is none.
    pub pin: Result<Pin, Hold>,
}

/// Time.
#[derive(Clone, Debug)]
pub enum Clock {
    /// The devnet's own, which moves by command.
    Devnet,
    /// This machine's.
    Wall {
        /// The epoch by it.
        epoch: Epoch,
        /// Length of an epoch.
        epoch_seconds: u64,
        /// The heads of all endpoints that tell one.
        heads: Vec<Epoch>,
    },
}

/// The data directory.
#[derive(Clone, Debug)]
pub struct Disk {
    /// Its path.
    pub folder: String,
    /// Whether a file can be made there.
    pub writable: Result<(), Unwritable>,
    /// The network file system that it lies on, if it does.
    pub remote: Option<&'static str>,
    /// Bytes that this user may still write.
    pub free: Result<u64, String>,
    /// Bytes that `store.reserve_mib` keeps free.
    pub reserve: u64,
    /// The store's file, if other users can read it.
    pub open_store: Option<String>,
    /// Where damaged CARs were put aside, and how many.
    pub damaged: (String, usize),
}

/// Why no file can be made in the data directory.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Unwritable {
    /// This user may not.
    Forbidden(String),
    /// Nobody may: the disk is mounted to be read.
    ReadOnly(String),
    /// There is no room for another file.
    Full(String),
    /// Anything else.
    Other(String),
}

/// The key and what is on it.
#[derive(Clone, Debug)]
pub struct Wallet {
    /// The key.
    pub key: Key,
    /// Its accounts, where they could be asked for.
    pub accounts: Vec<Account>,
}

/// The key.
#[derive(Clone, Debug)]
pub enum Key {
    /// None is named where one must be.
    Unnamed,
    /// A devnet's, which is made at the first start.
    ToBeMade {
        /// Where.
        path: String,
    },
    /// In a file.
    File {
        /// Which.
        path: String,
        /// Whether it is encrypted, or why it does not open.
        opens: Result<bool, KeyTrouble>,
    },
    /// With a signer.
    Signer {
        /// Its socket.
        path: String,
        /// Why it does not answer.
        answers: Result<(), String>,
    },
}

/// Why a key file does not open.
#[derive(Clone, Debug)]
pub enum KeyTrouble {
    /// This file can be read by others: the key, or its passphrase.
    OpenToOthers(String),
    /// A file cannot be read.
    Unreadable(String),
    /// It holds no key.
    NoKey(String),
    /// The passphrase is missing or wrong.
    Locked(String),
}

/// One account of the key.
#[derive(Clone, Debug)]
pub struct Account {
    /// What it pays for.
    pub lane: Lane,
    /// Its address.
    pub address: String,
    /// What it has, or why that is not known.
    pub balance: Result<AttoFil, String>,
}

/// The contracts.
#[derive(Clone, Debug)]
pub struct Contracts {
    /// What of the configuration cannot be used.
    pub wrong: Option<String>,
    /// Whether the node's own is named.
    pub named: bool,
    /// Those that are named, or that the running node has.
    pub list: Vec<Contract>,
}

/// One contract.
#[derive(Clone, Debug)]
pub struct Contract {
    /// Its address.
    pub address: String,
    /// As which generation it is followed.
    pub abi: AbiKind,
    /// Where its events begin.
    pub from_block: Epoch,
    /// Whether that is told.
    pub from_named: bool,
    /// keccak-256 of its code; `None` within when there is none.
    pub code: Result<Option<String>, String>,
    /// Its count of requests; `None` within when it has no such view.
    pub count: Option<Result<Option<u64>, String>>,
    /// What vouches for its newest logs.
    pub newest: Option<Result<Witness, String>>,
    /// No endpoint keeps its first block.
    pub oldest_gone: bool,
    /// What it lets the node do.
    pub rights: Option<Result<Rights, String>>,
}

/// What a contract lets the node do.
#[derive(Clone, Debug)]
pub struct Rights {
    /// Its generation.
    pub kind: AbiKind,
    /// Whether it is paused.
    pub paused: bool,
    /// Its successor, if it names one.
    pub successor: Option<EthAddress>,
    /// The node's account, and whether it may complete.
    pub completes: Option<(EthAddress, bool)>,
}

/// The providers.
#[derive(Clone, Debug)]
pub struct Providers {
    /// What of the configuration cannot be used.
    pub wrong: Option<String>,
    /// Those that may be used: of a devnet all, when none is named. Each as it is on chain; `None` when the chain could
    /// not be asked.
    pub list: Vec<(ProviderId, Option<Result<ProviderOnChain, String>>)>,
    /// Copies on distinct operators, by the default policy.
    pub copies: u32,
}

/// Where providers fetch the bytes.
#[derive(Clone, Debug)]
pub struct Listener {
    /// The address, as configured or as the running node tells it.
    pub url: Option<String>,
    /// What was found there.
    pub answer: Option<Answer>,
    /// Why the listener's own address cannot be had, where no node runs that could have it.
    pub taken: Option<(String, String)>,
}

/// What answers at the public address.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Answer {
    /// The data listener.
    Ours,
    /// The data listener of another node, on this network.
    OtherNode(String),
    /// Something else.
    Other(String),
    /// Nothing.
    Silent(String),
}

/// The node, if one runs.
#[derive(Clone, Debug)]
pub enum Node {
    /// Nothing answers.
    Away {
        /// Where it was looked for.
        at: String,
    },
    /// What answers is not understood.
    Unread {
        /// Where.
        at: String,
        /// Why.
        why: String,
    },
    /// It waits for a chain endpoint.
    Waits {
        /// In its words.
        why: String,
        /// How its data listener names itself.
        listener: Option<String>,
    },
    /// It is on another network.
    Foreign {
        /// Where.
        at: String,
        /// Which.
        network: String,
    },
    /// It runs.
    Runs(Box<Running>),
}

/// A running node, as it tells of itself.
#[derive(Clone, Debug)]
pub struct Running {
    /// Where.
    pub at: String,
    /// Its version.
    pub version: String,
    /// Its network.
    pub network: String,
    /// Why it holds.
    pub hold: Option<Hold>,
    /// The block up to which a contract could have been followed.
    pub eth_block: Option<Epoch>,
    /// Its alarms, less those of endpoints, which are looked at here.
    pub alarms: Vec<NodeAlarm>,
    /// How far it follows each contract.
    pub follows: Vec<Follows>,
    /// Where it tells providers to fetch.
    pub public_url: String,
    /// How its data listener names itself; `None` of an older node.
    pub listener: Option<String>,
}

/// How far a node follows one contract.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
pub struct Follows {
    /// Which.
    pub address: String,
    /// Its generation.
    pub abi: String,
    /// Where its events begin.
    pub from_block: Epoch,
    /// Why it goes no further.
    pub waits: Option<String>,
    /// The last block that was read.
    pub read_to: Option<Epoch>,
}

/// An alarm of a node about what only it knows.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(tag = "alarm", rename_all = "snake_case")]
pub enum NodeAlarm {
    /// Somebody else used an account.
    AccountHalted {
        /// Which.
        account: Lane,
        /// In the node's words.
        why: String,
    },
    /// The store is an older copy.
    StoreRestored {
        /// Until this epoch is final.
        until: Epoch,
    },
    /// A step is not tried any more for a while.
    StepSetAside {
        /// In the node's words.
        why: String,
    },
    /// A transaction waits for cheaper gas.
    GasTooDear {
        /// In the node's words.
        why: String,
    },
    /// Money does not last.
    MoneyEnds {
        /// How soon.
        urgency: Urgency,
        /// Which money, and for how long.
        why: String,
    },
    /// Anything else.
    #[serde(other)]
    Other,
}
