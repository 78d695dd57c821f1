//! `raas key`: who may call the API. It works on the node's files, on its machine, whether the node runs or not; a
//! running node heeds it at once. `/v1/keys` does the same from afar.

use super::failure::Failure;
use super::output;
use crate::causes::chain;
use crate::config::{Config, Overrides, load};
use crate::node::key::write_private;
use crate::node::keys::{ApiKey, KeyScope, NewKey, store_of};
use clap::{Args as ClapArgs, Subcommand};
use raas_core::ids::OwnerId;
use serde_json::json;
use std::path::{Path, PathBuf};

/// `raas key …`.
#[derive(Debug, Subcommand)]
pub enum Key {
    /// Make a key. Its text is shown once, or written to a file.
    New(New),
    /// List all keys, without their secrets.
    List(Place),
    /// End a key at once.
    Revoke {
        /// Its id, as the list shows it.
        id: String,
        /// Where.
        #[command(flatten)]
        place: Place,
    },
}

/// Which node's keys.
#[derive(Debug, ClapArgs)]
pub struct Place {
    /// Configuration file.
    #[arg(long, env = "RAAS_CONFIG")]
    config: Option<PathBuf>,
    /// Where store, pieces and key live.
    #[arg(long)]
    data_dir: Option<PathBuf>,
}

/// `raas key new`.
#[derive(Debug, ClapArgs)]
pub struct New {
    /// Whose jobs it sees and changes; local is who runs the node.
    #[arg(long, default_value = "local")]
    tenant: String,
    /// What it allows: read, write, or, for the tenant local, admin.
    #[arg(long)]
    scope: Scope,
    /// What it is for.
    #[arg(long, default_value = "")]
    name: String,
    /// Days until it ends; never unless said.
    #[arg(long, value_parser = clap::value_parser!(u32).range(1..=36_500))]
    days: Option<u32>,
    /// Write it to this new file, readable by its user only, in place of the terminal.
    #[arg(long)]
    to: Option<PathBuf>,
    #[command(flatten)]
    place: Place,
}

#[derive(Clone, Copy, Debug, clap::ValueEnum)]
enum Scope {
    Read,
    Write,
    Admin,
}

/// Runs one of them.
pub async fn key(command: &Key, json: bool) -> Result<(), Failure> {
    match command {
        Key::New(wanted) => new(wanted, json).await,
        Key::List(place) => list(place, json).await,
        Key::Revoke { id, place } => revoke(id, place, json).await,
    }
}

fn config(place: &Place) -> Result<Config, Failure> {
    let overrides = Overrides { network: None, data_dir: place.data_dir.clone(), admin: None, data: None };
    load(place.config.as_deref(), &overrides).map_err(|error| Failure::Usage(chain(&error)))
}

async fn new(wanted: &New, json: bool) -> Result<(), Failure> {
    let made_unix = raas_clients::clock::unix_seconds();
    let scope = match wanted.scope {
        Scope::Read => KeyScope::Read,
        Scope::Write => KeyScope::Write,
        Scope::Admin => KeyScope::Admin,
    };
    let expires_unix = wanted.days.map(|days| made_unix + i64::from(days) * 86_400);
    let (tenant, name) = (OwnerId(wanted.tenant.clone()), wanted.name.clone());
    let key = NewKey { tenant, scope, name, made_unix, expires_unix };
    key.check().map_err(|refused| Failure::Usage(format!("--{refused}")))?;
    if let Some(to) = wanted.to.as_ref().filter(|to| to.exists()) {
        return Err(Failure::Usage(format!("--to: {} is there already; keys replace no file", to.display())));
    }
    let store = store_of(&config(&wanted.place)?).await?;
    let first = !store.has_keys().await?;
    let (key, secret) = store.make_key(&key).await?;
    store.close().await;
    if let Some(to) = &wanted.to {
        write_private(to, &format!("{secret}\n")).map_err(|error| Failure::Usage(chain(&error)))?;
    }
    let shown = wanted.to.is_none().then_some(&secret);
    if json {
        output::json(&json!({ "key": key, "secret": shown }));
        return Ok(());
    }
    match (&wanted.to, shown) {
        (Some(to), _) => output::say(&format!("key {} is in {}", key.id, to.display())),
        (None, Some(secret)) => output::data(secret),
        (None, None) => {}
    }
    if shown.is_some() {
        output::say("it is shown this once; put it into a file of mode 600 and name that with --key-file");
    }
    if first {
        output::say("from now on every caller needs a key, or the node's wallet.token");
    }
    Ok(())
}

async fn list(place: &Place, json: bool) -> Result<(), Failure> {
    let store = store_of(&config(place)?).await?;
    let keys = store.keys().await?;
    store.close().await;
    if json {
        output::json(&json!({ "keys": keys }));
        return Ok(());
    }
    let now = raas_clients::clock::unix_seconds();
    for key in &keys {
        output::data(&format!(
            "{}  {}  {}  {}  {}",
            key.id,
            key.tenant,
            key.scope,
            standing(key, now),
            key.name
        ));
    }
    if keys.is_empty() {
        output::say("no keys: whoever reaches the API on loopback may use it; `raas key new` makes one");
    }
    Ok(())
}

fn standing(key: &ApiKey, now: i64) -> String {
    let date = |unix| jiff::Timestamp::from_second(unix).map_or_else(|_| String::new(), |at| at.to_string());
    match (key.revoked_unix, key.expires_unix) {
        (Some(at), _) => format!("revoked {}", date(at)),
        (None, Some(end)) if end <= now => format!("ended {}", date(end)),
        (None, Some(end)) => format!("until {}", date(end)),
        (None, None) => "for ever".to_owned(),
    }
}

async fn revoke(id: &str, place: &Place, json: bool) -> Result<(), Failure> {
    let store = store_of(&config(place)?).await?;
    let revoked_now = store.revoke_key(id, raas_clients::clock::unix_seconds()).await?;
    let known = revoked_now || store.keys().await?.iter().any(|key| key.id == id);
    store.close().await;
    if !known {
        return Err(Failure::Usage(format!("{id}: there is no such key; `raas key list` shows them")));
    }
    if json {
        output::json(&json!({ "id": id, "revoked_now": revoked_now }));
    } else {
        output::say(if revoked_now { "revoked" } else { "it was revoked before" });
    }
    Ok(())
}

/// The key in a file that only its user can read.
pub fn read(file: &Path) -> Result<String, Failure> {
    crate::node::key::secret(file).map_err(|error| Failure::Usage(format!("--key-file: {}", chain(&error))))
}
