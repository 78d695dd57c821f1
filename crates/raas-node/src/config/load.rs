//! Reads and merges the layers, and names the key and the layer of what is wrong.

use super::Config;
use std::io;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};

/// What flags set, above file and environment.
#[derive(Clone, Debug, Default)]
pub struct Overrides {
    /// `--network`.
    pub network: Option<String>,
    /// `--data-dir`.
    pub data_dir: Option<PathBuf>,
    /// `--admin`.
    pub admin: Option<SocketAddr>,
    /// `--data`.
    pub data: Option<SocketAddr>,
}

/// Why there is no configuration.
#[derive(Debug, thiserror::Error)]
pub enum ConfigError {
    /// The file cannot be read.
    #[error("configuration: the file {} cannot be read: {source}", path.display())]
    Unread {
        /// Which.
        path: PathBuf,
        /// What the system said.
        source: io::Error,
    },
    /// The file has a key or value that is not known.
    #[error("configuration in {}: {source}", path.display())]
    File {
        /// Which.
        path: PathBuf,
        /// What is wrong.
        source: Box<config::ConfigError>,
    },
    /// The same of the environment's variables.
    #[error("configuration in the environment (RAAS__…): {0}")]
    Environment(#[from] config::ConfigError),
    /// A value is out of range.
    #[error("configuration: {key}: {why}")]
    Invalid {
        /// Dotted key.
        key: &'static str,
        /// What is wrong and what would be right.
        why: String,
    },
    /// No network was named.
    #[error("no network was named")]
    NoNetwork,
}

impl ConfigError {
    pub(super) fn invalid(key: &'static str, why: impl Into<String>) -> Self {
        Self::Invalid { key, why: why.into() }
    }
}

/// Merges `file`, the environment and `flags`, and validates the whole.
pub fn load(file: Option<&Path>, flags: &Overrides) -> Result<Config, ConfigError> {
    let mut layers = config::Config::builder();
    if let Some(file) = file {
        let path = file.to_owned();
        let text = std::fs::read_to_string(file).map_err(|source| ConfigError::Unread { path, source })?;
        let layer = config::File::from_str(&text, config::FileFormat::Toml);
        // By itself first: what is wrong then is wrong in the file.
        let alone = config::Config::builder().add_source(layer.clone()).build();
        alone
            .and_then(config::Config::try_deserialize::<Config>)
            .map_err(|source| ConfigError::File { path: file.to_owned(), source: Box::new(source) })?;
        layers = layers.add_source(layer);
    }
    layers = layers.add_source(
        config::Environment::with_prefix("RAAS")
            .prefix_separator("__")
            .separator("__")
            .try_parsing(true)
            .list_separator(",")
            .with_list_parse_key("chain.endpoints")
            .with_list_parse_key("deals.providers")
            .with_list_parse_key("sources.gateways")
            .with_list_parse_key("gateway.proxies"),
    );
    let overrides = [
        ("network", flags.network.clone()),
        ("data_dir", flags.data_dir.as_ref().map(|path| path.to_string_lossy().into_owned())),
        ("listen.admin", flags.admin.map(|address| address.to_string())),
        ("listen.data", flags.data.map(|address| address.to_string())),
    ];
    for (key, value) in overrides {
        layers = layers.set_override_option(key, value)?;
    }
    let config: Config = layers.build()?.try_deserialize()?;
    config.validate()?;
    Ok(config)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn from_text(text: &str) -> Result<Config, ConfigError> {
        let folder = tempfile::tempdir().expect("a folder");
        let file = folder.path().join("raas.toml");
        std::fs::write(&file, text).expect("a file");
        load(Some(&file), &Overrides::default())
    }

    #[test]
    fn an_unknown_key_is_an_error_that_names_it() {
        for text in ["netwrok = 'devnet'", "[chain]\nendpionts = []", "[listen]\nadmin_port = 3"] {
            let error = from_text(text).expect_err(text).to_string();
            let word = text.split(['=', '\n']).find(|part| !part.starts_with('[')).map(str::trim);
            assert!(error.contains(word.unwrap_or_default()) && error.contains("raas.toml"), "{error}");
        }
    }

    #[test]
    fn a_wrong_type_and_a_missing_file_are_told_in_the_files_words() {
        let error = from_text("chain = 3").expect_err("no table").to_string();
        assert!(error.contains("chain") && error.contains("a table of settings"), "{error}");
        let folder = tempfile::tempdir().expect("a folder");
        for wrong in [folder.path().to_owned(), folder.path().join("missing.toml")] {
            let error = load(Some(&wrong), &Overrides::default()).expect_err("no file").to_string();
            assert!(error.contains("cannot be read"), "{error}");
        }
    }

    #[test]
    fn an_endpoint_is_a_url_or_a_table() {
        let text = "[chain]\nendpoints = ['http://127.0.0.1:1/rpc/v1', \
                    { url = 'https://b.example/rpc/v1', socket = 'wss://b.example/ws', calls_per_second = 5 }]";
        let config = from_text(text).expect("a valid configuration");
        let tables: Vec<_> =
            config.chain.endpoints.iter().map(super::super::EndpointSetting::table).collect();
        assert_eq!(tables[0].url, "http://127.0.0.1:1/rpc/v1");
        assert_eq!((tables[1].calls_per_second, tables[1].deadline_ms), (Some(5), None));
    }

    #[test]
    fn flags_win_over_the_file() {
        let folder = tempfile::tempdir().expect("a folder");
        let file = folder.path().join("raas.toml");
        std::fs::write(&file, "network = 'mainnet'\n[chain]\nagree = 1").expect("a file");
        let flags = Overrides { network: Some("devnet".to_owned()), ..Overrides::default() };
        let config = load(Some(&file), &flags).expect("a valid configuration");
        assert_eq!(config.network.as_deref(), Some("devnet"));
    }

    #[test]
    fn a_value_out_of_range_names_its_key() {
        let cases = [
            ("network = 'mian'", "network"),
            ("[chain]\nagree = 0", "chain.agree"),
            ("[chain]\nagree = 3\nendpoints = ['http://127.0.0.1:1/rpc/v1']", "chain.agree"),
            ("[chain]\nendpoints = ['ftp://127.0.0.1/']", "chain.endpoints"),
            ("[chain]\ndeadline_ms = 0", "chain.deadline_ms"),
            ("[[chain.endpoints]]\nurl = 'http://127.0.0.1:1'\nsockte = 'ws://127.0.0.1:1'", "sockte"),
            ("[[chain.endpoints]]\nurl = 'http://127.0.0.1:1'\nsocket = 'http://127.0.0.1:1'", "socket"),
            ("[[chain.endpoints]]\nurl = 'http://127.0.0.1:1'\ncalls_per_second = 0", "calls_per_second"),
            ("[policy]\nreplicas_target = 0", "replicas"),
            ("[policy]\nkeep_local = 'sometimes'", "policy.keep_local"),
            ("[budget]\ntotal_attofil = '-1'", "budget.total_attofil"),
            ("[budget]\nper_day_attofil = '1 FIL'", "budget.per_day_attofil"),
            ("[budget]\nper_tenant_attofil = 'x'", "budget.per_tenant_attofil"),
            ("[budget]\nper_holding_attofil = '-1'", "budget.per_holding_attofil"),
            ("[budget]\ngas_per_day_attofil = '0.5'", "budget.gas_per_day_attofil"),
            ("[wallet]\ngas_max_attofil = 'much'", "wallet.gas_max_attofil"),
            ("[wallet]\nsigner_socket = 's'\nkey_file = 'k'", "wallet.signer_socket"),
            ("[deals]\nproviders = ['x']", "deals.providers"),
            ("[store]\nscrub_every_days = 0", "store.scrub_every_days"),
            ("[store]\nreserve_mib = 9223372036854775807", "store.reserve_mib"),
            ("[store]\nreserve_gib = 1", "reserve_gib"),
            ("[listen]\npublic_url = 'nonsense'", "listen.public_url"),
            ("[listen]\npublic_url = 'ftp://a.example'", "listen.public_url"),
            ("[listen]\npublic_url = 'http://user:pw@a.example'", "listen.public_url"),
            ("[listen]\npublic_url = 'http://a.example/?a=b'", "listen.public_url"),
            ("[listen]\npublic_url = 'http://a.example/#x'", "listen.public_url"),
            ("[listen]\npublic_url = 'http://0.0.0.0:1338'", "listen.public_url"),
            ("[listen]\npublic_url = 'http://a.example:0'", "listen.public_url"),
            ("[gateway]\nanswers = 0", "gateway.answers"),
            ("[gateway]\nanswers_per_client = 0", "gateway.answers_per_client"),
            ("[gateway]\nrequests_per_second = 0", "gateway.requests_per_second"),
            ("[gateway]\nstall_ms = 99", "gateway.stall_ms"),
            ("[gateway]\nproxies = ['localhost']", "proxies"),
            ("[kubo]\nurl = '/ip4/127.0.0.1/tcp/5001'", "kubo.url"),
            ("[kubo]\ntoken = 'x'", "token"),
            ("[contract]\naddress = '0x12'", "contract.address"),
            ("[contract]\nabi = 'old'", "contract.abi"),
            (
                "[contract]\naddress = '0x0000000000000000000000000000000000000001'\nfrom_block = -1",
                "contract.from_block",
            ),
            ("[[deployments]]\naddress = '0x12'\nfrom_block = 1\nabi = 'reference'", "deployments.address"),
            ("[[deployments]]\naddress = '0x12'\nfrom_block = 1", "abi"),
            (
                "[[deployments]]\naddress = '0x0000000000000000000000000000000000000001'\nfrom_block = 1\nabi = 'old'",
                "deployments.abi",
            ),
            (
                "[[deployments]]\naddress = '0x0000000000000000000000000000000000000001'\nfrom_block = -1\nabi = 'raas'",
                "deployments.from_block",
            ),
            (
                "[[deployments]]\naddress = '0x0000000000000000000000000000000000000001'\nfrom_blok = 1\nabi = 'raas'",
                "from_blok",
            ),
            (
                "[contract]\naddress = '0x00000000000000000000000000000000000000aa'\n[[deployments]]\naddress = '0x00000000000000000000000000000000000000AA'\nfrom_block = 1\nabi = 'raas'",
                "named twice",
            ),
        ];
        for (text, key) in cases {
            let error = from_text(text).expect_err(text).to_string();
            assert!(error.contains(key), "{text}: {error}");
        }
    }
}
