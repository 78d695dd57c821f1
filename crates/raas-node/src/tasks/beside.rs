//! Beside: planning what comes in while a round waits for the chain.
//!
//! An answer about a whole provider takes seconds. A job that is registered meanwhile is planned by the round before, which
//! holds until this one is stored.

use crate::engine::{Engine, Error, Status};
use crate::tasks::plan::{Memory, plan};
use crate::watch::FleetIndex;
use crate::world::World;
use futures_util::future::{Either, select};
use raas_core::observation::Round;
use raas_core::ports::Now;
use std::pin::pin;

/// What planning needs while a round is read.
pub struct Beside<'a> {
    memory: &'a mut Memory,
    /// The round before, if it was planned.
    last: Option<Round>,
    now: Now,
    /// Whether an intent was committed.
    pub changed: bool,
}

impl<'a> Beside<'a> {
    /// Plans by the round of `status`, and not at all while something holds it back.
    pub fn new(memory: &'a mut Memory, status: &Status, now: Now) -> Self {
        let last = status.round.clone().filter(|round| status.hold.is_none() && memory.has_planned(round));
        Self { memory, last, now, changed: false }
    }

    /// The outcome of `work`, which waits for the chain.
    pub async fn wait<W: World, T>(
        &mut self,
        engine: &Engine<W>,
        index: &mut FleetIndex,
        work: impl Future<Output = T>,
    ) -> Result<T, Error> {
        let mut work = pin!(work);
        loop {
            tokio::select! {
                biased;
                done = &mut work => return Ok(done),
                () = engine.registered.notified(), if self.last.is_some() => {}
            }
            let Some(last) = &self.last else { continue };
            let planning = pin!(async {
                index.sync(&engine.store).await?;
                Box::pin(plan(engine, index, self.memory, last, None, self.now)).await
            });
            // The work goes on meanwhile: it may hold what planning waits for, as an endpoint that is just checked.
            match select(planning, &mut work).await {
                Either::Left((changed, _)) => self.changed |= changed?,
                Either::Right((done, planning)) => {
                    self.changed |= planning.await?;
                    return Ok(done);
                }
            }
        }
    }
}
