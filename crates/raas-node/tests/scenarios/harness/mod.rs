//! What the scenarios share: a scene (a devnet, a node, time), its ledger, keys of others, files.

mod bytes;
mod calls;
mod checked_in;
mod foreign;
mod ledger;
mod proxy;
mod scene;
mod start;

pub use bytes::{numbered_chunks, sha256_counter, small};
pub use calls::Answer;
pub use checked_in::is_checked_in;
pub use foreign::Foreign;
pub use ledger::{Deal, Ledger};
pub use proxy::{Proxy, short_memory};
pub use raas_node::causes::chain as causes;
pub use scene::Scene;
pub use start::{Setting, start_with};
