//! The looks themselves: each asks one thing and gives it as plain data. What depends on something that did not answer is
//! left out.

mod chain;
mod contracts;
mod disk;
mod listener;
mod node;
mod patient;
mod providers;
mod wallet;

pub(super) use patient::look;
