//! Contents by recipe, so that roots are known from elsewhere.

use sha2::{Digest, Sha256};

const MIB: usize = 1 << 20;

/// The SHA-256 counter stream of a seed (recipe `sha256ctr` of the vectors).
pub fn sha256_counter(seed: &str, size: usize) -> Vec<u8> {
    let mut out = Vec::with_capacity(size + 32);
    let mut block = 0_u64;
    while out.len() < size {
        out.extend_from_slice(&Sha256::new().chain_update(seed).chain_update(block.to_le_bytes()).finalize());
        block += 1;
    }
    out.truncate(size);
    out
}

/// A small file that no other number gives.
pub fn small(number: u64) -> Vec<u8> {
    sha256_counter(&format!("small file {number}"), 1_000 + (number as usize % 50_000))
}

/// `count` chunks of 1 MiB: the first MiB of the counter stream of `raas-scenarios`, its first eight bytes replaced
/// by the chunk's number, little-endian.
pub fn numbered_chunks(count: u64) -> impl Iterator<Item = Vec<u8>> {
    let base = sha256_counter("raas-scenarios", MIB);
    (0..count).map(move |number| {
        let mut chunk = base.clone();
        chunk[..8].copy_from_slice(&number.to_le_bytes());
        chunk
    })
}
