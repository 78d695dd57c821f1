//! What one request sees through its endpoint: the chain as it is, except for what the endpoint lacks or gets wrong.

use super::{
    RpcError,
    endpoint::{Behaviour, Client, Profile},
    fault::{Fault, FaultMode},
};

/// Epochs of the day that a gateway looks back.
pub(super) const GATEWAY_LOOKBACK: i64 = 2_880;
/// Epochs that a gateway searches for a message or shows a receipt.
pub(super) const GATEWAY_SEARCH: i64 = 20;
/// The widest range of heights for logs and events.
const LOG_RANGE: i64 = 2_880;
/// The most logs or events over more than one tipset.
const LOG_RESULTS: usize = 10_000;
/// Without a newer finality, `safe` is this far behind the head.
const SAFE_LAG: i64 = 200;
/// Registered code: a range of blocks that is too wide.
const RANGE_TOO_WIDE: i64 = -32005;

/// How one request is seen.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Lens {
    pub(super) behaviour: Behaviour,
    /// The faults that apply to this request.
    faults: Vec<Fault>,
}

impl Lens {
    pub(super) fn new(behaviour: &Behaviour, faults: Vec<Fault>) -> Self {
        Self { behaviour: Behaviour { faults: Vec::new(), ..behaviour.clone() }, faults }
    }

    pub(super) fn fault(&self, mode: FaultMode) -> Option<&Fault> {
        self.faults.iter().find(|fault| fault.mode == mode)
    }

    fn has(&self, mode: FaultMode) -> bool {
        self.fault(mode).is_some()
    }

    pub(crate) fn is_gateway(&self) -> bool {
        self.behaviour.profile == Profile::Gateway
    }

    pub(crate) fn is_forest(&self) -> bool {
        self.behaviour.client == Client::Forest
    }

    /// The head this endpoint shows of a chain whose head is `head`.
    pub(super) fn head(&self, head: i64) -> i64 {
        let lagging = head.saturating_sub(self.behaviour.behind).max(0);
        let stale = self.fault(FaultMode::Stale).and_then(|fault| fault.height);
        stale.map_or(lagging, |height| height.min(lagging))
    }

    /// The exit code with which deals are denied.
    pub(super) fn forgets_deals(&self) -> Option<i64> {
        let forgotten = self.has(FaultMode::ForgetDeals).then_some(17);
        forgotten.or_else(|| self.has(FaultMode::ForgetDeals32).then_some(32))
    }

    /// How many logs or events an answer holds at most, though there are more and nothing is said of it.
    pub(crate) fn keeps_logs(&self) -> usize {
        if self.has(FaultMode::EmptyLogs) {
            return 0;
        }
        self.fault(FaultMode::TruncateLogs).map_or(usize::MAX, |fault| fault.keep.unwrap_or(0))
    }

    pub(crate) fn null_round_as_previous(&self) -> bool {
        self.has(FaultMode::NullRoundAsPrevious)
    }

    /// Which variant of the chain's keys this endpoint shows at `height`: 0 is the true one.
    pub(crate) fn variant(&self, height: i64) -> u64 {
        if self.behaviour.network != 0 {
            return self.behaviour.network;
        }
        let from = self.fault(FaultMode::Disagree).map(|fault| fault.height.unwrap_or(0));
        // Far from the numbers that stand for other networks.
        if from.is_some_and(|from| height >= from) { 1 << 63 } else { 0 }
    }

    /// How far finality lies behind this endpoint's head, on a chain where it is `own`.
    pub(crate) fn finality_lag(&self, own: i64) -> i64 {
        self.behaviour.finality_lag.unwrap_or(own)
    }

    /// The chain id this endpoint tells, on a chain whose id is `own`.
    pub(crate) fn chain_id(&self, own: u64) -> u64 {
        self.behaviour.chain_id.unwrap_or_else(|| own.saturating_add(self.behaviour.network))
    }

    /// The network name this endpoint tells, on a chain with the name `own`.
    pub(super) fn network_name(&self, own: &str) -> String {
        match (&self.behaviour.network_name, self.behaviour.network) {
            (Some(name), _) => name.clone(),
            (None, 0) => own.to_owned(),
            (None, other) => format!("{own}-{other}"),
        }
    }

    /// How far `safe` lies behind this endpoint's head when finality is not nearer.
    pub(crate) fn safe_lag(&self) -> i64 {
        self.behaviour.safe_lag.unwrap_or(SAFE_LAG)
    }

    /// Refuses what lies outside the epochs this endpoint keeps or is willing to show.
    pub(crate) fn check_age(&self, height: i64, head: i64) -> Result<(), RpcError> {
        if self.is_gateway() && height < head - GATEWAY_LOOKBACK {
            let text = "bad tipset: lookbacks of more than 24h0m0s are disallowed";
            return Err(RpcError::other(text));
        }
        let kept = self.behaviour.lookback.is_none_or(|lookback| height >= head - lookback);
        if kept && !self.has(FaultMode::MissingState) {
            return Ok(());
        }
        Err(RpcError::other(format!(
            "failed to load state tree at height {height}: failed to load state root: ipld: could not find the block"
        )))
    }

    /// Refuses a range of heights wider than this endpoint takes.
    pub(crate) fn check_range(&self, from: i64, to: i64) -> Result<(), RpcError> {
        let most = self.log_range();
        if to - from > most {
            let text = format!("block range exceeds maximum of {most} (got {})", to - from);
            return Err(RpcError::coded(RANGE_TOO_WIDE, text));
        }
        Ok(())
    }

    pub(crate) fn log_range(&self) -> i64 {
        self.behaviour.log_range.unwrap_or(LOG_RANGE)
    }

    /// The most results over several tipsets.
    pub(crate) fn log_results(&self) -> usize {
        self.behaviour.log_results.unwrap_or(LOG_RESULTS)
    }
}
