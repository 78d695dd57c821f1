//! How a run ends: the faults cease, and within a time everything that was asked for is done.

use crate::run::Run;
use crate::setting::Kind;
use crate::shared::Rpc;
use raas_core::cid::Commitment;
use raas_devnet::provider::{Command as ProviderCommand, Mode};
use raas_devnet::world::{Command, Sectors};
use raas_node::world::World;

/// Epochs in which everything must be well again once the faults have ceased.
const CALM: i64 = 60 * 2_880;
/// Steps for which everything must have been well to end a run early.
const STEPS_WELL: u32 = 20;
/// Steps after which a run under limits is over, come what may.
const STEPS_THRIFTY: u32 = 60;

impl<W: World> Run<W> {
    /// The faults cease; every holding whose bytes are anywhere comes to its target.
    pub async fn all_is_well(&mut self) -> Result<(), String> {
        self.say("the faults cease");
        self.set_rpc(Rpc::Normal).await;
        self.shared.crash_in(None);
        let ids = self.setting.providers.clone();
        for at in ids {
            let normal = ProviderCommand::SetMode { at, mode: Mode::Normal, count: None };
            self.shared.act(|world| {
                world.apply(Command::Provider(normal)).expect("a mode");
                let _ = world.apply(Command::Recover(Sectors { provider: at, sectors: None }));
            });
        }
        let until = self.shared.clock().0 + CALM;
        let mut last = Vec::new();
        let (mut steps, mut well) = (0_u32, 0_u32);
        while self.shared.clock().0 < until {
            self.settle().await?;
            steps += 1;
            if self.trace && steps.is_multiple_of(20) {
                let open = self.engine.store().open_orders().await.map_err(|error| error.to_string())?;
                let open: Vec<_> = open
                    .iter()
                    .map(|stored| (stored.order.id.0, stored.slots.len(), stored.order.state.name()))
                    .collect();
                self.say(&format!("after {steps} steps {:?} {open:?}", self.wake));
                self.say(&format!("{:?} {:?}", self.short(), self.judge.unfinished(self.shared.clock().0)));
                self.say(&self.transactions().await?);
                for (step, why) in self.engine.store().steps(4).await.map_err(|error| error.to_string())? {
                    self.say(&format!("{:?}: {why:?}", step.kind));
                }
            }
            last = self.short();
            let unfinished = self.judge.unfinished(self.shared.clock().0);
            let shown = "a request was shown all its deals";
            if unfinished.is_none() && !self.requests.is_empty() && !self.judge.met.contains(&shown) {
                self.judge.met.push(shown);
            }
            // What waits on is then an order for bytes that are nowhere any more.
            well = if last.is_empty() && unfinished.is_none() { well + 1 } else { 0 };
            if well > 0 && (!self.wake.on_round || well > STEPS_WELL) {
                return Ok(());
            }
            if self.setting.kind == Kind::Thrifty && steps > STEPS_THRIFTY {
                return Ok(());
            }
            // Mostly in strides: what waits for the next tipset is not looked at in each.
            match self.below(4) {
                0 => self.wait(),
                _ => {
                    let epochs = 5 + self.below(40) as i64;
                    self.advance(epochs);
                }
            }
        }
        if let (None, Some(why)) = (last.first(), self.judge.unfinished(self.shared.clock().0)) {
            return Err(format!(
                "L3: {CALM} epochs after the last fault {why}\n{}",
                self.transactions().await?
            ));
        }
        match last.first() {
            None => Ok(()),
            Some(piece) => {
                let mut waits = String::new();
                let holdings = self.engine.store().holdings().await.map_err(|error| error.to_string())?;
                for holding in &holdings {
                    let plan = self.engine.explain(holding).await.map_err(|error| error.to_string())?;
                    waits.push_str(&format!("{plan:#?}\n"));
                }
                Err(format!(
                    "L1: {piece} has too few proven copies {CALM} epochs after the last fault\n{}\n{waits}",
                    self.judge.tell(&piece.to_string())
                ))
            }
        }
    }

    /// The last transactions, for a failing seed.
    async fn transactions(&self) -> Result<String, String> {
        let open = self.engine.store().last_txs(12).await.map_err(|error| error.to_string())?;
        let waits = self.engine.store().send_waits().await.map_err(|error| error.to_string())?;
        Ok(open
            .iter()
            .map(|tx| {
                let state = tx.state["state"].as_str().unwrap_or_default();
                format!("{:?} {:?} nonce {:?} {state} {:?}\n", tx.id, tx.intent, tx.nonce, waits.get(&tx.id))
            })
            .collect())
    }

    /// Whether somebody's request for a piece of a gateway came to stay on the chain.
    fn is_wanted(&self, piece: &Commitment) -> bool {
        self.setting.kind != Kind::Day || self.judge.is_requested(&piece.to_string())
    }

    /// Pieces below the target whose bytes are somewhere.
    pub fn short(&self) -> Vec<Commitment> {
        let clock = self.shared.clock().0;
        let count = |piece: &Commitment| self.judge.proven(&piece.to_string(), clock);
        self.pieces
            .iter()
            .filter(|piece| count(piece) < self.setting.target as usize)
            .filter(|piece| {
                let local = count(piece) > 0 || self.shared.local().contains(piece);
                local || self.at_gateway.contains(piece) && self.is_wanted(piece)
            })
            .copied()
            .collect()
    }
}
