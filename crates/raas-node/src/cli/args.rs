//! What can be typed.

use clap::{Args as ClapArgs, Parser, Subcommand};
use std::net::SocketAddr;
use std::path::PathBuf;

pub use super::args_wallet::{PayOptions, Wallet};

/// Where a node listens whose configuration says nothing.
pub const DEFAULT_NODE: &str = "http://127.0.0.1:1337";

/// Keeps data alive in Filecoin storage deals: replication, renewal and repair.
#[derive(Debug, Parser)]
#[command(name = "raas", version, after_help = EXAMPLES, propagate_version = true)]
pub struct Args {
    /// The node's API.
    #[arg(long, global = true, env = "RAAS_NODE", default_value = DEFAULT_NODE)]
    pub node: String,
    /// The node's data listener, when it is not where the node says.
    #[arg(long, global = true, env = "RAAS_DATA")]
    pub data_url: Option<String>,
    /// A file of mode 600 with a key of the API, where the node wants one; else RAAS_KEY is used.
    #[arg(long, global = true, env = "RAAS_KEY_FILE")]
    pub key_file: Option<PathBuf>,
    /// Print JSON on stdout.
    #[arg(long, global = true)]
    pub json: bool,
    /// Log more, to stderr.
    #[arg(short, long, global = true, action = clap::ArgAction::Count)]
    pub verbose: u8,
    /// What to do.
    #[command(subcommand)]
    pub command: Command,
}

const EXAMPLES: &str = "Examples:
  raas demo                              the whole job on a devnet, in a minute
  raas up --network devnet               a node with its own small Filecoin
  raas upload photo.jpg                  store a file with the node's default policy
  raas job register CID --replicas 3     keep what is already stored
  raas why CID                           what is so, why, and what happens next
  raas doctor --network calibration      what is wrong with the surroundings, and what mends it
  raas get CID -o photo.jpg              the bytes back, verified
  raas wallet new --to wallet.json       a key in an encrypted file
  raas wallet balance                    what there is, and how long it lasts

Exit codes: 0 done, 1 failed, 2 wrong usage or configuration, 3 node not reached.";

/// The commands.
#[derive(Debug, Subcommand)]
pub enum Command {
    /// Run a node.
    Up(Up),
    /// Show the whole job on a real file: store, prove, renew, repair, retrieve.
    #[cfg(feature = "devnet")]
    Demo(Demo),
    /// Run a small Filecoin alone.
    #[cfg(feature = "devnet")]
    Devnet(Devnet),
    /// Store a file or directory.
    Upload(Upload),
    /// Get the bytes of a CID back, verified.
    Get(Get),
    /// Register, list, show and stop jobs.
    #[command(subcommand)]
    Job(Job),
    /// Keys in files, and the running node's money.
    #[command(subcommand)]
    Wallet(Wallet),
    /// What the node keeps on its disk whatever the policies of jobs say.
    #[command(subcommand)]
    Pin(Pin),
    /// The node's own copies: what is here and why, what nothing keeps, and whether every byte is right.
    #[command(subcommand)]
    Store(StoreCommand),
    /// Give DAGs to a Kubo node, which pins them, and get them back from it.
    Kubo(Kubo),
    /// Pieces on this machine: commitments, CARs, aggregates and proofs. Needs no node.
    #[command(subcommand)]
    Piece(super::piece::Piece),
    /// Who may call the API: make, list and revoke keys, on the node's machine.
    #[command(subcommand)]
    Key(super::key::Key),
    /// History that was final and is another one now.
    #[command(subcommand)]
    Chain(super::chain::Chain),
    /// Deploy and keep a DealStatus contract.
    #[command(subcommand)]
    Contract(super::contract::Contract),
    /// Where a piece lies in an aggregate that is stored, and the proof of it.
    Proof(super::proof::Proof),
    /// What the node will do for a CID, and what it waits for.
    Plan {
        /// The CID, in any form.
        cid: String,
    },
    /// Providers' troubles: one incident for each, however many replicas it concerns.
    #[command(subcommand)]
    Incidents(Incidents),
    /// Look at endpoints, chain, contract, wallet, providers, clock and disk; say of each trouble what mends it.
    Doctor(Doctor),
    /// Why things are as they are for a CID: evidence, orders, attempts, waits.
    Why {
        /// The CID, in any form.
        cid: String,
    },
}

/// `raas up`.
#[derive(Debug, ClapArgs)]
pub struct Up {
    /// devnet, calibration, mainnet, or the URL of an RPC endpoint.
    #[arg(long)]
    pub network: Option<String>,
    /// Configuration file.
    #[arg(long, env = "RAAS_CONFIG")]
    pub config: Option<PathBuf>,
    /// Where store, pieces and key live.
    #[arg(long)]
    pub data_dir: Option<PathBuf>,
    /// Address of the API; beyond loopback there must be a key.
    #[arg(long)]
    pub admin: Option<SocketAddr>,
    /// Address of the data listener.
    #[arg(long)]
    pub data: Option<SocketAddr>,
    /// With a devnet of its own: milliseconds per epoch; 0 means that time moves by command only.
    #[arg(long, default_value_t = 1_000)]
    pub epoch_ms: u64,
    /// With a devnet of its own: the port of its chain RPC; 0 takes a free one.
    #[arg(long, default_value_t = 1234)]
    pub devnet_port: u16,
    /// Moves only by POST /v1/node/quiesce, for measurements on a devnet.
    #[arg(long, hide = true)]
    pub stepped: bool,
}

/// `raas incidents …`.
#[derive(Debug, Subcommand)]
pub enum Incidents {
    /// List them, open ones first.
    List,
    /// Show one with the CIDs that it concerns now.
    Show {
        /// Its number.
        id: i64,
    },
}

/// `raas doctor`.
#[derive(Debug, ClapArgs)]
#[command(
    after_help = "Looks at the running node, too: at --node, else where the configuration lets it listen.\n\n\
                  Exit codes: 0 nothing is wrong (warnings are allowed), 1 something is, 2 the configuration cannot be read."
)]
pub struct Doctor {
    /// devnet, calibration, mainnet, or the URL of an RPC endpoint.
    #[arg(long)]
    pub network: Option<String>,
    /// Configuration file.
    #[arg(long, env = "RAAS_CONFIG")]
    pub config: Option<PathBuf>,
    /// Where store, pieces and key live.
    #[arg(long)]
    pub data_dir: Option<PathBuf>,
    /// With `--network devnet`: the port of its chain RPC.
    #[arg(long, default_value_t = 1234)]
    pub devnet_port: u16,
}

/// `raas demo`.
#[cfg(feature = "devnet")]
#[derive(Debug, ClapArgs)]
pub struct Demo {
    /// The file or directory to store; the repository's own architecture page when none is named.
    pub path: Option<PathBuf>,
    /// End when everything is shown, with status 0 only if every step was verified.
    #[arg(long)]
    pub exit: bool,
}

/// `raas devnet`.
#[cfg(feature = "devnet")]
#[derive(Debug, ClapArgs)]
pub struct Devnet {
    /// Journal commands here, and go on from what is there.
    #[arg(long)]
    pub data: Option<PathBuf>,
    /// Port of the chain RPC; providers take the ports after it. 0 takes free ones.
    #[arg(long, default_value_t = 1234)]
    pub port: u16,
    /// Milliseconds per epoch; 0 means that time moves by `devnet_advance` only.
    #[arg(long, default_value_t = 0)]
    pub epoch_ms: u64,
    /// Everything that looks random comes from this.
    #[arg(long, default_value_t = 1)]
    pub seed: u64,
    /// 28 or 29.
    #[arg(long, default_value_t = 28)]
    pub network_version: u32,
    /// Let providers pull from loopback addresses, as a node on this machine needs.
    #[arg(long)]
    pub allow_private: bool,
}

/// `raas upload`.
#[derive(Debug, ClapArgs)]
pub struct Upload {
    /// A file or a directory; `-` reads a file from stdin.
    pub path: PathBuf,
    /// Refuse unless the bytes have this CID.
    #[arg(long)]
    pub cid: Option<String>,
    /// Keep the bytes on the node and make no deals.
    #[arg(long)]
    pub no_deal: bool,
    /// The path is a CAR.
    #[arg(long)]
    pub car: bool,
}

/// `raas get`.
#[derive(Debug, ClapArgs)]
pub struct Get {
    /// The CID, with a path below it if wanted: CID/dir/file.
    pub cid: String,
    /// Where to put it; `-` is stdout. The default is the last name of the path, else the CID.
    #[arg(short, long)]
    pub output: Option<PathBuf>,
    /// Write over a file that is there.
    #[arg(short, long)]
    pub force: bool,
}

/// `raas job …`.
#[derive(Debug, Subcommand)]
pub enum Job {
    /// Register a CID with a policy.
    Register(Register),
    /// List jobs.
    List {
        /// Only of this CID.
        #[arg(long)]
        cid: Option<String>,
        /// At most so many.
        #[arg(long, default_value_t = 100)]
        limit: u32,
    },
    /// Show a job with its copies, or every job of a CID.
    Show {
        /// Its number, or a CID.
        #[arg(value_name = "ID|CID", allow_negative_numbers = true)]
        job: String,
    },
    /// Try what is put off or set aside again now.
    Retry {
        /// Only what is for this CID.
        cid: Option<String>,
    },
    /// Spend nothing more for a job; what lives is listed.
    Stop {
        /// Its number; `raas job list --cid CID` tells it.
        #[arg(value_parser = job_number, allow_negative_numbers = true)]
        id: u64,
    },
}

fn job_number(text: &str) -> Result<u64, String> {
    text.parse().map_err(|_| "not a job's number; `raas job list --cid CID` tells those of a CID".to_owned())
}

/// `raas job register`.
#[derive(Debug, ClapArgs)]
pub struct Register {
    /// The CID, in any form.
    pub cid: String,
    /// all, replication, renew or repair.
    #[arg(long, allow_negative_numbers = true)]
    pub job_type: Option<String>,
    /// Copies on distinct operators.
    #[arg(long, allow_negative_numbers = true)]
    pub replicas: Option<String>,
    /// Renew when no more than this many epochs are left.
    #[arg(long, allow_negative_numbers = true)]
    pub renew_before: Option<String>,
    /// Repair when faulty for this many epochs.
    #[arg(long, allow_negative_numbers = true)]
    pub repair_after: Option<String>,
    /// Term of new deals, epochs.
    #[arg(long, allow_negative_numbers = true)]
    pub duration: Option<String>,
    /// When to stop renewing and repairing: 2030-01-31 or a full time.
    #[arg(long, allow_negative_numbers = true)]
    pub end_date: Option<String>,
    /// The node's own copy: always, never, or a number of proven copies.
    #[arg(long, allow_negative_numbers = true)]
    pub keep_local: Option<String>,
    /// Register it on the contract as well.
    #[arg(long)]
    pub on_chain: bool,
}

/// `raas pin …`.
#[derive(Debug, Subcommand)]
pub enum Pin {
    /// Keep a CID on the node's disk; its bytes are fetched where they are not there.
    Add {
        /// The CID of a payload or piece, in any form.
        cid: String,
    },
    /// Keep it no longer; what nothing else keeps is deleted after a while.
    Rm {
        /// The CID as it was pinned, in any form.
        cid: String,
    },
    /// List what is pinned.
    Ls,
}

/// `raas store …`.
#[derive(Debug, Subcommand)]
pub enum StoreCommand {
    /// List pieces with what keeps each.
    Ls,
    /// Delete the bytes of all pieces that nothing keeps now.
    Gc {
        /// Only say what would be deleted.
        #[arg(long)]
        dry_run: bool,
    },
    /// Hash local pieces again, one after the other; a damaged one is put aside and fetched back.
    Verify {
        /// Only this one, by the CID of its payload or piece; all when none is named.
        cid: Option<String>,
    },
}

/// `raas kubo …`.
#[derive(Debug, ClapArgs)]
#[command(
    after_help = "Where the Kubo node is stands in the configuration: [kubo] url (http://127.0.0.1:5001) and token_file."
)]
pub struct Kubo {
    /// Configuration file.
    #[arg(long, global = true, env = "RAAS_CONFIG")]
    pub config: Option<PathBuf>,
    /// What to do.
    #[command(subcommand)]
    pub command: KuboCommand,
}

/// What `raas kubo` does.
#[derive(Debug, Subcommand)]
pub enum KuboCommand {
    /// Import a DAG into Kubo and pin it; everything is verified before it is sent.
    Import {
        /// A CID, whose DAG comes from the node, or a CAR with one root.
        #[arg(value_name = "CID|FILE.car")]
        source: String,
    },
    /// Get the DAG of a CID from Kubo as a CAR, verified block by block.
    Export {
        /// The CID.
        cid: String,
        /// The CAR to write.
        #[arg(short, long)]
        output: PathBuf,
        /// Write over a file that is there.
        #[arg(short, long)]
        force: bool,
    },
    /// Say whether Kubo answers, and what it pins.
    Status,
}
