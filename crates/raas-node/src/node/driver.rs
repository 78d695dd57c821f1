//! The driver: brings the loop to rest whenever something happened, and looks at the head now and then.

use crate::api::App;
use crate::engine;
use crate::store;
use crate::world::World;
use std::sync::Arc;
use std::time::Duration;
use tokio_util::sync::CancellationToken;

/// Runs until it is stopped, or until another process has taken the store over.
pub async fn drive<W: World>(
    app: Arc<App<W>>,
    poll: Duration,
    stop: CancellationToken,
) -> Result<(), engine::Error> {
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
        tokio::select! {
            () = stop.cancelled() => return Ok(()),
            () = app.wake.notified() => {}
            () = tokio::time::sleep(poll) => {}
        }
    }
}

/// An error with all its causes in one line.
fn chain(error: &dyn std::error::Error) -> String {
    let mut text = error.to_string();
    let mut cause = error.source();
    while let Some(error) = cause {
        text.push_str(": ");
        text.push_str(&error.to_string());
        cause = error.source();
    }
    text
}
