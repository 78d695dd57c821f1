//! From the configuration's section to a client of the Kubo node.

use super::key::{self, KeyFileError};
use crate::config::KuboSection;
use raas_clients::kubo::{Kubo, KuboConfig, KuboError, KuboLimits};
use std::path::PathBuf;

/// Why there is no Kubo node to speak to.
#[derive(Debug, thiserror::Error)]
pub enum KuboSetupError {
    /// The URL cannot be used. It is not quoted: its path may hold a key.
    #[error("kubo.url: a URL that begins with http or https is needed")]
    Url,
    /// The token's file cannot be used.
    #[error("kubo.token_file {path}")]
    Token {
        /// Which.
        path: PathBuf,
        /// Why.
        source: KeyFileError,
    },
    /// No client can be made of them.
    #[error(transparent)]
    Kubo(#[from] KuboError),
}

/// A client of the configured Kubo node; nothing is sent yet.
pub fn client(section: &KuboSection) -> Result<Kubo, KuboSetupError> {
    let secret = |path: &PathBuf| {
        key::secret(path).map_err(|source| KuboSetupError::Token { path: path.clone(), source })
    };
    let token = section.token_file.as_ref().map(secret).transpose()?;
    let url = section.url.parse().map_err(|_| KuboSetupError::Url)?;
    Ok(Kubo::new(KuboConfig { url, token, limits: KuboLimits::default() })?)
}
