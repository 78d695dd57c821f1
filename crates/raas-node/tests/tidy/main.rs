//! The rules of the house that no compiler holds: who may use whom, what stands only at the edges, what every file
//! and every page must have. It reads the repository, runs in a second, and names the file to change.

mod crates;
mod docs;
mod modules;
mod sources;
mod tree;
