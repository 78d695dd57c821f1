//! Content recipes and vector files, as described in tests/vectors/*/README.md.

use std::path::PathBuf;

use rand_chacha::ChaCha20Rng;
use rand_chacha::rand_core::SeedableRng;
use serde_json::Value;
use sha2::{Digest, Sha256, Sha512};

/// A vector file as JSON.
pub fn vectors(name: &str) -> Value {
    serde_json::from_slice(&vector_bytes(name)).unwrap()
}

/// A vector file as it is.
pub fn vector_bytes(name: &str) -> Vec<u8> {
    let path: PathBuf = [env!("CARGO_MANIFEST_DIR"), "tests", "vectors", name].iter().collect();
    std::fs::read(path).unwrap()
}

/// The rows of an array field; a vector file without rows is a broken test.
pub fn rows<'a>(value: &'a Value, field: &str) -> &'a [Value] {
    let rows = value[field].as_array().unwrap();
    assert!(!rows.is_empty(), "{field} has no rows");
    rows
}

pub fn text<'a>(row: &'a Value, field: &str) -> &'a str {
    row[field].as_str().unwrap_or_else(|| panic!("{field} in {row}"))
}

pub fn number(row: &Value, field: &str) -> u64 {
    row[field].as_u64().unwrap_or_else(|| panic!("{field} in {row}"))
}

pub fn node(row: &Value, field: &str) -> [u8; 32] {
    hex::decode(text(row, field)).unwrap().try_into().unwrap()
}

/// The SHA-256 counter stream of a seed, block by block.
pub fn sha256_counter(seed: &str, size: usize) -> Vec<u8> {
    let mut out = Vec::with_capacity(size + 32);
    let mut i = 0u64;
    while out.len() < size {
        out.extend_from_slice(&Sha256::new().chain_update(seed).chain_update(i.to_le_bytes()).finalize());
        i += 1;
    }
    out.truncate(size);
    out
}

/// The chain of SHA-512 over its own output.
pub fn sha512_chain(size: usize) -> Vec<u8> {
    let mut out = Vec::with_capacity(size + 64);
    let mut block = Sha512::digest([]);
    while out.len() < size {
        out.extend_from_slice(&block);
        block = Sha512::digest(block);
    }
    out.truncate(size);
    out
}

/// SHA-256 as hex.
pub fn sha256_hex(bytes: &[u8]) -> String {
    hex::encode(Sha256::digest(bytes))
}

/// The ChaCha20 key stream of a seed, as an endless generator.
pub fn chacha20(seed: &str) -> ChaCha20Rng {
    ChaCha20Rng::from_seed(Sha256::digest(seed).into())
}

/// Whether the long rows run, too.
pub fn long() -> bool {
    std::env::var_os("RAAS_LONG").is_some_and(|value| value == "1")
}
