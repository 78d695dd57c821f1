//! Whole nodes on whole devnets, in one process, over HTTP and RPC: what the node promises, each promise a test.
//!
//! Time moves by command only: from one event of the world, or one wake of the node, to the next. What happened is
//! judged by the devnet's ledger and by what everybody can ask, never by the node's own store.

mod harness;

mod deployments;
mod describes;
mod doctor;
mod endpoints;
mod figures;
mod follows;
mod gateway;
mod holds;
mod incidents;
mod keeps;
mod packs;
mod parts;
mod pays;
mod prunes;
mod reads;
mod refuses;
mod registers;
mod renews;
mod reorgs;
mod repairs;
mod sectors;
mod serves;
mod spends;
mod stores;
mod storms;
mod tenants;
