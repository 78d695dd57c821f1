//! Storage providers: what they took and how they serve it.

use serde::{Deserialize, Serialize};

/// Something that happened at a provider's server and changes the world.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Command {}
