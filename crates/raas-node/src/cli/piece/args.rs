//! What can be typed after `raas piece`.

use clap::{Args, Subcommand, ValueEnum};
use std::num::NonZero;
use std::path::PathBuf;

/// More than any machine has, and few enough to be started.
const THREADS_MAX: usize = 1_024;

fn threads(text: &str) -> Result<NonZero<usize>, String> {
    let threads = text.parse::<NonZero<usize>>().ok().filter(|threads| threads.get() <= THREADS_MAX);
    threads.ok_or_else(|| format!("give a number from 1 to {THREADS_MAX}"))
}

/// `raas piece …`.
#[derive(Debug, Subcommand)]
pub enum Piece {
    /// The piece commitment (CommP) of files.
    Commp(Commp),
    /// Pack a file, directory or tar stream into a CAR, and give its root and piece.
    Car(Car),
    /// Check a CAR, block by block, and list what it holds.
    Ls(Ls),
    /// The deal piece over several pieces (FRC-0058), from their commitments alone or with its bytes.
    Aggregate(Aggregate),
    /// The proof that a piece is in a deal piece (PoDSI).
    Prove(Prove),
    /// Check such a proof.
    Verify(Verify),
    /// Turn a piece CID of one version into the other.
    Cid(Cid),
}

/// `raas piece commp`.
#[derive(Debug, Args)]
pub struct Commp {
    /// Files; `-` is stdin.
    #[arg(default_value = "-")]
    pub files: Vec<PathBuf>,
    /// Threads that hash; all cores by default.
    #[arg(long, value_parser = threads)]
    pub threads: Option<NonZero<usize>>,
}

/// `raas piece car`.
#[derive(Debug, Args)]
pub struct Car {
    /// A file or directory; `-` is stdin.
    pub path: PathBuf,
    /// Where the CAR goes; `-` is stdout. With --split the parts are numbered: NAME.0, NAME.1.
    #[arg(short, long)]
    pub output: PathBuf,
    /// Write over files that are there.
    #[arg(short, long)]
    pub force: bool,
    /// The input is a tar stream; its entries become a directory.
    #[arg(long)]
    pub tar: bool,
    /// How bytes become blocks: unixfs-v1-2025, unixfs-v0-2015 or kubo-cidv1-256KiB-174.
    #[arg(long, default_value = "unixfs-v1-2025")]
    pub profile: String,
    /// Take entries whose names begin with a dot, too.
    #[arg(long)]
    pub hidden: bool,
    /// The padded size that no CAR may be over, in bytes.
    #[arg(long, default_value_t = 64 << 30)]
    pub piece_limit: u64,
    /// What is over the limit goes to several linked CARs, in place of an error.
    #[arg(long)]
    pub split: bool,
    /// Threads that hash the piece; all cores by default.
    #[arg(long, value_parser = threads)]
    pub threads: Option<NonZero<usize>>,
}

/// `raas piece ls`.
#[derive(Debug, Args)]
pub struct Ls {
    /// A CAR, version 1 or 2; `-` is stdin.
    #[arg(default_value = "-")]
    pub file: PathBuf,
    /// Only the summary, without a line per block.
    #[arg(short, long)]
    pub summary: bool,
}

/// The pieces of a deal, in the order they are placed.
#[derive(Debug, Args)]
pub struct Pieces {
    /// A piece CID v2, a piece CID v1 with its padded size (`CID:SIZE`), or a file; `-` reads them from stdin, one
    /// a line.
    #[arg(required = true)]
    pub pieces: Vec<String>,
    /// Padded size of the deal, in bytes; the smallest that holds them by default.
    #[arg(long)]
    pub deal_size: Option<u64>,
    /// Place the largest first, which leaves no gaps.
    #[arg(long)]
    pub sort: bool,
}

/// `raas piece aggregate`.
#[derive(Debug, Args)]
pub struct Aggregate {
    /// The pieces.
    #[command(flatten)]
    pub pieces: Pieces,
    /// Print the proof of every piece, too, one a line.
    #[arg(long)]
    pub proofs: bool,
    /// Write the raw bytes of the deal here; `-` is stdout. All pieces must be files.
    #[arg(short, long)]
    pub output: Option<PathBuf>,
    /// Write over a file that is there.
    #[arg(short, long)]
    pub force: bool,
}

/// A way to write a proof.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum Form {
    /// Named fields, numbers as strings, nodes as hex.
    Json,
    /// What go-data-segment writes, as hex.
    Cbor,
    /// What the contracts take, as hex.
    Abi,
}

/// `raas piece prove`.
#[derive(Debug, Args)]
pub struct Prove {
    /// The number of the piece in the deal, from 0.
    #[arg(long)]
    pub entry: usize,
    /// How the proof is written.
    #[arg(long, value_enum, default_value_t = Form::Json)]
    pub form: Form,
    /// The pieces.
    #[command(flatten)]
    pub pieces: Pieces,
}

/// `raas piece verify`.
#[derive(Debug, Args)]
pub struct Verify {
    /// The file with the proof, in any of the forms of `raas piece prove`; `-` is stdin.
    #[arg(default_value = "-")]
    pub proof: PathBuf,
    /// The piece that was proven: a piece CID v2, or v1 with its padded size (`CID:SIZE`).
    #[arg(long)]
    pub piece: String,
    /// The deal piece it must be in, in the same form; without it the one found is only printed.
    #[arg(long)]
    pub deal: Option<String>,
}

/// `raas piece cid`.
#[derive(Debug, Args)]
pub struct Cid {
    /// The CID.
    pub cid: String,
    /// For a CID v1: the payload size in bytes, from which the padded size follows.
    #[arg(long, conflicts_with = "padded_size")]
    pub payload_size: Option<u64>,
    /// For a CID v1: the padded size in bytes; the payload then counts as the whole capacity.
    #[arg(long)]
    pub padded_size: Option<u64>,
}
