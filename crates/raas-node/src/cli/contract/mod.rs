//! `raas contract …`: deploying and keeping a DealStatus, over a chain endpoint alone. No node is needed.

mod args;
mod change;
mod deploy;
mod look;
mod session;

pub use args::Contract;

use super::failure::Failure;

/// Runs one of the commands.
pub async fn contract(command: Contract, json: bool) -> Result<(), Failure> {
    match command {
        Contract::Deploy(deploy) => deploy::deploy(&deploy, json).await,
        Contract::Status(at) => look::status(&at, json).await,
        Contract::VerifyCode(at) => look::verify_code(&at, json).await,
        Contract::Grant(grant) => change::grant(&grant, json).await,
        Contract::Pause(pause) => change::pause(&pause, json).await,
        Contract::Prune(prune) => change::prune(&prune, json).await,
        Contract::Abi { artifact } => look::abi(artifact),
    }
}
