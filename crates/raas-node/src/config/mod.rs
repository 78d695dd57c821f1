//! Configuration: a TOML file, then `RAAS__SECTION__KEY` from the environment, then flags. Parsed and
//! validated in full before anything binds; an unknown key is an error that names it.

mod deployments;
mod load;
mod network;
mod pack;
mod sections;
mod validate;

pub use deployments::DeploymentSection;
pub use load::{ConfigError, Overrides, load};
pub use network::{Network, UnknownNetwork};
pub use sections::{
    BudgetSection, ChainSection, Config, ContractSection, DealsSection, EndpointSection, EndpointSetting,
    GatewaySection, KuboSection, ListenSection, PackSection, PolicySection, SourcesSection, StoreSection,
    WalletSection,
};
