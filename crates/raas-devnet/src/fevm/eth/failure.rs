//! Failed calls as errors, with the texts of a node.

use super::hex;
use crate::{
    fevm::{Exit, Failure},
    rpc::RpcError,
};
use alloy_sol_types::{Panic, Revert, SolError};

/// Out of gas has its own code.
const OUT_OF_GAS: i64 = 2;
/// Everything else that a contract or the system refused.
const REVERTED: i64 = 3;

impl From<Failure> for RpcError {
    fn from(failure: Failure) -> Self {
        if failure.exit == Exit::OUT_OF_GAS {
            return Self::coded(OUT_OF_GAS, "call ran out of gas");
        }
        let (exit, reason) = (exit_name(failure.exit), reason(&failure.data));
        let message = format!(
            "message execution failed (exit=[{exit}], revert reason=[{reason}], vm error=[message failed: \
             contract ended with exit code {}])",
            failure.exit.0
        );
        Self { code: REVERTED, message, data: Some(hex::bytes(&failure.data)) }
    }
}

/// The code with the name of those every actor shares.
fn exit_name(exit: Exit) -> String {
    let name = match exit.0 {
        6 => "SysErrInsufficientFunds",
        7 => "SysErrOutOfGas",
        16 => "ErrIllegalArgument",
        24 => "ErrAssertionFailed",
        25 => "ErrReadOnly",
        code => return code.to_string(),
    };
    format!("{name}({})", exit.0)
}

/// Revert data in words, as far as Solidity's own two errors go.
fn reason(data: &[u8]) -> String {
    if data.is_empty() {
        return "none".to_owned();
    }
    if let Ok(revert) = Revert::abi_decode(data) {
        return format!("Error({})", revert.reason);
    }
    if let Ok(panic) = Panic::abi_decode(data) {
        let name = panic.kind().map_or_else(|| format!("{:#x}", panic.code), |kind| kind.as_str().to_owned());
        return format!("Panic({name})");
    }
    format!("0x{}", ::hex::encode(data))
}
