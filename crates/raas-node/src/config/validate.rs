//! From texts to the types of the rules; every refusal names the key and what would be accepted.

use super::{Config, ConfigError, Network};
use crate::settings::{GatewayLimits, GatewaySettings, PIECE_MAX_LEAST, Settings, SpendingLimits};
use raas_core::fleet::Rules;
use raas_core::ids::ProviderId;
use raas_core::policy::{KeepLocal, Placement, Policy, Replicas};
use raas_core::units::{AttoFil, Epoch, Epochs, PaddedSize};

impl Config {
    /// The network, which must be named.
    pub fn network(&self) -> Result<Network, ConfigError> {
        let text = self.network.as_deref().ok_or(ConfigError::NoNetwork)?;
        text.parse()
            .map_err(|error: super::UnknownNetwork| ConfigError::invalid("network", error.to_string()))
    }

    /// Checks every value. Called by `load`, so a `Config` from there is valid.
    pub(super) fn validate(&self) -> Result<(), ConfigError> {
        if self.network.is_some() {
            self.network()?;
        }
        let endpoints = self.chain.endpoints.len().max(1);
        if self.chain.agree == 0 || self.chain.agree as usize > endpoints {
            let why = format!("{} is not in 1..={endpoints}, the number of endpoints", self.chain.agree);
            return Err(ConfigError::invalid("chain.agree", why));
        }
        for endpoint in &self.chain.endpoints {
            let table = endpoint.table();
            check_url("chain.endpoints", &table.url, &["http", "https", "ws", "wss"])?;
            if let Some(socket) = &table.socket {
                check_url("chain.endpoints.socket", socket, &["ws", "wss"])?;
                check_url("chain.endpoints", &table.url, &["http", "https"])?;
            }
            if table.deadline_ms == Some(0) {
                return Err(ConfigError::invalid("chain.endpoints.deadline_ms", "must be at least 1"));
            }
            if table.calls_per_second == Some(0) {
                return Err(ConfigError::invalid("chain.endpoints.calls_per_second", "must be at least 1"));
            }
        }
        if self.chain.deadline_ms == 0 {
            return Err(ConfigError::invalid("chain.deadline_ms", "must be at least 1"));
        }
        if let Some(url) = &self.listen.public_url {
            check_url("listen.public_url", url, &["http", "https"])?;
            check_public(url)?;
        }
        if self.store.scrub_every_days == 0 {
            let why = "must be at least 1; store.scrub_mib_per_second = 0 switches the scrub off";
            return Err(ConfigError::invalid("store.scrub_every_days", why));
        }
        if self.store.reserve_mib > u64::MAX >> 20 {
            return Err(ConfigError::invalid("store.reserve_mib", "is more than any disk has"));
        }
        let gateway = &self.gateway;
        for (key, count) in [
            ("gateway.answers", gateway.answers),
            ("gateway.answers_per_client", gateway.answers_per_client),
            ("gateway.requests_per_second", gateway.requests_per_second),
        ] {
            if !(1..=1_000_000).contains(&count) {
                return Err(ConfigError::invalid(key, format!("{count} is not in 1..=1000000")));
            }
        }
        if gateway.stall_ms < 100 {
            return Err(ConfigError::invalid("gateway.stall_ms", "must be at least 100"));
        }
        check_url("kubo.url", &self.kubo.url, &["http", "https"])?;
        self.contract_abi()?;
        self.own_contract()?;
        self.deployments()?;
        self.default_policy()?
            .validated(Epoch(0))
            .map_err(|error| ConfigError::Invalid { key: "policy", why: error.to_string() })?;
        self.providers()?;
        self.piece_max()?;
        self.pack()?;
        attofil("budget.total_attofil", &self.budget.total_attofil)?;
        attofil("budget.wallet_reserve_attofil", &self.budget.wallet_reserve_attofil)?;
        self.spending()?;
        if self.wallet.signer_socket.is_some()
            && (self.wallet.key_file.is_some() || self.wallet.passphrase_file.is_some())
        {
            let why =
                "with a signer the key is not here: leave wallet.key_file and wallet.passphrase_file out";
            return Err(ConfigError::invalid("wallet.signer_socket", why));
        }
        Ok(())
    }

    fn spending(&self) -> Result<SpendingLimits, ConfigError> {
        let some = |key, text: &String| match text.as_str() {
            "" => Ok(None),
            text => attofil(key, text).map(Some),
        };
        Ok(SpendingLimits {
            per_day: some("budget.per_day_attofil", &self.budget.per_day_attofil)?,
            per_tenant: some("budget.per_tenant_attofil", &self.budget.per_tenant_attofil)?,
            per_holding: some("budget.per_holding_attofil", &self.budget.per_holding_attofil)?,
            gas_per_day: some("budget.gas_per_day_attofil", &self.budget.gas_per_day_attofil)?,
            gas_max: some("wallet.gas_max_attofil", &self.wallet.gas_max_attofil)?,
        })
    }

    /// Whom the data listener serves, and with what.
    #[must_use]
    pub fn gateway(&self, devnet: bool) -> GatewaySettings {
        let gateway = &self.gateway;
        GatewaySettings {
            plain_files: gateway.plain_files.unwrap_or(devnet),
            public_pieces: gateway.public_pieces,
            limits: GatewayLimits {
                answers: gateway.answers,
                answers_per_client: gateway.answers_per_client,
                requests_per_second: gateway.requests_per_second,
            },
            proxies: gateway.proxies.clone(),
        }
    }

    /// The policy of a job that says nothing.
    pub fn default_policy(&self) -> Result<Policy, ConfigError> {
        let policy = &self.policy;
        let epochs = |key, count| {
            Epochs::new(count).ok_or_else(|| ConfigError::invalid(key, "a negative number of epochs"))
        };
        Ok(Policy {
            replicas: Replicas {
                min: policy.replicas_min,
                target: policy.replicas_target,
                max: policy.replicas_max,
            },
            renew_before: epochs("policy.renew_before_epochs", policy.renew_before_epochs)?,
            repair_after: epochs("policy.repair_after_epochs", policy.repair_after_epochs)?,
            duration: epochs("policy.duration_epochs", policy.duration_epochs)?,
            start_delay: epochs("policy.start_delay_epochs", policy.start_delay_epochs)?,
            ends_at: None,
            placement: Placement {
                allow: Vec::new(),
                deny: Vec::new(),
                price_max: attofil("deals.price_max_attofil", &self.deals.price_max_attofil)?,
            },
            keep_local: keep_local(&policy.keep_local)?,
        })
    }

    /// The providers named in the file.
    pub fn providers(&self) -> Result<Vec<ProviderId>, ConfigError> {
        self.deals
            .providers
            .iter()
            .map(|text| {
                provider(text).ok_or_else(|| {
                    ConfigError::invalid(
                        "deals.providers",
                        format!("{text:?} is no miner actor such as f01000"),
                    )
                })
            })
            .collect()
    }

    fn piece_max(&self) -> Result<PaddedSize, ConfigError> {
        let mib = self.deals.piece_max_mib;
        let bytes = mib.checked_mul(1 << 20).filter(|bytes| *bytes >= PIECE_MAX_LEAST);
        bytes.and_then(|bytes| PaddedSize::new(bytes).ok()).ok_or_else(|| {
            let why = format!("{mib} is no power of two from 4 to 65536");
            ConfigError::invalid("deals.piece_max_mib", why)
        })
    }

    /// What the engine is told, less what only the running network can say.
    pub fn settings(&self, public_url: String) -> Result<Settings, ConfigError> {
        Ok(Settings {
            default_policy: self.default_policy()?,
            contracts: Vec::new(),
            providers: self.providers()?,
            public_url,
            budget_total: attofil("budget.total_attofil", &self.budget.total_attofil)?,
            spending: self.spending()?,
            wallet_reserve: attofil("budget.wallet_reserve_attofil", &self.budget.wallet_reserve_attofil)?,
            piece_max: self.piece_max()?,
            provider_capacity: self.deals.provider_capacity,
            repairs_per_window: self.deals.repairs_per_window,
            pace_window: Epochs::new(120).unwrap_or(Epochs::ZERO),
            rules: Rules { pack: self.pack()?, ..Rules::default() },
            concurrency: 8,
        })
    }
}

/// Paths are appended to it and given to providers.
fn check_public(text: &str) -> Result<(), ConfigError> {
    let Ok(url) = url::Url::parse(text) else { return Ok(()) };
    let nowhere = match url.host() {
        Some(url::Host::Ipv4(ip)) => ip.is_unspecified(),
        Some(url::Host::Ipv6(ip)) => ip.is_unspecified(),
        _ => false,
    };
    let why = if !url.username().is_empty() || url.password().is_some() {
        "providers take no user or password in an address: leave them out"
    } else if url.query().is_some() || url.fragment().is_some() {
        "paths are put behind it: leave ?… and #… out"
    } else if url.port() == Some(0) || nowhere {
        "providers cannot connect to port 0 or to an unspecified address: name the one they reach"
    } else {
        return Ok(());
    };
    Err(ConfigError::invalid("listen.public_url", why))
}

/// The URL is not quoted, since its path may hold a key.
fn check_url(key: &'static str, text: &str, schemes: &[&str]) -> Result<(), ConfigError> {
    let fits =
        url::Url::parse(text).is_ok_and(|url| schemes.contains(&url.scheme()) && url.host_str().is_some());
    if fits {
        return Ok(());
    }
    Err(ConfigError::invalid(
        key,
        format!("a URL with a host that begins with {} is needed", schemes.join(", ")),
    ))
}

fn attofil(key: &'static str, text: &str) -> Result<AttoFil, ConfigError> {
    text.parse().map_err(|_| ConfigError::invalid(key, format!("{text:?} is no whole number of attoFIL")))
}

/// `f01000`, `t01000` or `1000`.
fn provider(text: &str) -> Option<ProviderId> {
    let digits = text.strip_prefix("f0").or_else(|| text.strip_prefix("t0")).unwrap_or(text);
    digits.parse().ok().map(ProviderId::new)
}

fn keep_local(text: &str) -> Result<KeepLocal, ConfigError> {
    match text {
        "always" => Ok(KeepLocal::Always),
        "never" => Ok(KeepLocal::Never),
        number => number.parse().map(KeepLocal::UntilProven).map_err(|_| {
            let why = format!("{text:?} is none of \"always\", \"never\" or a number of proven copies");
            ConfigError::invalid("policy.keep_local", why)
        }),
    }
}
