//! JSON-RPC 2.0 at `/rpc/v1`: `Filecoin.*`, `eth_*`, `devnet_*`, and the fault modes that lie about the first two.

mod error;

pub use error::RpcError;
