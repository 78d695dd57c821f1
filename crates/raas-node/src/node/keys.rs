//! Keys of the API where the node itself is not asked: on its machine, by its files, whether it runs or not.

use crate::config::Config;
use crate::store::{self, Store};
use std::path::PathBuf;

pub use crate::store::{ApiKey, KeyScope, NewKey};

/// The store's file in the data directory.
pub(super) const STORE: &str = "raas.sqlite";

/// Why the keys of a store cannot be read or changed.
#[derive(Debug, thiserror::Error)]
pub enum KeysError {
    /// The directory cannot be made.
    #[error("data_dir: {path} cannot be made")]
    DataDir {
        /// Which.
        path: PathBuf,
        /// What the system said.
        source: std::io::Error,
    },
    /// The store cannot be used.
    #[error("the store in {path}")]
    Store {
        /// Which directory.
        path: PathBuf,
        /// What is wrong.
        source: Box<store::Error>,
    },
}

/// The store of a configuration, beside the node that may run on it.
pub async fn store_of(config: &Config) -> Result<Store, KeysError> {
    let path = config.data_dir.clone();
    std::fs::create_dir_all(&path).map_err(|source| KeysError::DataDir { path: path.clone(), source })?;
    let opened = Store::open_beside(&path.join(STORE), "raas key").await;
    opened.map_err(|error| KeysError::Store { path, source: Box::new(error) })
}

/// Whether any key opens anything now. Where there is no store, there is none, and none is made.
pub async fn has_valid(config: &Config) -> Result<bool, KeysError> {
    if !config.data_dir.join(STORE).exists() {
        return Ok(false);
    }
    let failed = |error| KeysError::Store { path: config.data_dir.clone(), source: Box::new(error) };
    let store = store_of(config).await?;
    let now = raas_clients::clock::unix_seconds();
    let keys = store.keys().await.map_err(failed)?;
    store.close().await;
    Ok(keys.iter().any(|key: &ApiKey| key.is_valid(now)))
}
