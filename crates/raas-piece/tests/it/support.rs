//! Content recipes and vector files, as described in tests/vectors/*/README.md.

use std::path::PathBuf;

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

/// The ChaCha20 key stream (RFC 8439) under the hash of a seed, nonce zero, counter from zero.
pub struct ChaCha20 {
    input: [u32; 16],
    block: [u8; 64],
    used: usize,
}

/// The key stream of a seed.
pub fn chacha20(seed: &str) -> ChaCha20 {
    let key = Sha256::digest(seed);
    let mut input = [0; 16];
    input[..4].copy_from_slice(&[0x6170_7865, 0x3320_646e, 0x7962_2d32, 0x6b20_6574]);
    for (word, bytes) in input[4..12].iter_mut().zip(key.chunks_exact(4)) {
        *word = u32::from_le_bytes(bytes.try_into().unwrap());
    }
    ChaCha20 { input, block: [0; 64], used: 64 }
}

impl ChaCha20 {
    /// The next bytes of the stream.
    pub fn fill(&mut self, out: &mut [u8]) {
        for byte in out {
            if self.used == 64 {
                self.next_block();
            }
            *byte = self.block[self.used];
            self.used += 1;
        }
    }

    fn next_block(&mut self) {
        let mut state = self.input;
        for _ in 0..10 {
            for [a, b, c, d] in [[0, 4, 8, 12], [1, 5, 9, 13], [2, 6, 10, 14], [3, 7, 11, 15]] {
                quarter(&mut state, a, b, c, d);
            }
            for [a, b, c, d] in [[0, 5, 10, 15], [1, 6, 11, 12], [2, 7, 8, 13], [3, 4, 9, 14]] {
                quarter(&mut state, a, b, c, d);
            }
        }
        for (i, bytes) in self.block.chunks_exact_mut(4).enumerate() {
            bytes.copy_from_slice(&state[i].wrapping_add(self.input[i]).to_le_bytes());
        }
        self.input[12] += 1;
        self.used = 0;
    }
}

fn quarter(s: &mut [u32; 16], a: usize, b: usize, c: usize, d: usize) {
    s[a] = s[a].wrapping_add(s[b]);
    s[d] = (s[d] ^ s[a]).rotate_left(16);
    s[c] = s[c].wrapping_add(s[d]);
    s[b] = (s[b] ^ s[c]).rotate_left(12);
    s[a] = s[a].wrapping_add(s[b]);
    s[d] = (s[d] ^ s[a]).rotate_left(8);
    s[c] = s[c].wrapping_add(s[d]);
    s[b] = (s[b] ^ s[c]).rotate_left(7);
}

/// Whether the long rows run, too.
pub fn long() -> bool {
    std::env::var_os("RAAS_LONG").is_some_and(|value| value == "1")
}
