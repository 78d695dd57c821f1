//! What a look can find: one name for each kind, with the area it belongs to and how bad it is.

use serde::Serialize;
use std::fmt;

/// How bad it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Level {
    /// As it should be.
    Ok,
    /// It works, but not as safely or as fast as it could.
    Warning,
    /// The node does not start, holds, or cannot do a part of its work.
    Problem,
}

/// What of the surroundings it is about.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Area {
    /// One chain endpoint.
    Endpoint,
    /// The chain by all endpoints.
    Chain,
    /// A contract that is followed.
    Contract,
    /// The key and what is on it.
    Wallet,
    /// The providers that may be used.
    Providers,
    /// This machine's time.
    Clock,
    /// Where the store and the pieces live.
    Disk,
    /// Where providers fetch the bytes.
    #[serde(rename = "data listener")]
    DataListener,
    /// The running node, if one runs.
    Node,
}

impl fmt::Display for Area {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Endpoint => "endpoint",
            Self::Chain => "chain",
            Self::Contract => "contract",
            Self::Wallet => "wallet",
            Self::Providers => "providers",
            Self::Clock => "clock",
            Self::Disk => "disk",
            Self::DataListener => "data listener",
            Self::Node => "node",
        })
    }
}

/// One enum of all kinds, with a list of them, so that a test can ask for each.
macro_rules! codes {
    ($($(#[$doc:meta])* $name:ident: $area:ident, $level:ident;)*) => {
        /// The kinds of finding, stable names for programs.
        #[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize)]
        #[serde(rename_all = "snake_case")]
        pub enum Code {
            $($(#[$doc])* $name,)*
        }

        impl Code {
            /// Every kind.
            pub const ALL: &'static [Self] = &[$(Self::$name,)*];

            /// What it is about.
            #[must_use]
            pub const fn area(self) -> Area {
                match self {
                    $(Self::$name => Area::$area,)*
                }
            }

            /// How bad it is.
            #[must_use]
            pub const fn level(self) -> Level {
                match self {
                    $(Self::$name => Level::$level,)*
                }
            }
        }
    };
}

codes! {
    /// It answers, for the right network.
    EndpointServes: Endpoint, Ok;
    /// It does not tell which network it serves.
    EndpointSilent: Endpoint, Problem;
    /// It turns calls away.
    EndpointBusy: Endpoint, Problem;
    /// It wants a token.
    EndpointRefuses: Endpoint, Problem;
    /// What is there is no such endpoint.
    EndpointStrange: Endpoint, Problem;
    /// It takes long for a small question.
    EndpointSlow: Endpoint, Warning;
    /// It gives fewer calls than the node may ask.
    EndpointThrottles: Endpoint, Warning;
    /// Its log queries have what its receipts have.
    EndpointLogsWhole: Endpoint, Ok;
    /// Its log queries leave out what its receipts have.
    EndpointHidesLogs: Endpoint, Problem;
    /// A contract's state changed, and it has no event of that.
    EndpointHidesEvents: Endpoint, Problem;
    /// It serves another network.
    EndpointForeign: Endpoint, Problem;
    /// Answers can be changed on their way.
    EndpointPlainText: Endpoint, Warning;
    /// Its head cannot be right by the clock.
    EndpointStale: Endpoint, Problem;
    /// How far its finality lies back.
    EndpointFinality: Endpoint, Ok;
    /// Its finality lags.
    EndpointFinalityLags: Endpoint, Warning;
    /// It lacks a method without which a part of the work cannot be done.
    EndpointLacks: Endpoint, Problem;
    /// It lacks a method that has a substitute.
    EndpointLacksLittle: Endpoint, Ok;
    /// How far back it tells state.
    EndpointState: Endpoint, Ok;
    /// It tells state less far back than finality can lie.
    EndpointStateShort: Endpoint, Warning;
    /// It has no logs.
    EndpointNoLogs: Endpoint, Problem;
    /// It gives few logs at once.
    EndpointFewLogs: Endpoint, Ok;
    /// Its WebSocket opens.
    SocketOpens: Endpoint, Ok;
    /// Its WebSocket does not.
    SocketFails: Endpoint, Warning;
    /// More endpoints must agree than there are.
    TooFewVoices: Chain, Problem;
    /// One endpoint is believed by itself.
    OneVoice: Chain, Warning;
    /// How many must agree.
    Agreement: Chain, Ok;
    /// All endpoints are on one machine.
    OneHost: Chain, Warning;
    /// A finalized tipset can be pinned.
    Finalized: Chain, Ok;
    /// A node would hold.
    ChainHolds: Chain, Problem;
    /// This machine's time fits the chain.
    ClockRight: Clock, Ok;
    /// Time is the devnet's.
    ClockDevnet: Clock, Ok;
    /// The chain is further than this machine's time allows.
    ClockBehind: Clock, Problem;
    /// All endpoints are behind this machine's time alike.
    ClockAhead: Clock, Problem;
    /// Room enough.
    DiskRoom: Disk, Ok;
    /// Little room.
    DiskLow: Disk, Warning;
    /// Less room than is kept free: nothing is taken in.
    DiskReserve: Disk, Problem;
    /// Damaged CARs were put aside.
    DiskDamaged: Disk, Warning;
    /// No room.
    DiskFull: Disk, Problem;
    /// Nothing can be written.
    DiskUnwritable: Disk, Problem;
    /// It lies on another machine, where the store is not safe.
    DiskRemote: Disk, Problem;
    /// The room cannot be told.
    DiskUnknown: Disk, Problem;
    /// Others can read the store.
    StoreOpenToOthers: Disk, Warning;
    /// No key is named.
    KeyUnnamed: Wallet, Problem;
    /// A devnet's key, which the first start makes.
    KeyToBeMade: Wallet, Ok;
    /// The key opens.
    KeyOpens: Wallet, Ok;
    /// The key is not encrypted.
    KeyPlain: Wallet, Warning;
    /// Others can read the key or its passphrase.
    KeyOpenToOthers: Wallet, Problem;
    /// The file cannot be read.
    KeyUnreadable: Wallet, Problem;
    /// The file holds no key.
    KeyNone: Wallet, Problem;
    /// The passphrase is missing or wrong.
    KeyLocked: Wallet, Problem;
    /// The signer does not answer.
    SignerAway: Wallet, Problem;
    /// An account has money.
    Funded: Wallet, Ok;
    /// An account is at its end.
    MoneyLow: Wallet, Problem;
    /// A balance could not be read.
    BalanceUnread: Wallet, Problem;
    /// The contracts of the configuration cannot be used.
    ContractMisnamed: Contract, Problem;
    /// None is named.
    ContractNone: Contract, Ok;
    /// None is named, and the node deploys one.
    ContractToBeDeployed: Contract, Ok;
    /// Its first block is not named.
    ContractFromZero: Contract, Warning;
    /// There is code.
    ContractCode: Contract, Ok;
    /// There is none.
    ContractMissing: Contract, Problem;
    /// Its code could not be read.
    ContractUnread: Contract, Problem;
    /// It counts its requests.
    ContractCounts: Contract, Ok;
    /// It does not.
    ContractCountless: Contract, Warning;
    /// It is not final yet.
    ContractYoung: Contract, Ok;
    /// It does not answer.
    ContractUnasked: Contract, Problem;
    /// A second witness vouches for its logs.
    LogsVouched: Contract, Ok;
    /// None does.
    LogsUnvouched: Contract, Problem;
    /// Its newest logs could not be read.
    LogsUnread: Contract, Problem;
    /// Its first logs are gone, and its views make up for them.
    HistoryByViews: Contract, Ok;
    /// Its first logs are gone, and it tells CIDs alone.
    HistoryCidsOnly: Contract, Warning;
    /// Its first logs are gone for good.
    HistoryGone: Contract, Problem;
    /// It is of another generation than the configuration says.
    ContractOtherKind: Contract, Problem;
    /// It is paused.
    ContractPaused: Contract, Warning;
    /// It names a successor.
    ContractSucceeded: Contract, Warning;
    /// The node may complete requests.
    MayComplete: Contract, Ok;
    /// The node may not.
    MayNotComplete: Contract, Problem;
    /// What it lets the node do could not be read.
    RightsUnread: Contract, Warning;
    /// No provider is named.
    ProvidersNone: Providers, Problem;
    /// The names in the configuration are none.
    ProvidersMisnamed: Providers, Problem;
    /// Who runs it and where it is.
    ProviderFound: Providers, Ok;
    /// It announces no address.
    ProviderNoAddress: Providers, Warning;
    /// It could not be read.
    ProviderUnread: Providers, Problem;
    /// Fewer operators than copies.
    OperatorsFew: Providers, Problem;
    /// No public address.
    UrlUnset: DataListener, Problem;
    /// An address that nobody else reaches.
    UrlPrivate: DataListener, Problem;
    /// The address leads to the data listener.
    UrlAnswers: DataListener, Ok;
    /// Nothing answers there.
    UrlSilent: DataListener, Problem;
    /// Something else answers there.
    UrlForeign: DataListener, Problem;
    /// Another node answers there.
    UrlOtherNode: DataListener, Problem;
    /// Another program has the listener's own address.
    PortTaken: DataListener, Problem;
    /// A devnet's address, which is known once the node runs.
    UrlToBeBound: DataListener, Ok;
    /// No node runs.
    NodeAway: Node, Ok;
    /// A node of this network runs.
    NodeRuns: Node, Ok;
    /// A node of another network runs there.
    NodeForeign: Node, Warning;
    /// What answers there is not understood.
    NodeUnread: Node, Warning;
    /// The node waits for a chain endpoint.
    NodeWaits: Node, Problem;
    /// The node holds.
    NodeHolds: Node, Problem;
    /// An account is halted.
    AccountHalted: Node, Problem;
    /// The store was put back from a backup.
    StoreRestored: Node, Warning;
    /// A step is set aside.
    StepSetAside: Node, Warning;
    /// Gas is above a cap.
    GasTooDear: Node, Warning;
    /// Money lasts for 30 days or less.
    MoneyEndsMonth: Node, Warning;
    /// For 7 days or less.
    MoneyEndsWeek: Node, Warning;
    /// For a day or less.
    MoneyEndsDay: Node, Problem;
    /// Events of a contract are not read any further.
    EventsStuck: Node, Problem;
    /// Events of a contract are read late.
    EventsBehind: Node, Warning;
}

/// One thing that was looked at.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Finding {
    /// What kind.
    pub code: Code,
    /// Of what.
    pub area: Area,
    /// Which one, where there are several.
    pub subject: String,
    /// How bad it is.
    pub level: Level,
    /// What was found.
    pub found: String,
    /// What mends it; empty when nothing needs to be.
    pub fix: String,
}

/// All that was found.
#[derive(Debug, Default)]
pub(super) struct Findings {
    list: Vec<Finding>,
}

impl Findings {
    /// As it should be.
    pub(super) fn ok(&mut self, code: Code, subject: &str, found: impl Into<String>) {
        self.push(code, subject, found.into(), String::new());
    }

    /// Something that `fix` mends.
    pub(super) fn bad(
        &mut self,
        code: Code,
        subject: &str,
        found: impl Into<String>,
        fix: impl Into<String>,
    ) {
        self.push(code, subject, found.into(), fix.into());
    }

    fn push(&mut self, code: Code, subject: &str, found: String, fix: String) {
        let (area, level, subject) = (code.area(), code.level(), subject.to_owned());
        self.list.push(Finding { code, area, subject, level, found, fix });
    }

    /// In the order they were found.
    pub(super) fn list(self) -> Vec<Finding> {
        self.list
    }
}
