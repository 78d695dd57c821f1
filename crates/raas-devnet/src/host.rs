//! Whoever holds the running world: one lock, and the journal behind it.
//!
//! Invariant: what was answered is journaled. Commands reach the journal while the world is still locked, so its
//! order is the order of history; once a write fails, nothing more is accepted.

use crate::{
    journal::{Journal, JournalError},
    provider,
    world::{Command, CommandError, Outcome, World},
};
use std::sync::{Mutex, MutexGuard, PoisonError};
use tokio::sync::watch;

/// A world that is being served.
#[derive(Debug)]
pub struct Host {
    held: Mutex<Held>,
    /// Counts what those who listen to the chain may want to hear of.
    changes: watch::Sender<u64>,
}

#[derive(Debug)]
struct Held {
    world: World,
    journal: Option<Journal>,
    /// What went wrong with the journal.
    broken: Option<String>,
}

/// Why a served world did not take a command.
#[derive(Debug, thiserror::Error)]
pub enum HostError {
    /// The world refused.
    #[error(transparent)]
    Command(#[from] CommandError),
    /// The command happened, but cannot be made durable.
    #[error(transparent)]
    Journal(#[from] JournalError),
    /// An earlier command could not be made durable.
    #[error("the devnet takes no more commands, its journal failed: {0}")]
    Broken(String),
}

impl Host {
    /// Holds `world`, writing its commands to `journal`.
    #[must_use]
    pub fn new(mut world: World, journal: Option<Journal>) -> Self {
        if journal.is_some() {
            world.record_commands();
        }
        let held = Mutex::new(Held { world, journal, broken: None });
        Self { held, changes: watch::Sender::new(0) }
    }

    fn held(&self) -> MutexGuard<'_, Held> {
        // A panic while the world was locked is a bug that its own test shows; the rest goes on.
        self.held.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Tells whenever the chain or the mempool has changed.
    #[must_use]
    pub fn changes(&self) -> watch::Receiver<u64> {
        self.changes.subscribe()
    }

    /// Looks at the world.
    pub fn read<T>(&self, look: impl FnOnce(&World) -> T) -> T {
        look(&self.held().world)
    }

    /// Acts on the world and makes durable what it did.
    pub fn act<T>(&self, act: impl FnOnce(&mut World) -> T) -> Result<T, HostError> {
        let mut held = self.held();
        if let Some(why) = &held.broken {
            return Err(HostError::Broken(why.clone()));
        }
        let before = held.world.pulse();
        let result = act(&mut held.world);
        let changed = held.world.pulse() != before;
        let commands = held.world.take_recorded();
        if let Some(journal) = &mut held.journal {
            let written = commands.iter().try_for_each(|command| journal.append(command));
            if let Err(error) = written {
                held.broken = Some(error.to_string());
                return Err(error.into());
            }
        }
        drop(held);
        if changed {
            self.changes.send_modify(|count| *count += 1);
        }
        Ok(result)
    }

    /// Applies one command.
    pub fn apply(&self, command: Command) -> Result<Outcome, HostError> {
        Ok(self.act(|world| world.apply(command))??)
    }
}

impl provider::Host for Host {
    fn apply(&self, command: provider::Command) -> Result<provider::Reply, CommandError> {
        match Self::apply(self, Command::Provider(command)) {
            Ok(Outcome::Provider(reply)) => Ok(reply),
            // Only a provider's command goes in, so nothing else comes out.
            Ok(_) => Ok(provider::Reply::Done),
            Err(HostError::Command(error)) => Err(error),
            Err(error) => Err(CommandError::NotJournaled(error.to_string())),
        }
    }

    fn read<T>(&self, look: impl FnOnce(&World) -> T) -> T {
        Self::read(self, look)
    }
}
