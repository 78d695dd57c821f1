//! What a contract may ask of built-in actors, and how it is answered.
//!
//! The FEVM knows no market and no miners; whoever runs it brings an [`ActorCalls`] that reads them in the state
//! the contract runs in. Only read-only methods are served: a change made through a contract would have to be
//! undone when that contract reverts, and the actors' state lies outside the journal that does this.

use crate::world::CallResult;
use alloy_primitives::{Address, U256};
use raas_core::ids::ActorId;

/// How the eth form of an actor without an eth address begins: `0xff`, eleven zero bytes, then its number.
const ID_PREFIX: [u8; 12] = [0xff, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0];

/// Built-in actors as one contract execution sees them.
pub trait ActorCalls {
    /// Calls `method` of `actor` with CBOR `params`, changing nothing. Methods that would change state exit with
    /// 25 (read only), unknown ones with 22; an absent actor is -6, the negated system error "not found".
    fn call(&self, actor: ActorId, method: u64, params: &[u8]) -> CallResult;

    /// The actor behind address bytes (protocol byte and payload) of any protocol.
    fn resolve(&self, address: &[u8]) -> Option<ActorId>;

    /// The f4 address bytes of an actor, if it has one.
    fn delegated(&self, actor: ActorId) -> Option<Vec<u8>>;

    /// The balance of an actor the FEVM does not keep itself; `None` when there is no such actor.
    fn native_balance(&self, actor: ActorId) -> Option<U256>;
}

/// The eth form of an actor without an eth address.
#[must_use]
pub fn masked(actor: ActorId) -> Address {
    let mut bytes = [0; 20];
    let (prefix, number) = bytes.split_at_mut(ID_PREFIX.len());
    prefix.copy_from_slice(&ID_PREFIX);
    number.copy_from_slice(&actor.0.to_be_bytes());
    Address::from(bytes)
}

/// The actor a masked address names; `None` for every other address.
#[must_use]
pub fn unmasked(address: &Address) -> Option<ActorId> {
    let number = address.as_slice().strip_prefix(&ID_PREFIX)?;
    number.try_into().ok().map(|bytes| ActorId(u64::from_be_bytes(bytes)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn masking_is_reversible_and_exact() {
        let address = masked(ActorId(1_000));
        assert_eq!(address, "0xff000000000000000000000000000000000003e8".parse::<Address>().expect("hex"));
        assert_eq!(unmasked(&address), Some(ActorId(1_000)));
        let other = "0xff000000000000000000000100000000000003e8".parse::<Address>().expect("hex");
        assert_eq!(unmasked(&other), None);
    }
}
