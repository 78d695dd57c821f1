//! The node's key: an encrypted file, a plain one, or a signer that has it. No secret reaches a log or an error.

use crate::config::WalletSection;
use raas_clients::key::{Key, KeyError};
use raas_clients::wallet::Signer;
use raas_clients::wallet::keystore::{self, KeystoreError, LOG_N, Passphrase};
use raas_clients::wallet::signer::SignerError;
use std::fs::{self, OpenOptions};
use std::io::{self, IsTerminal, Write};
use std::os::unix::fs::{OpenOptionsExt, PermissionsExt};
use std::path::{Path, PathBuf};

/// Where a passphrase is looked for when neither a file nor a terminal can give it.
const PASSPHRASE_VARIABLE: &str = "RAAS_WALLET_PASSPHRASE";

/// Why there is no key.
#[derive(Debug, thiserror::Error)]
pub enum KeyFileError {
    /// Not there, or not readable.
    #[error("the file {path}: {source}")]
    Io {
        /// Which file.
        path: PathBuf,
        /// What the system said.
        source: io::Error,
    },
    /// It would be written over.
    #[error("the file {0} is there already; a key file is never written over")]
    Exists(PathBuf),
    /// Others can read it.
    #[error("the file {0} can be read by others; chmod 600 it")]
    Open(PathBuf),
    /// Neither form of a key.
    #[error("the key file {path} holds neither 64 hex digits nor a key file of version 3: {source}")]
    NoKey {
        /// Which file.
        path: PathBuf,
        /// What is wrong with it.
        source: KeyError,
    },
    /// The key file cannot be opened.
    #[error("the key file {path}: {source}")]
    Keystore {
        /// Which file.
        path: PathBuf,
        /// Why.
        source: KeystoreError,
    },
    /// Nobody says the passphrase.
    #[error(
        "a passphrase is needed: name a file that holds it (wallet.passphrase_file, --passphrase-file), or run this \
         in a terminal"
    )]
    NoPassphrase,
    /// An empty passphrase protects nothing.
    #[error("the passphrase is empty")]
    EmptyPassphrase,
    /// Typed twice, differently.
    #[error("the two passphrases differ")]
    Differ,
    /// The signer.
    #[error(transparent)]
    Signer(#[from] SignerError),
}

/// Who signs for the node. On a devnet a plain key is made when there is none.
pub async fn signer(
    wallet: &WalletSection,
    data_dir: &Path,
    devnet: bool,
) -> Result<Option<Signer>, KeyFileError> {
    if let Some(socket) = &wallet.signer_socket {
        return Ok(Some(Signer::connect(socket).await?));
    }
    let path = match (&wallet.key_file, devnet) {
        (Some(path), _) => path.clone(),
        (None, true) => data_dir.join("wallet.key"),
        (None, false) => return Ok(None),
    };
    if devnet && !path.exists() {
        make_plain(&path)?;
    }
    let text = read_private(&path)?;
    if !keystore::is_keystore(&text) && !devnet {
        tracing::warn!(
            "the key in {} is not encrypted: `raas wallet import {0} --to FILE` makes an encrypted file of it",
            path.display()
        );
    }
    Ok(Some(Signer::from(open(&path, &text, wallet.passphrase_file.as_deref())?)))
}

/// The key in a file of either form.
pub fn read(path: &Path, passphrase_file: Option<&Path>) -> Result<Key, KeyFileError> {
    let text = read_private(path)?;
    open(path, &text, passphrase_file)
}

fn open(path: &Path, text: &str, passphrase_file: Option<&Path>) -> Result<Key, KeyFileError> {
    if !keystore::is_keystore(text) {
        let no_key = |source| KeyFileError::NoKey { path: path.to_owned(), source };
        return Key::from_hex(text.trim()).map_err(no_key);
    }
    let passphrase = passphrase(passphrase_file, &format!("passphrase of {}: ", path.display()))?;
    let wrong = |source| KeyFileError::Keystore { path: path.to_owned(), source };
    keystore::decrypt(text, &passphrase).map_err(wrong)
}

/// The passphrase from its file, the environment or the terminal, in this order.
pub fn passphrase(file: Option<&Path>, prompt: &str) -> Result<Passphrase, KeyFileError> {
    let passphrase = match file {
        Some(path) => {
            let text = read_private(path)?;
            Passphrase::new(text.lines().next().unwrap_or_default().to_owned())
        }
        None => match std::env::var(PASSPHRASE_VARIABLE) {
            Ok(text) => Passphrase::new(text),
            Err(_) if io::stdin().is_terminal() => typed(prompt)?,
            Err(_) => return Err(KeyFileError::NoPassphrase),
        },
    };
    if passphrase.is_empty() { Err(KeyFileError::EmptyPassphrase) } else { Ok(passphrase) }
}

/// A passphrase for a new file: typed twice where it is typed.
pub fn new_passphrase(file: Option<&Path>) -> Result<Passphrase, KeyFileError> {
    let asks = file.is_none() && std::env::var(PASSPHRASE_VARIABLE).is_err() && io::stdin().is_terminal();
    let first = passphrase(file, "passphrase for the new key file: ")?;
    if asks && typed("once more: ")? != first {
        return Err(KeyFileError::Differ);
    }
    Ok(first)
}

fn typed(prompt: &str) -> Result<Passphrase, KeyFileError> {
    let terminal = |source| KeyFileError::Io { path: PathBuf::from("the terminal"), source };
    rpassword::prompt_password(prompt).map(Passphrase::new).map_err(terminal)
}

/// A secret in a file that only its owner can read, without blanks around it.
pub fn secret(path: &Path) -> Result<String, KeyFileError> {
    Ok(read_private(path)?.trim().to_owned())
}

/// A file that only its owner can read.
pub fn read_private(path: &Path) -> Result<String, KeyFileError> {
    let io = |source| KeyFileError::Io { path: path.to_owned(), source };
    let mode = fs::metadata(path).map_err(io)?.permissions().mode();
    if mode & 0o077 != 0 {
        return Err(KeyFileError::Open(path.to_owned()));
    }
    fs::read_to_string(path).map_err(io)
}

/// Writes a file that was not there, for its owner alone.
pub fn write_private(path: &Path, text: &str) -> Result<(), KeyFileError> {
    let io = |source: io::Error| match source.kind() {
        io::ErrorKind::AlreadyExists => KeyFileError::Exists(path.to_owned()),
        _ => KeyFileError::Io { path: path.to_owned(), source },
    };
    let mut file = OpenOptions::new().write(true).create_new(true).mode(0o600).open(path).map_err(io)?;
    file.write_all(text.as_bytes()).and_then(|()| file.sync_all()).map_err(io)
}

/// Writes `key` into a new encrypted file.
#[expect(clippy::disallowed_methods, reason = "salt and id of a new key file")]
pub fn write_encrypted(path: &Path, key: &Key, passphrase: &Passphrase) -> Result<(), KeyFileError> {
    let mut entropy = [0; 64];
    entropy[..32].copy_from_slice(&rand::random::<[u8; 32]>());
    entropy[32..].copy_from_slice(&rand::random::<[u8; 32]>());
    write_private(path, &keystore::encrypt(key, passphrase, LOG_N, &entropy))
}

/// A new key.
#[must_use]
#[expect(clippy::disallowed_methods, reason = "a new key")]
pub fn make() -> Key {
    loop {
        // Nearly every 32 bytes are a key; the few that are not are drawn again.
        if let Ok(key) = Key::from_bytes(&rand::random::<[u8; 32]>()) {
            return key;
        }
    }
}

/// A devnet's key, which can hold nothing of value.
fn make_plain(path: &Path) -> Result<(), KeyFileError> {
    write_private(path, &make().to_hex())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_made_key_is_read_again_and_open_files_are_refused() {
        let folder = tempfile::tempdir().expect("a folder");
        let none = WalletSection::default();
        assert!(signer(&none, folder.path(), false).await.expect("no key").is_none(), "none is made");
        let made = signer(&none, folder.path(), true).await.expect("made").expect("a key");
        let again = signer(&none, folder.path(), true).await.expect("read").expect("a key");
        assert_eq!(made.addresses(), again.addresses());
        let path = folder.path().join("wallet.key");
        assert!(matches!(write_private(&path, "x"), Err(KeyFileError::Exists(_))));
        fs::set_permissions(&path, fs::Permissions::from_mode(0o644)).expect("changed");
        assert!(matches!(read(&path, None), Err(KeyFileError::Open(_))));
        assert!(matches!(read(&folder.path().join("other.key"), None), Err(KeyFileError::Io { .. })));
    }
}
