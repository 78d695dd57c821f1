//! The wallet: what the node's key signs, and how that reaches the chain.
//!
//! Nothing here chooses a nonce or repeats a send: the sender machine owns nonces, stores the signed bytes first
//! and settles what is uncertain by looking. The same terms and the same transaction always give the same bytes.

mod broadcast;
mod datacap;
mod deal;
mod fees;
mod key_wallet;
pub mod keystore;
mod lanes;
mod native;
pub mod signer;
mod taker;

pub use datacap::Allocated;
pub use deal::{DealError, sign_deal};
pub use key_wallet::{KeyWallet, WalletConfig};
pub use signer::Signer;
