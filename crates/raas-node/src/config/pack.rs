//! `[pack]` as the rules take it.

use super::{Config, ConfigError};
use raas_core::pack::{Rules, WhenSmall};
use raas_core::units::{Epochs, PaddedSize};

/// No piece waits longer than a month: somebody counts on it.
const PATIENCE_MAX: i64 = 30 * 2_880;

impl Config {
    /// How small pieces are put together; `None` where none are.
    pub(super) fn pack(&self) -> Result<Option<Rules>, ConfigError> {
        let pack = &self.pack;
        let when_small = match pack.when_small.as_str() {
            "wait" => WhenSmall::Wait,
            "pad" => WhenSmall::Pad,
            "small_providers" => WhenSmall::SmallProviders,
            other => {
                let why = format!("{other:?} is none of \"wait\", \"pad\" or \"small_providers\"");
                return Err(ConfigError::invalid("pack.when_small", why));
            }
        };
        let patience = Epochs::new(pack.patience_epochs).filter(|epochs| epochs.get() <= PATIENCE_MAX);
        let patience = patience.ok_or_else(|| {
            let why = format!("{} is not in 0..={PATIENCE_MAX} (a month)", pack.patience_epochs);
            ConfigError::invalid("pack.patience_epochs", why)
        })?;
        let size = mib("pack.size_mib", pack.size_mib)?;
        let least = mib("pack.least_mib", pack.least_mib)?;
        if least > size {
            let why = format!("{} is more than pack.size_mib, which is {}", pack.least_mib, pack.size_mib);
            return Err(ConfigError::invalid("pack.least_mib", why));
        }
        if pack.below_mib == 0 {
            return Ok(None);
        }
        let below = mib("pack.below_mib", pack.below_mib)?;
        if below > size {
            let why = format!("{} is more than pack.size_mib, which is {}", pack.below_mib, pack.size_mib);
            return Err(ConfigError::invalid("pack.below_mib", why));
        }
        let budget = &self.budget;
        if !budget.per_tenant_attofil.is_empty() || !budget.per_holding_attofil.is_empty() {
            let why = "a deal of many owners is nobody's alone: leave budget.per_tenant_attofil and \
                       budget.per_holding_attofil out, or set it to 0";
            return Err(ConfigError::invalid("pack.below_mib", why));
        }
        Ok(Some(Rules { below, size, least, patience, when_small }))
    }
}

fn mib(key: &'static str, mib: u64) -> Result<PaddedSize, ConfigError> {
    let bytes = mib.checked_mul(1 << 20).and_then(|bytes| PaddedSize::new(bytes).ok());
    bytes.ok_or_else(|| ConfigError::invalid(key, format!("{mib} is no power of two from 1 to 65536")))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::PackSection;

    fn read(change: impl FnOnce(&mut Config)) -> Result<Option<Rules>, String> {
        let mut config =
            Config { pack: PackSection { below_mib: 64, ..PackSection::default() }, ..Config::default() };
        change(&mut config);
        config.pack().map_err(|error| error.to_string())
    }

    #[test]
    fn what_is_said_is_what_is_done() {
        assert_eq!(Config::default().pack().expect("the defaults are valid"), None);
        let rules = read(|config| config.pack.when_small = "pad".to_owned()).expect("valid").expect("rules");
        assert_eq!((rules.below.get(), rules.size.get(), rules.least.get()), (64 << 20, 4 << 30, 1 << 30));
        assert_eq!((rules.patience.get(), rules.when_small), (2_880, WhenSmall::Pad));
    }

    #[test]
    fn each_refusal_names_its_key() {
        type Spoil = fn(&mut Config);
        let table: [(&str, Spoil); 9] = [
            ("pack.when_small", |config| config.pack.when_small = "never".to_owned()),
            ("pack.patience_epochs", |config| config.pack.patience_epochs = -1),
            ("pack.patience_epochs", |config| config.pack.patience_epochs = 86_401),
            ("pack.size_mib", |config| config.pack.size_mib = 3_000),
            ("pack.least_mib", |config| config.pack.least_mib = 0),
            ("pack.least_mib", |config| config.pack.least_mib = 8 << 10),
            ("pack.below_mib", |config| config.pack.below_mib = 8 << 10),
            ("pack.below_mib", |config| config.pack.below_mib = 100),
            ("pack.below_mib", |config| config.budget.per_tenant_attofil = "5".to_owned()),
        ];
        for (key, spoil) in table {
            let refused = read(spoil).expect_err(key);
            assert!(refused.contains(key), "{refused}");
        }
    }
}
