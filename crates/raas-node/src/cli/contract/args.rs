//! What can be typed after `raas contract`.

use clap::{Args, Subcommand, ValueEnum};
use std::path::PathBuf;

/// `raas contract …`.
#[derive(Debug, Subcommand)]
pub enum Contract {
    /// Deploy the contract of this version, library first.
    Deploy(Deploy),
    /// What a deployment is and says of itself.
    Status(At),
    /// Compare the code on chain with the code of this version.
    VerifyCode(At),
    /// Give an account a role, or take it away.
    Grant(Grant),
    /// Stop submitting and completing, or start them again.
    Pause(Pause),
    /// Take deals that are over off the list of a CID. Anyone may.
    Prune(Prune),
    /// Print the ABI as JSON.
    Abi {
        /// The whole artifact: ABI, code, library, link places.
        #[arg(long)]
        artifact: bool,
    },
}

/// Which chain.
#[derive(Debug, Args)]
pub struct Chain {
    /// devnet (on this machine), calibration, mainnet, or the URL of an RPC endpoint. There is no default.
    #[arg(long, env = "RAAS_NETWORK")]
    pub network: Option<String>,
}

/// Who signs, and how sure.
#[derive(Debug, Args)]
pub struct Signer {
    /// The key file, encrypted or 64 hex digits, readable by its owner only.
    #[arg(long, env = "RAAS_KEY_FILE")]
    pub key_file: PathBuf,
    /// File with the passphrase of an encrypted key file; without it the passphrase is asked for.
    #[arg(long)]
    pub passphrase_file: Option<PathBuf>,
    /// Do not ask before money is spent.
    #[arg(short, long)]
    pub yes: bool,
}

/// A deployment on a chain.
#[derive(Debug, Args)]
pub struct At {
    /// The contract's 0x address.
    pub address: String,
    /// Its chain.
    #[command(flatten)]
    pub chain: Chain,
}

/// `raas contract deploy`.
#[derive(Debug, Args)]
pub struct Deploy {
    /// The chain.
    #[command(flatten)]
    pub chain: Chain,
    /// Who pays.
    #[command(flatten)]
    pub signer: Signer,
    /// Grants roles and names the successor. The signer, unless said.
    #[arg(long)]
    pub admin: Option<String>,
    /// May complete requests: the node's 0x address. The signer, unless said.
    #[arg(long)]
    pub aggregator: Option<String>,
    /// May stop and start writes. The signer, unless said.
    #[arg(long)]
    pub pauser: Option<String>,
    /// May submit without a limit. The signer, unless said.
    #[arg(long)]
    pub submitter: Option<String>,
    /// Hours between the two steps in which the admin changes.
    #[arg(long, default_value_t = 72)]
    pub admin_delay_hours: u32,
    /// Only accounts with the submitter's role may submit.
    #[arg(long)]
    pub restricted: bool,
    /// attoFIL kept for each open request until it is closed. Clients of the reference ABI cannot pay it.
    #[arg(long, default_value_t = 0)]
    pub request_deposit: u128,
    /// Open requests of one account without the submitter's role.
    #[arg(long, default_value_t = 1_000)]
    pub max_open_requests: u64,
}

/// A role of the contract.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum Role {
    /// Completes requests and binds pieces.
    Aggregator,
    /// Submits without a limit.
    Submitter,
    /// Stops and starts writes.
    Pauser,
}

impl Role {
    /// The text whose hash is the role's id.
    pub(super) const fn text(self) -> &'static str {
        match self {
            Self::Aggregator => "AGGREGATOR_ROLE",
            Self::Submitter => "SUBMITTER_ROLE",
            Self::Pauser => "PAUSER_ROLE",
        }
    }
}

/// `raas contract grant`.
#[derive(Debug, Args)]
pub struct Grant {
    /// The contract's 0x address.
    pub address: String,
    /// Which role.
    pub role: Role,
    /// Whose 0x address.
    pub account: String,
    /// Take it away.
    #[arg(long)]
    pub revoke: bool,
    /// The chain.
    #[command(flatten)]
    pub chain: Chain,
    /// The admin.
    #[command(flatten)]
    pub signer: Signer,
}

/// `raas contract pause`.
#[derive(Debug, Args)]
pub struct Pause {
    /// The contract's 0x address.
    pub address: String,
    /// Start again.
    #[arg(long)]
    pub off: bool,
    /// The chain.
    #[command(flatten)]
    pub chain: Chain,
    /// An account with the pauser's role.
    #[command(flatten)]
    pub signer: Signer,
}

/// `raas contract prune`.
#[derive(Debug, Args)]
pub struct Prune {
    /// The contract's 0x address.
    pub address: String,
    /// The CID, in any form.
    pub cid: String,
    /// Deal ids.
    #[arg(required = true)]
    pub deals: Vec<u64>,
    /// The chain.
    #[command(flatten)]
    pub chain: Chain,
    /// Who pays.
    #[command(flatten)]
    pub signer: Signer,
}
