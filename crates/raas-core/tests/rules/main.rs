//! The rules by tables and properties, over a model world.
#![forbid(unsafe_code)]

#[path = "../model/mod.rs"]
mod model;

mod activation;
mod admit;
mod attest;
mod breaker;
mod cursor;
mod evict;
mod fill;
mod forecast;
mod gate;
mod health;
mod keep;
mod lane;
mod lead;
mod order;
mod pack;
mod properties;
mod prune;
mod renew;
mod repair;
mod replicate;
mod rewind;
mod scenario;
mod sectors;
mod select;
mod sender;
mod signature;
mod spend;
mod upload;
