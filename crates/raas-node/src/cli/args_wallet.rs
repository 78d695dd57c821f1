//! What can be typed after `raas wallet`. No secret is ever an argument.

use clap::{Args as ClapArgs, Subcommand};
use std::path::PathBuf;

/// `raas wallet …`.
#[derive(Debug, Subcommand)]
pub enum Wallet {
    /// Make a key, in a new encrypted file.
    New {
        /// The new file.
        #[arg(long)]
        to: PathBuf,
        /// File with the passphrase in its first line; asked for otherwise.
        #[arg(long)]
        passphrase_file: Option<PathBuf>,
    },
    /// Put a key of elsewhere into a new encrypted file.
    Import {
        /// What `lotus wallet export` wrote, an encrypted file of geth or ethers, or 64 hex digits; `-` reads stdin.
        from: PathBuf,
        /// The new file.
        #[arg(long)]
        to: PathBuf,
        /// File with the passphrase of the new file.
        #[arg(long)]
        passphrase_file: Option<PathBuf>,
        /// File with the passphrase of the file that is read, where that is encrypted.
        #[arg(long)]
        from_passphrase_file: Option<PathBuf>,
    },
    /// Write the secret of a key file, unencrypted, as `lotus wallet import` takes it.
    Export {
        /// The key file.
        from: PathBuf,
        /// The new file, readable by you only; `-` prints it.
        #[arg(long)]
        to: PathBuf,
        /// File with the passphrase of the key file.
        #[arg(long)]
        passphrase_file: Option<PathBuf>,
        /// Do not ask whether the secret may be written.
        #[arg(long)]
        yes: bool,
    },
    /// List the key files of a directory with their addresses.
    List {
        /// The directory.
        #[arg(default_value = ".")]
        directory: PathBuf,
    },
    /// Hold a key for a node in a process of its own, behind a Unix socket.
    Signer {
        /// The key file.
        #[arg(long)]
        key_file: PathBuf,
        /// File with its passphrase.
        #[arg(long)]
        passphrase_file: Option<PathBuf>,
        /// The socket, made for you only.
        #[arg(long)]
        socket: PathBuf,
    },
    /// What the node's accounts have, how long it lasts, and what is wrong.
    Balance,
    /// The node's transactions, newest first.
    Txs {
        /// Only this one.
        id: Option<u64>,
        /// At most so many.
        #[arg(long, default_value_t = 20)]
        limit: u32,
    },
    /// Send from one of the node's accounts.
    Send {
        /// Address, f… or 0x….
        to: String,
        /// With its unit: "1.5 FIL".
        amount: String,
        /// From which account: native (f1) or evm (0x).
        #[arg(long, default_value = "native")]
        from: String,
        #[command(flatten)]
        pay: PayOptions,
    },
    /// Add to the escrow at the market, from the f1 account.
    MarketAdd(Pay),
    /// Take free escrow back to the f1 account.
    MarketWithdraw(Pay),
    /// Ask the market to settle deals whose term is over, so that what they lock becomes free.
    Settle {
        /// Deal ids; all that ended when none are named.
        deals: Vec<u64>,
        #[command(flatten)]
        pay: PayOptions,
    },
    /// DataCap of the f1 account, and the allocations that wait for a provider.
    Datacap,
    /// Set DataCap aside for a piece at a provider, who claims it when the piece is proven.
    Allocate(Allocate),
    /// Let an account go on that was halted by a foreign transaction, or a restored store act before its time.
    Release {
        /// native, evm or restored.
        what: String,
        #[command(flatten)]
        pay: PayOptions,
    },
}

/// A payment of one amount.
#[derive(Debug, ClapArgs)]
pub struct Pay {
    /// With its unit: "1.5 FIL".
    pub amount: String,
    /// How.
    #[command(flatten)]
    pub options: PayOptions,
}

/// For what DataCap is set aside.
#[derive(Debug, ClapArgs)]
pub struct Allocate {
    /// Who may claim it, as f01000.
    #[arg(long, value_parser = provider)]
    pub provider: u64,
    /// The piece CID, baga...
    #[arg(long)]
    pub piece: String,
    /// Its padded size in bytes, at least 1048576.
    #[arg(long)]
    pub size: u64,
    /// The shortest time the sector must live from the claim on, in epochs.
    #[arg(long, default_value_t = 518_400)]
    pub term_min: i64,
    /// The longest, in epochs.
    #[arg(long, default_value_t = 5_259_485)]
    pub term_max: i64,
    /// The last epoch in which it can be claimed, at most 172800 after the head.
    #[arg(long)]
    pub expiration: i64,
    /// How.
    #[command(flatten)]
    pub options: PayOptions,
}

/// The number of an id address.
fn provider(text: &str) -> Result<u64, String> {
    let number = text.strip_prefix("f0").or_else(|| text.strip_prefix("t0")).unwrap_or(text);
    number.parse().map_err(|_| "use the id address of a provider, as f01000".to_owned())
}

/// How a payment is made.
#[derive(Debug, ClapArgs)]
pub struct PayOptions {
    /// Do not ask.
    #[arg(long)]
    pub yes: bool,
    /// Only show what it would cost.
    #[arg(long)]
    pub dry_run: bool,
    /// The node's wallet.token: who can read it may spend.
    #[arg(long, env = "RAAS_WALLET_TOKEN_FILE", default_value = "raas-data/wallet.token")]
    pub token_file: PathBuf,
    /// Name of the payment: the same one is made once only. A new one each time unless given.
    #[arg(long)]
    pub key: Option<String>,
}
