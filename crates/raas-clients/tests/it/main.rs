//! The adapters against the devnet, which shares no code with them, and against servers that misbehave.

mod chain;
mod contract;
mod endpoints;
mod faults;
mod fetch;
mod kubo;
mod limits;
mod mk12;
mod money;
mod server;
mod sockets;
mod support;
