//! A day of 2,880 epochs in fast-forward, looked at every few: tipsets are left for others, are missing, endpoints and
//! providers fail, the process dies, and people register data.

use crate::run::Run;
use crate::shared::Rpc;
use raas_devnet::ledger::Fact;
use raas_devnet::world::{Command, ReorgOrder};
use raas_node::world::World;

const DAY: i64 = 2_880;
/// Steps in which everything must have been kept once, before the day begins.
const STEPS_TO_BEGIN: u32 = 400;
/// Epochs between two looks at most, while a message waits or is not final, and else.
const STRIDES: [u64; 2] = [16, 160];
/// Epochs for which an endpoint lies at most: the node shall be late for its own reasons.
const LIE: u64 = 200;
/// Reorganisations of most networks are as deep as this.
const SHALLOW: u64 = 4;

impl<W: World> Run<W> {
    /// Holdings are kept, then the day passes, then everything must come to its target and every loss be answered.
    pub async fn passes_a_day(&mut self) -> Result<(), String> {
        for _ in 0..self.setting.holdings {
            self.store_something().await?;
        }
        for step in 0.. {
            self.settle().await?;
            if self.short().is_empty() {
                break;
            }
            if step == STEPS_TO_BEGIN {
                return Err(format!("L1: {:?} are not kept before the day begins", self.short()));
            }
            self.wait();
        }
        // What turns faulty the day before is suspect for long enough within this one.
        self.hit(Command::Fault);
        let before = 1 + self.below(DAY as u64) as i64;
        self.advance(before);
        let end = self.shared.clock().0 + DAY;
        let mut lies_until = None;
        while self.shared.clock().0 < end {
            self.something_happens_today(&mut lies_until).await?;
            if lies_until.is_some_and(|until| until <= self.shared.clock().0) {
                lies_until = None;
                self.set_rpc(Rpc::Normal).await;
            }
            let [short, long] = STRIDES;
            let stride = if self.has_young_messages() { short } else { long };
            let stride = 1 + self.below(stride) as i64;
            self.advance(stride);
            self.settle().await?;
        }
        self.all_is_well().await?;
        // The last of it becomes final, and is judged too.
        let lag = self.shared.act(|world| world.config().finality_lag);
        self.advance(3 * lag);
        self.settle().await
    }

    async fn something_happens_today(&mut self, lies_until: &mut Option<i64>) -> Result<(), String> {
        match self.below(24) {
            0..=2 => self.reorganises(),
            3..=6 if self.has_young_messages() => self.reorganises(),
            7 => {
                let count = 1 + self.below(5) as i64;
                self.say(&format!("{count} null rounds"));
                self.shared.act(|world| world.apply(Command::NullRounds { count })).expect("null rounds");
                self.judge.met.push("null rounds");
            }
            8 if self.below(2) == 0 => self.hit(Command::Terminate),
            9 => self.hit(Command::Fault),
            10 => self.hit(Command::Recover),
            11 | 12 => self.set_mode(),
            13 | 14 => {
                self.lie().await;
                *lies_until = Some(self.shared.clock().0 + 1 + self.below(LIE) as i64);
            }
            15 | 16 => {
                let count = self.below(24) as u32;
                self.say(&format!("the process will die at point {count}"));
                self.shared.crash_in(Some(count));
            }
            17 if self.pieces.len() < 5 => self.store_something().await?,
            18 | 19 => self.somebody_asks(),
            20 => self.upload().await?,
            _ => {}
        }
        Ok(())
    }

    /// The newest tipsets are left for others, none of them final. Of what they executed some comes back at once, some
    /// later, and some never.
    fn reorganises(&mut self) {
        let floor = self.finalized();
        let (clock, heights) = self.shared.act(|world| {
            let chain = world.chain();
            let lower = |height: &i64| Some(chain.parent(*height)).filter(|parent| *parent >= floor);
            let heights: Vec<i64> = std::iter::successors(Some(chain.head()), lower).skip(1).collect();
            (chain.clock(), heights)
        });
        let Some(deepest) = (heights.len() as u64).checked_sub(1) else { return };
        let depth = match self.below(2) {
            0 => self.below(deepest.min(SHALLOW) + 1),
            _ => self.below(deepest + 1),
        };
        let base = heights[depth as usize];
        let span = (clock - base) as u64;
        let mut some = |most: u64| if self.below(3) == 0 { self.below(most + 1) as i64 } else { 0 };
        let (empty, nulls, missing) = (some(span), some(span.min(5)), some(span.min(3)));
        let drop = self.dropped(base);
        let order = ReorgOrder { depth: depth as i64 + 1, empty, nulls, missing, drop };
        self.say(&format!("{order:?}"));
        self.shared.act(|world| world.apply(Command::Reorg(order))).expect("a reorganisation above finality");
        self.judge.met.push("a reorganisation");
        if missing > 0 {
            self.judge.met.push("the head fell");
        }
    }

    /// Whether messages wait for a tipset, or for theirs to become final.
    fn has_young_messages(&mut self) -> bool {
        let floor = self.finalized();
        let waits = |world: &mut raas_devnet::world::World| {
            world.fevm.has_pending() || world.pending_messages().next().is_some()
        };
        self.shared.act(waits) || !self.executed_above(floor).is_empty()
    }

    /// Messages that tipsets above `base` executed, and logs of contracts in them.
    fn executed_above(&self, base: i64) -> Vec<Fact> {
        let is_executed =
            |fact: &&Fact| matches!(fact, Fact::Transaction { .. } | Fact::Message { .. } | Fact::Log { .. });
        self.shared.act(|world| {
            let entries = world.ledger.since(0).iter().rev().take_while(|entry| entry.epoch > base);
            entries.map(|entry| &entry.fact).filter(is_executed).cloned().collect()
        })
    }

    /// Some of the messages above `base`, in every other reorganisation.
    fn dropped(&mut self, base: i64) -> Vec<String> {
        let executed = self.executed_above(base);
        let id = |fact: &Fact| match fact {
            Fact::Transaction { hash: id, .. } | Fact::Message { cid: id, .. } => Some(id.clone()),
            _ => None,
        };
        let mut messages: Vec<String> = executed.iter().filter_map(id).collect();
        if !messages.is_empty() {
            self.judge.met.push("a transaction was taken back");
        }
        if executed.len() > messages.len() {
            self.judge.met.push("a contract's log was taken back");
        }
        if self.below(2) == 0 {
            return Vec::new();
        }
        messages.retain(|_| self.below(2) == 0);
        if !messages.is_empty() {
            self.judge.met.push("a transaction was dropped");
        }
        messages
    }
}
