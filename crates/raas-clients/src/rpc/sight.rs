//! What one endpoint showed of the chain, and what it was found able to do.

/// A tipset by key and height.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Place {
    /// CIDs of its blocks, commas between.
    pub(crate) key: String,
    pub(crate) height: i64,
    /// The key of its parent; empty for genesis.
    pub(crate) parents: String,
}

/// Head and finality as one endpoint tells them.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Sight {
    pub(crate) head: Place,
    pub(crate) finalized: Place,
    /// Heights of the `eth_*` tags, where they were asked for.
    pub(crate) latest: Option<i64>,
    pub(crate) safe: Option<i64>,
    /// Head at which the tags were asked for.
    pub(crate) tags_at: i64,
}

/// What an endpoint can do, as a probe found.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Abilities {
    /// Epochs back that it tells state for, at least.
    pub(crate) state_epochs: i64,
    /// Epochs back at which it was found to keep no state, the nearest such; `None` where it was never refused.
    pub(crate) state_refused: Option<i64>,
    /// Blocks of logs it gives at once, at least; 0 when it gives none.
    pub(crate) log_blocks: i64,
}
