//! Storage providers: what they took and how they serve it.
//!
//! Two halves. The *book* ([`Provider`]) is pure state inside the [`World`](crate::world::World): it checks
//! proposals as real providers do, says what to fetch, publish and seal, and when, and answers for each deal. The
//! *servers* ([`Fleet`]) are the I/O: one HTTP server per provider, the transfers, the files. Every change goes
//! through a [`Command`], so that a journal of commands brings a book back; bytes are kept on disk by commitment.
//!
//! Invariants: a provider acts only on signed proposals it has checked; it publishes only what it has, except in
//! the mode that says otherwise; it serves a piece exactly while a sector with it is alive; the order in which
//! requests arrive within one epoch does not change the history.

mod book;
mod car;
mod check;
mod command;
pub(crate) mod connection;
mod deal;
mod deals;
mod files;
mod fleet;
mod mode;
mod pull;
mod range;
mod server;
mod status;
mod terms;
mod view;

pub use book::{Book, Effect, Provider, Retrieval, SLOW_EPOCHS};
pub use check::Rejection;
pub use command::{Command, Reply, StoreReply};
pub(crate) use connection::serve;
pub use deal::{Deal, Intent, Pull, Stage, TransferEnd};
pub use fleet::{Fleet, FleetError, Host};
pub use mode::{Mode, Mood, UnknownMode};
pub use terms::Terms;
pub use view::ChainView;
