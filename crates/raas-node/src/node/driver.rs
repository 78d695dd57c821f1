//! The driver: brings the loop to rest whenever something happened, and looks at the head now and then.

use crate::api::App;
use crate::causes::chain;
use crate::engine;
use crate::store;
use crate::world::World;
use raas_core::endpoint::Alarm;
use raas_core::gate::Hold;
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::Notify;
use tokio_util::sync::CancellationToken;

/// Runs until it is stopped, or until another process has taken the store over. `heads` wakes it early; the poll
/// does not depend on it.
pub async fn drive<W: World>(
    app: Arc<App<W>>,
    poll: Duration,
    heads: Arc<Notify>,
    stop: CancellationToken,
) -> Result<(), engine::Error> {
    let mut told = Told::default();
    loop {
        match app.engine.quiesce().await {
            Ok(_) => {}
            Err(fenced @ engine::Error::Store(store::Error::Fenced { .. })) => {
                tracing::error!("another process has taken the store over; this one ends");
                return Err(fenced);
            }
            // The next pass is the retry; a poll apart, so that a lasting defect does not spin.
            Err(error) => tracing::error!(error = %chain(&error), "a pass over the tasks failed"),
        }
        told.tell(&app);
        tokio::select! {
            () = stop.cancelled() => return Ok(()),
            () = app.wake.notified() => {}
            () = heads.notified() => {}
            () = tokio::time::sleep(poll) => {}
        }
    }
}

/// What the log was told last, so that each change is said once.
#[derive(Default)]
struct Told {
    hold: Option<Hold>,
    stuck: Option<String>,
    alarms: Vec<Alarm>,
}

impl Told {
    fn tell<W: World>(&mut self, app: &App<W>) {
        let status = app.engine.status();
        // Epochs in a hold move on; its kind is what changes.
        let kind = |hold: &Option<Hold>| hold.as_ref().map(std::mem::discriminant);
        if kind(&status.hold) != kind(&self.hold) {
            match &status.hold {
                Some(hold @ Hold::Rewritten { .. }) => {
                    tracing::error!("nothing is started: {hold}; `raas chain rewind` shows what differs");
                }
                Some(hold) => tracing::warn!("nothing is started: {hold}"),
                None => tracing::warn!("the node goes on"),
            }
        }
        self.hold = status.hold;
        let stuck = status.contract_waits();
        if stuck != self.stuck
            && let Some(why) = &stuck
        {
            tracing::warn!(why, "events of a contract are not read further");
        }
        self.stuck = stuck;
        let now = app.alarms();
        let same = |a: &Alarm, b: &Alarm| {
            std::mem::discriminant(a) == std::mem::discriminant(b) && a.endpoint() == b.endpoint()
        };
        for alarm in now.iter().filter(|alarm| !self.alarms.iter().any(|known| same(known, alarm))) {
            tracing::warn!("{alarm}");
        }
        self.alarms = now;
    }
}
