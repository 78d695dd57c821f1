//! The keeper: looks after the node's own copies beside the loop. It gets lost ones back, hashes old ones again at a set
//! pace, and deletes what nothing keeps.

use crate::api::App;
use crate::causes::chain;
use crate::config::StoreSection;
use crate::engine;
use crate::keeping::{self, Verified};
use crate::world::World;
use raas_core::ports::Clock;
use std::sync::Arc;
use std::time::Duration;
use tokio_util::sync::CancellationToken;

/// Between two looks at what is lost or to be hashed again.
const PAUSE: Duration = Duration::from_secs(60);
/// Looks between two tries to get something back, at most: each failed one doubles it.
const PATIENCE_MAX: u32 = 64;
/// Looks between two collections.
const COLLECTS_EVERY: u32 = 60;
const DAY_SECONDS: i64 = 86_400;
const HOUR_SECONDS: i64 = 3_600;

/// Runs until it is stopped.
pub async fn keep<W: World>(
    app: Arc<App<W>>,
    section: StoreSection,
    stop: CancellationToken,
) -> Result<(), engine::Error> {
    let mut keeper = Keeper { app: &app, section: &section, looks: 0, patience: 1, next_try: 0 };
    let tended = async {
        loop {
            tokio::time::sleep(PAUSE).await;
            keeper.look().await;
        }
    };
    // Hashing everything takes days; nothing waits for it.
    let scrubbed = async {
        loop {
            tokio::time::sleep(PAUSE).await;
            let scrubbed = scrub(&app, &section).await;
            tell("hashing bytes again", scrubbed);
        }
    };
    tokio::select! {
        () = tended => {}
        () = scrubbed => {}
        () = stop.cancelled() => {}
    }
    Ok(())
}

struct Keeper<'a, W: World> {
    app: &'a App<W>,
    section: &'a StoreSection,
    looks: u32,
    patience: u32,
    next_try: u32,
}

impl<W: World> Keeper<'_, W> {
    /// What fails is tried again by a later look.
    async fn look(&mut self) {
        self.looks = self.looks.wrapping_add(1);
        let restored = self.restore().await;
        tell("getting lost bytes back", restored);
        let collected = self.collect().await;
        tell("collecting", collected);
    }

    async fn restore(&mut self) -> Result<(), keeping::Error> {
        let now = self.app.engine.world().clock().now().await.unix_seconds;
        keeping::look_into(self.app.engine.store(), &self.app.pieces, now).await?;
        keeping::note_aside(self.app.engine.store(), &self.app.pieces).await?;
        if self.looks < self.next_try {
            return Ok(());
        }
        let restored = keeping::restore(&self.app.engine, &self.app.pieces).await?;
        let any_failed = restored.values().any(Option::is_some);
        self.patience = if any_failed { (self.patience * 2).min(PATIENCE_MAX) } else { 1 };
        self.next_try = self.looks.saturating_add(self.patience);
        if !restored.is_empty() {
            self.app.wake.notify_one();
        }
        Ok(())
    }

    async fn collect(&self) -> Result<(), keeping::Error> {
        if self.section.gc_after_hours == 0 || !self.looks.is_multiple_of(COLLECTS_EVERY) {
            return Ok(());
        }
        let now = self.app.engine.world().clock().now().await.unix_seconds;
        let grace = i64::from(self.section.gc_after_hours).saturating_mul(HOUR_SECONDS);
        keeping::collect(self.app.engine.store(), &self.app.pieces, now, grace, false).await?;
        Ok(())
    }
}

/// The piece that was hashed longest ago, and so on, until all are young enough.
async fn scrub<W: World>(app: &App<W>, section: &StoreSection) -> Result<(), keeping::Error> {
    let pace = u64::from(section.scrub_mib_per_second) << 20;
    if pace == 0 {
        return Ok(());
    }
    let age = i64::from(section.scrub_every_days).saturating_mul(DAY_SECONDS);
    let (store, pieces) = (app.engine.store(), &app.pieces);
    loop {
        let now = app.engine.world().clock().now().await.unix_seconds;
        let Some(next) = store.next_to_scrub(now.saturating_sub(age)).await? else { return Ok(()) };
        match keeping::verify(store, pieces, next.piece.commitment, now, Some(pace)).await? {
            Verified::Sound => {}
            // What is lost is to be had elsewhere first.
            Verified::Damaged { .. } | Verified::Absent => return Ok(()),
        }
    }
}

fn tell(what: &str, outcome: Result<(), keeping::Error>) {
    if let Err(error) = outcome {
        tracing::error!(error = %chain(&error), "{what} failed");
    }
}
