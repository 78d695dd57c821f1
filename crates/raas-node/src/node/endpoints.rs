//! From the configuration's endpoints to the pool of them.

use super::key::{self, KeyFileError};
use crate::config::{Config, EndpointSection, EndpointSetting, Network};
use raas_clients::rpc::{EndpointConfig, Limits, Pool, PoolError};
use std::path::PathBuf;
use std::time::Duration;
use url::Url;

/// Why there are no endpoints to use.
#[derive(Debug, thiserror::Error)]
pub enum EndpointError {
    /// The pool cannot be made.
    #[error(transparent)]
    Pool(#[from] PoolError),
    /// A token's file cannot be used.
    #[error("token_file {path}")]
    Token {
        /// Which.
        path: PathBuf,
        /// Why.
        source: KeyFileError,
    },
}

/// The endpoints that are configured, else the network's public ones.
pub fn settings(config: &Config, network: &Network) -> Vec<EndpointSetting> {
    if config.chain.endpoints.is_empty() {
        return network.default_endpoints().into_iter().map(EndpointSetting::Url).collect();
    }
    config.chain.endpoints.clone()
}

/// A pool of `settings`.
pub fn pool(config: &Config, settings: &[EndpointSetting]) -> Result<Pool, EndpointError> {
    let (configs, limits) = configs(config, settings)?;
    Ok(Pool::new(&configs, limits, config.chain.agree as usize)?)
}

/// A pool of `settings`, of which no more must agree than there are.
pub fn pool_of_few(config: &Config, settings: &[EndpointSetting]) -> Result<Pool, EndpointError> {
    let (configs, limits) = configs(config, settings)?;
    let wanted = (config.chain.agree as usize).clamp(1, configs.len().max(1));
    Ok(Pool::new(&configs, limits, wanted)?)
}

/// One for each voice.
fn configs(
    config: &Config,
    settings: &[EndpointSetting],
) -> Result<(Vec<EndpointConfig>, Limits), EndpointError> {
    let limits = Limits { deadline: Duration::from_millis(config.chain.deadline_ms), ..Limits::default() };
    let tables: Vec<EndpointSection> = settings.iter().map(EndpointSetting::table).collect();
    let mut configs: Vec<EndpointConfig> = Vec::new();
    let mut sockets: Vec<EndpointConfig> = Vec::new();
    for table in &tables {
        let endpoint = endpoint(table, limits)?;
        let is_socket = matches!(endpoint.url.scheme(), "ws" | "wss");
        if is_socket { sockets.push(endpoint) } else { configs.push(endpoint) }
    }
    for socket in sockets {
        // The same place over HTTP is the same machine: one voice, which the socket only wakes.
        match configs
            .iter_mut()
            .find(|config| config.socket.is_none() && same_place(&config.url, &socket.url))
        {
            Some(config) => config.socket = Some(socket.url),
            None => configs.push(socket),
        }
    }
    Ok((configs, limits))
}

fn endpoint(table: &EndpointSection, limits: Limits) -> Result<EndpointConfig, EndpointError> {
    // The URL is not quoted: its path may hold a key.
    let parse = |text: &str| {
        Url::parse(text).map_err(|_| EndpointError::Pool(PoolError::NotHttp("chain.endpoints".to_owned())))
    };
    let token = match &table.token_file {
        None => None,
        Some(path) => {
            Some(key::secret(path).map_err(|source| EndpointError::Token { path: path.clone(), source })?)
        }
    };
    let own = Limits {
        deadline: table.deadline_ms.map_or(limits.deadline, Duration::from_millis),
        calls_per_second: table.calls_per_second,
        ..limits
    };
    Ok(EndpointConfig {
        url: parse(&table.url)?,
        token,
        socket: table.socket.as_deref().map(parse).transpose()?,
        limits: Some(own),
    })
}

/// Whether both URLs differ in nothing but http and ws.
fn same_place(http: &Url, socket: &Url) -> bool {
    let secure = |url: &Url| matches!(url.scheme(), "https" | "wss");
    secure(http) == secure(socket)
        && http.host() == socket.host()
        && http.port_or_known_default() == socket.port_or_known_default()
        && http.path() == socket.path()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn pool_of(urls: &[&str]) -> Pool {
        let settings: Vec<EndpointSetting> =
            urls.iter().map(|url| EndpointSetting::Url((*url).to_owned())).collect();
        pool(&Config::default(), &settings).expect("a pool")
    }

    #[test]
    fn http_and_socket_of_one_place_are_one_voice() {
        let one = pool_of(&["ws://127.0.0.1:1/rpc/v1", "http://127.0.0.1:1/rpc/v1"]);
        assert_eq!(one.len(), 1);
        assert_eq!(
            one.seen().first().and_then(|seen| seen.socket),
            Some(false),
            "it has a socket, not open yet"
        );
        for apart in ["ws://127.0.0.1:2/rpc/v1", "wss://127.0.0.1:1/rpc/v1", "ws://127.0.0.1:1/other"] {
            assert_eq!(pool_of(&[apart, "http://127.0.0.1:1/rpc/v1"]).len(), 2, "{apart}");
        }
    }

    #[test]
    fn a_key_in_a_path_is_in_no_name() {
        let pool = pool_of(&["http://127.0.0.1:1/rpc/v1/hunter2", "http://127.0.0.1:1/rpc/v1/hunter3"]);
        let names: Vec<&str> = pool.names().collect();
        assert_eq!(names, ["127.0.0.1:1#1", "127.0.0.1:1#2"]);
        assert!(!format!("{:?}", pool.seen()).contains("hunter"));
    }
}
