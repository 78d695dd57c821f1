//! Storage providers over their real interfaces: HTTP in, HTTP out, the chain's ledger as witness.

mod deals;
mod http;
mod modes;
mod pulls;
mod refusals;
mod source;
mod support;
