//! One answer's view of the world: where its head stands, and what a lying endpoint leaves out.

use super::{RpcError, lens::Lens, params::Params};
use crate::{
    codec::Address,
    world::{Miner, StateAt, Tipset, TipsetError, World},
};
use cid::Cid;
use raas_core::ids::{ActorId, ProviderId};

/// A native read.
#[derive(Clone, Copy, Debug)]
pub(super) struct View<'a> {
    pub(super) world: &'a World,
    /// The head this endpoint shows: the world's, or an older one when it is stale.
    pub(super) head: i64,
    pub(super) lens: &'a Lens,
}

impl<'a> View<'a> {
    /// The height of the tipset with this key, whose state is to be read.
    pub(super) fn height(&self, key: &[Cid]) -> Result<i64, RpcError> {
        if key.is_empty() {
            return self.check(self.head);
        }
        let height = self.world.chain().height_of_key_as(key, &|height| self.lens.variant(height))?;
        self.known(height, key)?;
        self.check(height)
    }

    /// The tipset with this key, also one that was reverted: blocks outlive their place on the chain.
    pub(super) fn tipset_of_key(&self, key: &[Cid]) -> Result<Tipset, RpcError> {
        if key.is_empty() {
            return self.tipset(self.head);
        }
        let tipset = self.world.chain().tipset_of_key_as(key, &|height| self.lens.variant(height))?;
        self.known(tipset.height, key)?;
        self.check(tipset.height)?;
        Ok(tipset)
    }

    /// An endpoint behind the chain has not seen what lies above its head.
    fn known(&self, height: i64, key: &[Cid]) -> Result<(), RpcError> {
        if height <= self.head {
            return Ok(());
        }
        let unknown = key.first().map(ToString::to_string).unwrap_or_default();
        Err(TipsetError::UnknownKey(unknown).into())
    }

    fn check(&self, height: i64) -> Result<i64, RpcError> {
        self.lens.check_age(height, self.head).map(|()| height)
    }

    /// The height of the tipset that parameter `index` names.
    pub(super) fn height_at(&self, params: Params<'_>, index: usize) -> Result<i64, RpcError> {
        self.height(&params.key(index)?)
    }

    /// The state that a read at the tipset of parameter `index` sees: before its messages.
    pub(super) fn state(&self, params: Params<'_>, index: usize) -> Result<StateAt, RpcError> {
        self.height_at(params, index).map(StateAt::before)
    }

    /// The tipset at `height`, which exists.
    pub(super) fn tipset(&self, height: i64) -> Result<Tipset, RpcError> {
        Ok(self.world.chain().tipset_as(height, &|height| self.lens.variant(height))?)
    }

    /// The height of the newest final tipset.
    pub(super) fn finalized(&self) -> i64 {
        let lag = self.lens.finality_lag(self.world.config().finality_lag);
        self.world.chain().at_or_before(self.head.saturating_sub(lag).max(0))
    }

    /// The actor behind `address`.
    pub(super) fn actor(&self, address: &Address, at: StateAt) -> Result<ActorId, RpcError> {
        self.world
            .actors
            .lookup(address, at)
            .ok_or_else(|| RpcError::other("resolution lookup failed: actor not found"))
    }

    /// The miner behind `address`.
    pub(super) fn miner(&self, address: &Address, at: StateAt) -> Result<(ProviderId, &'a Miner), RpcError> {
        let provider = ProviderId(self.actor(address, at)?);
        let miner = self.world.miner(provider).ok_or_else(|| {
            RpcError::other("failed to load miner actor: actor code is not miner: unknown actor code")
        })?;
        Ok((provider, miner))
    }
}
