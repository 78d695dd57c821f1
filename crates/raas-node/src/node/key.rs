//! The node's key file: 64 hex digits, readable by its owner only. Its content never reaches a log or an error.

use raas_clients::key::Key;
use std::fs::{self, OpenOptions};
use std::io::{self, Write};
use std::os::unix::fs::{OpenOptionsExt, PermissionsExt};
use std::path::{Path, PathBuf};

/// Why there is no key.
#[derive(Debug, thiserror::Error)]
pub enum KeyFileError {
    /// Not there, or not readable.
    #[error("the key file {path}: {source}")]
    Io {
        /// Which file.
        path: PathBuf,
        /// What the system said.
        source: io::Error,
    },
    /// Others can read it.
    #[error("the key file {0} can be read by others; chmod 600 it")]
    Open(PathBuf),
    /// Not a key.
    #[error("the key file {0} does not hold 64 hex digits of a secp256k1 key")]
    NoKey(PathBuf),
}

/// A secret in a file that only its owner can read, without blanks around it.
pub fn secret(path: &Path) -> Result<String, KeyFileError> {
    let io = |source| KeyFileError::Io { path: path.to_owned(), source };
    let mode = fs::metadata(path).map_err(io)?.permissions().mode();
    if mode & 0o077 != 0 {
        return Err(KeyFileError::Open(path.to_owned()));
    }
    Ok(fs::read_to_string(path).map_err(io)?.trim().to_owned())
}

/// Reads the key.
pub fn read(path: &Path) -> Result<Key, KeyFileError> {
    let text = secret(path)?;
    Key::from_hex(text.trim()).map_err(|_| KeyFileError::NoKey(path.to_owned()))
}

/// Reads the key, or makes one: on a devnet, where it can hold nothing of value.
pub fn read_or_make(path: &Path) -> Result<Key, KeyFileError> {
    if path.exists() {
        return read(path);
    }
    let io = |source| KeyFileError::Io { path: path.to_owned(), source };
    let mut file = OpenOptions::new().write(true).create_new(true).mode(0o600).open(path).map_err(io)?;
    loop {
        // Nearly every 32 bytes are a key; the few that are not are drawn again.
        #[expect(clippy::disallowed_methods, reason = "a new key")]
        let text = hex::encode(rand::random::<[u8; 32]>());
        if Key::from_hex(&text).is_ok() {
            file.write_all(text.as_bytes()).and_then(|()| file.sync_all()).map_err(io)?;
            return read(path);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_made_key_is_read_again_and_open_files_are_refused() {
        let folder = tempfile::tempdir().expect("a folder");
        let path = folder.path().join("wallet.key");
        let made = read_or_make(&path).expect("made");
        let again = read_or_make(&path).expect("read");
        assert_eq!(made.eth_address(), again.eth_address());
        fs::set_permissions(&path, fs::Permissions::from_mode(0o644)).expect("changed");
        assert!(matches!(read(&path), Err(KeyFileError::Open(_))));
        let other = folder.path().join("other.key");
        assert!(matches!(read(&other), Err(KeyFileError::Io { .. })));
    }
}
