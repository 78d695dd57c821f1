//! The key, and what is on its accounts.

use super::patient::Patient;
use crate::causes::chain as causes;
use crate::node::doctor::looked::{Account, Key, KeyTrouble, Wallet};
use crate::node::key::{self, KeyFileError};
use alloy_primitives::Address as EthAddress;
use raas_clients::filecoin::Identity;
use raas_clients::wallet::keystore::{self, KeystoreError};
use raas_clients::wallet::{KeyWallet, Signer, WalletConfig};
use raas_core::ports::{Lane, Wallet as _};
use raas_core::units::AttoFil;
use std::path::{Path, PathBuf};

/// Opens the key; its 0x account goes with it. Balances are asked for where the network is known.
pub(super) async fn wallet(
    patient: &Patient<'_>,
    identity: Option<&Identity>,
) -> (Wallet, Option<EthAddress>) {
    let (key, signer) = key(patient).await;
    let (Some(signer), Some(identity)) = (signer, identity) else {
        return (Wallet { key, accounts: Vec::new() }, None);
    };
    let settings = WalletConfig {
        chain_id: identity.chain_id,
        genesis: Some(identity.genesis_cid.clone()),
        contracts: Vec::new(),
        max_gas_cost: AttoFil::fil(1),
    };
    let wallet = KeyWallet::new(signer, patient.pool.clone(), settings);
    let mut accounts = Vec::new();
    for lane in [Lane::Native, Lane::Evm] {
        let address = match lane {
            Lane::Native => wallet.native_address().to_string(),
            Lane::Evm => format!("{:#x}", wallet.eth_address()),
        };
        let balance = wallet.balance(lane).await.map_err(|why| why.to_string());
        accounts.push(Account { lane, address, balance });
    }
    (Wallet { key, accounts }, Some(wallet.eth_address()))
}

async fn key(patient: &Patient<'_>) -> (Key, Option<Signer>) {
    let (section, data_dir) = (&patient.config.wallet, patient.config.data_dir.as_path());
    let path: PathBuf = match (&section.signer_socket, &section.key_file) {
        (Some(socket), _) => {
            let path = socket.display().to_string();
            return match key::signer(section, data_dir, patient.devnet).await {
                Ok(signer) => (Key::Signer { path, answers: Ok(()) }, signer),
                Err(error) => (Key::Signer { path, answers: Err(causes(&error)) }, None),
            };
        }
        (None, Some(path)) => path.clone(),
        (None, None) if patient.devnet => data_dir.join("wallet.key"),
        (None, None) => return (Key::Unnamed, None),
    };
    let shown = path.display().to_string();
    // A look makes no key.
    if patient.devnet && !path.exists() {
        return (Key::ToBeMade { path: shown }, None);
    }
    match key::signer(section, data_dir, patient.devnet).await {
        Ok(signer) => (Key::File { path: shown, opens: Ok(is_encrypted(&path)) }, signer),
        Err(error) => (Key::File { path: shown, opens: Err(trouble(error)) }, None),
    }
}

fn is_encrypted(path: &Path) -> bool {
    key::read_private(path).is_ok_and(|text| keystore::is_keystore(&text))
}

fn trouble(error: KeyFileError) -> KeyTrouble {
    let words = causes(&error);
    match error {
        KeyFileError::Open(path) => KeyTrouble::OpenToOthers(path.display().to_string()),
        KeyFileError::Keystore { source: KeystoreError::WrongPassphrase, .. }
        | KeyFileError::NoPassphrase
        | KeyFileError::EmptyPassphrase
        | KeyFileError::Differ => KeyTrouble::Locked(words),
        KeyFileError::NoKey { .. } | KeyFileError::Keystore { .. } => KeyTrouble::NoKey(words),
        KeyFileError::Io { .. } | KeyFileError::Exists(_) | KeyFileError::Signer(_) => {
            KeyTrouble::Unreadable(words)
        }
    }
}
