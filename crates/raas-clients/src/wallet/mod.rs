//! The wallet: what the node's key signs, and how that reaches the chain.
//!
//! Nothing here chooses a nonce or repeats a send: the sender machine owns nonces, stores the signed bytes first
//! and settles what is uncertain by looking. The same terms and the same transaction always give the same bytes.

mod broadcast;
mod deal;
mod fees;
mod key_wallet;
mod lanes;
mod native;

pub use deal::{DealError, sign_deal, sign_status_request};
pub use key_wallet::{KeyWallet, WalletConfig};
