//! What a provider looks up on chain.

use crate::codec::Address;
use raas_core::ids::DealId;
use raas_core::units::{AttoFil, Epoch, PaddedSize};

/// The state at the head, as a provider's own node shows it.
pub trait ChainView {
    /// The head's height.
    fn head(&self) -> Epoch;

    /// The key address behind `address`: itself for f1 and f3, the account's key for f0, `None` for everything
    /// else and for accounts that do not exist.
    fn account_key(&self, address: &Address) -> Option<Address>;

    /// What `client` has in the market's escrow and not locked; zero for a stranger.
    fn available_escrow(&self, client: &Address) -> AttoFil;

    /// The DataCap of `client` in bytes; zero for a stranger, without a bound where verified deals need none.
    fn datacap(&self, client: &Address) -> u64;

    /// Least and most collateral of a provider for a piece, as `StateDealProviderCollateralBounds` answers.
    fn provider_collateral_bounds(&self, size: PaddedSize, verified: bool) -> (AttoFil, AttoFil);

    /// Whether the deal is active in a sector that is neither terminated nor expired, faulty or not.
    fn deal_is_stored(&self, deal: DealId) -> bool;
}
