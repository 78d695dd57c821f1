//! Contracts: revm over the world, with the actor-call precompiles, and the `eth_*` methods.
