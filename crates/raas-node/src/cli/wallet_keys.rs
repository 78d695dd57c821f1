//! `raas wallet new|import|export|list|signer`: keys in files. They need no node, and no secret is an argument.

use super::args::Wallet;
use super::failure::Failure;
use super::output;
use super::wallet::ask;
use crate::node::key::{self, KeyFileError};
use raas_clients::key::{Addresses, Key};
use raas_clients::wallet::{keystore, signer};
use serde_json::{Value, json};
use std::io::Read;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;

/// Runs one of them; `None` for what needs a node.
pub async fn keys(command: &Wallet, json: bool) -> Option<Result<(), Failure>> {
    Some(match command {
        Wallet::New { to, passphrase_file } => new(to, passphrase_file.as_deref(), json),
        Wallet::Import { from, to, passphrase_file, from_passphrase_file } => {
            import(from, to, passphrase_file.as_deref(), from_passphrase_file.as_deref(), json)
        }
        Wallet::Export { from, to, passphrase_file, yes } => {
            export(from, to, passphrase_file.as_deref(), *yes, json)
        }
        Wallet::List { directory } => list(directory, json),
        Wallet::Signer { key_file, passphrase_file, socket } => {
            serve(key_file, passphrase_file.as_deref(), socket, json).await
        }
        _ => return None,
    })
}

/// Wrong files and passphrases are wrong usage.
fn refused(error: KeyFileError) -> Failure {
    Failure::Usage(crate::causes::chain(&error))
}

fn new(to: &Path, passphrase_file: Option<&Path>, json: bool) -> Result<(), Failure> {
    store(&key::make(), to, passphrase_file, json)
}

/// Encrypts `key` into the new file `to` and tells its addresses.
fn store(key: &Key, to: &Path, passphrase_file: Option<&Path>, json: bool) -> Result<(), Failure> {
    if to.exists() {
        return Err(refused(KeyFileError::Exists(to.to_owned())));
    }
    let passphrase = key::new_passphrase(passphrase_file).map_err(refused)?;
    key::write_encrypted(to, key, &passphrase).map_err(refused)?;
    let addresses = key.addresses();
    if json {
        output::json(&shown(to, Some(&addresses)));
        return Ok(());
    }
    output::table(&[
        ["key file".to_owned(), to.display().to_string()],
        ["f1 account".to_owned(), addresses.native.to_string()],
        ["0x account".to_owned(), addresses.eth.to_checksum(None)],
    ]);
    output::say("keep a copy of the file and of its passphrase apart: nobody can restore them");
    output::say("next: set wallet.key_file in the configuration, and send FIL to both accounts");
    Ok(())
}

fn shown(file: &Path, addresses: Option<&Addresses>) -> Value {
    json!({
        "key_file": file.display().to_string(),
        "native": addresses.map(|addresses| addresses.native.to_string()),
        "eth": addresses.map(|addresses| addresses.eth.to_checksum(None)),
    })
}

fn import(
    from: &Path,
    to: &Path,
    passphrase_file: Option<&Path>,
    from_passphrase_file: Option<&Path>,
    json: bool,
) -> Result<(), Failure> {
    let text = if from == Path::new("-") {
        let mut text = String::new();
        std::io::stdin().take(64 * 1024).read_to_string(&mut text)?;
        text
    } else {
        std::fs::read_to_string(from)
            .map_err(|error| Failure::Usage(format!("{}: {error}", from.display())))?
    };
    let text = zeroize::Zeroizing::new(text);
    store(&any_form(&text, from, from_passphrase_file)?, to, passphrase_file, json)
}

/// The key in a text of any known form.
fn any_form(text: &str, from: &Path, passphrase_file: Option<&Path>) -> Result<Key, Failure> {
    if keystore::is_keystore(text) {
        let prompt = format!("passphrase of {}: ", from.display());
        let passphrase = key::passphrase(passphrase_file, &prompt).map_err(refused)?;
        return keystore::decrypt(text, &passphrase)
            .map_err(|error| Failure::Usage(format!("{}: {error}", from.display())));
    }
    // 64 digits are the secret itself; what Lotus writes is longer.
    let digits = text.trim().trim_start_matches("0x").len();
    let key = if digits == 64 { Key::from_hex(text) } else { Key::from_lotus(text) };
    key.map_err(|error| Failure::Usage(format!("{}: {error}", from.display())))
}

fn export(
    from: &Path,
    to: &Path,
    passphrase_file: Option<&Path>,
    yes: bool,
    json: bool,
) -> Result<(), Failure> {
    let key = key::read(from, passphrase_file).map_err(refused)?;
    ask(yes, "the secret itself is written, unencrypted. Write it?")?;
    let text = key.to_lotus();
    if to == Path::new("-") {
        output::data(&text);
        return Ok(());
    }
    key::write_private(to, &text).map_err(refused)?;
    if json {
        output::json(&shown(to, Some(&key.addresses())));
    } else {
        output::data(&format!("the secret of {} is in {}", key.native_address(), to.display()));
    }
    Ok(())
}

fn list(directory: &Path, json: bool) -> Result<(), Failure> {
    let unread = |error| Failure::Usage(format!("{}: {error}", directory.display()));
    let mut files: Vec<_> =
        std::fs::read_dir(directory).map_err(unread)?.filter_map(|entry| Some(entry.ok()?.path())).collect();
    files.sort();
    let mut found = Vec::new();
    for file in files {
        // Larger files are no key files; what cannot be read is none either.
        if !file.metadata().is_ok_and(|meta| meta.is_file() && meta.len() < 64 * 1024) {
            continue;
        }
        let Ok(text) = std::fs::read_to_string(&file) else { continue };
        if !keystore::is_keystore(&text) {
            continue;
        }
        if let Ok(address) = keystore::addresses_of(&text) {
            found.push((file, address));
        }
    }
    if json {
        let rows: Vec<Value> = found
            .iter()
            .map(|(file, known)| {
                json!({ "key_file": file.display().to_string(), "native": known.native, "eth": known.eth })
            })
            .collect();
        output::json(&json!({ "keys": rows }));
        return Ok(());
    }
    let mut rows = vec![["FILE", "F1", "0X"].map(str::to_owned)];
    let or_dash = |text: Option<String>| text.unwrap_or_else(|| "-".to_owned());
    rows.extend(
        found
            .into_iter()
            .map(|(file, known)| [file.display().to_string(), or_dash(known.native), or_dash(known.eth)]),
    );
    output::table(&rows);
    Ok(())
}

/// Signs for whoever can open the socket, until a signal.
async fn serve(
    key_file: &Path,
    passphrase_file: Option<&Path>,
    socket: &Path,
    json: bool,
) -> Result<(), Failure> {
    let key = key::read(key_file, passphrase_file).map_err(refused)?;
    let in_the_way = |error: std::io::Error| {
        Failure::failed(format!("{}: {error}; is another signer there?", socket.display()))
    };
    if socket.exists() && std::os::unix::net::UnixStream::connect(socket).is_err() {
        // Left behind by one that is gone.
        std::fs::remove_file(socket).map_err(in_the_way)?;
    }
    let listener = tokio::net::UnixListener::bind(socket).map_err(in_the_way)?;
    std::fs::set_permissions(socket, std::fs::Permissions::from_mode(0o600)).map_err(in_the_way)?;
    if json {
        output::json_line(&shown(socket, Some(&key.addresses())));
    } else {
        output::say(&format!("signing for {} at {}; Ctrl-C ends it", key.native_address(), socket.display()));
    }
    let mut signals = super::signals::Signals::new()?;
    tokio::select! {
        ended = signer::serve(&listener, &key, |kind, payload| {
            output::say(&format!("signed: {kind:?} of {} bytes", payload.len()));
        }) => ended.map_err(in_the_way)?,
        () = signals.next() => {}
    }
    std::fs::remove_file(socket).map_err(in_the_way)
}
