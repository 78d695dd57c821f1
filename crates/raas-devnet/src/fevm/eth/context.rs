//! What every method needs: the world and its head, as this answer may see them.
//!
//! `latest` is the parent of the head, since a tipset's messages are known to be executed only when it has a child.
//! Blocks at null rounds do not exist; state at a null round is that of the tipset before.

use super::params::BlockRef;
use crate::{
    fevm::{Tipset, unmasked},
    rpc::{Lens, RpcError},
    world::{ActorsAt, StateAt, TipsetError, World},
};
use alloy_primitives::{Address, B256};

/// A read of the world with its head at `head`.
#[derive(Clone, Copy, Debug)]
pub(super) struct Context<'a> {
    pub(super) world: &'a World,
    pub(super) head: i64,
    pub(super) lens: &'a Lens,
}

impl<'a> Context<'a> {
    /// The newest block whose messages are executed.
    pub(super) fn latest(&self) -> i64 {
        self.world.chain().parent(self.head).max(0)
    }

    fn finalized(&self) -> i64 {
        let lag = self.lens.finality_lag(self.world.config().finality_lag);
        self.world.chain().at_or_before(self.head.saturating_sub(lag).max(0)).min(self.latest())
    }

    fn tag(&self, tag: &str) -> Result<i64, RpcError> {
        match tag {
            "latest" => Ok(self.latest()),
            "pending" => Ok(self.head),
            "finalized" => Ok(self.finalized()),
            "safe" => {
                let behind = self.head.saturating_sub(self.lens.safe_lag()).max(0);
                Ok(self.finalized().max(self.world.chain().at_or_before(behind)))
            }
            other => Err(RpcError::other(format!("block param {other:?} is not supported"))),
        }
    }

    fn number(&self, number: u64) -> Result<i64, RpcError> {
        let height = i64::try_from(number)
            .ok()
            .filter(|number| *number < self.head)
            .ok_or_else(|| RpcError::other("requested a future epoch (beyond 'latest')"))?;
        self.lens.check_age(height, self.head)?;
        Ok(height)
    }

    fn by_hash(&self, hash: &B256) -> Result<i64, RpcError> {
        let found = self.world.chain().height_of_eth_hash(&hash.0, &|height| self.lens.variant(height));
        if let Some(height) = found.filter(|height| *height <= self.head) {
            self.lens.check_age(height, self.head)?;
            return Ok(height);
        }
        Err(RpcError::other(format!("failed to load tipset {hash}: ipld: could not find it")))
    }

    /// The height of the block that `block` names; a null round is error 12.
    pub(super) fn block(&self, block: &BlockRef) -> Result<i64, RpcError> {
        match block {
            BlockRef::Tag(tag) => self.tag(tag),
            BlockRef::Hash(hash) => self.by_hash(hash),
            BlockRef::Number(number) => {
                let height = self.number(*number)?;
                match self.world.chain().tipset(height) {
                    Err(TipsetError::NullRound(_)) if self.lens.null_round_as_previous() => {
                        Ok(self.world.chain().at_or_before(height))
                    }
                    Err(error) => Err(error.into()),
                    Ok(_) => Ok(height),
                }
            }
        }
    }

    /// The hash of the block at `height`, as this endpoint tells it.
    pub(super) fn hash(&self, height: i64) -> [u8; 32] {
        self.world.chain().eth_hash_as(height, self.lens.variant(height))
    }

    /// The height of the tipset whose state a read at `block` sees: at a null round, the one before.
    pub(super) fn state(&self, block: &BlockRef) -> Result<i64, RpcError> {
        match block {
            BlockRef::Number(number) => Ok(self.world.chain().at_or_before(self.number(*number)?)),
            other => self.block(other),
        }
    }

    /// Where calls at block `height` run.
    pub(super) fn tipset(&self, height: i64) -> Tipset<'a> {
        Tipset { chain: self.world.chain(), height, miner: self.world.block_miner() }
    }

    /// Built-in actors after the messages of block `height`.
    pub(super) fn actors(&self, height: i64) -> ActorsAt<'a> {
        self.world.actors_at(StateAt::after(height))
    }

    /// The address under which the FEVM keeps an account that `address` may name by its id.
    pub(super) fn canonical(&self, address: Address) -> Address {
        unmasked(&address)
            .and_then(|actor| self.world.actors.robust(actor)?.to_eth())
            .map_or(address, Address::from)
    }
}
