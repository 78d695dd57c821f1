//! Fr32: every 254 payload bits (little-endian bit order) become one 32-byte node with two zero bits
//! on top, so that 127 bytes become 128. Pure bit insertion, no arithmetic.

/// Payload bytes of one group.
pub const GROUP_IN: usize = 127;
/// Padded bytes of one group: four nodes.
pub const GROUP_OUT: usize = 128;

/// First payload byte and bit shift of each of the four nodes of a group (bit 254 * j).
const NODES: [(usize, u32); 4] = [(0, 0), (31, 6), (63, 4), (95, 2)];
/// The six low bits of the last byte of a node carry payload.
const TOP_MASK: u8 = 0x3f;

/// Bytes that are not Fr32: a node has one of its two top bits set, or a length is not whole groups.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum Fr32Error {
    /// A node's two top bits must be zero.
    #[error("node {node} of a padded group has its two top bits set")]
    TopBits {
        /// Node number in the group, 0 to 3.
        node: usize,
    },
    /// The padded form comes in groups of 128 bytes.
    #[error("padded length {0} is not a multiple of 128 bytes")]
    Length(usize),
}

/// Expands one group of 127 payload bytes into four nodes.
#[must_use]
pub fn pad_group(input: &[u8; GROUP_IN]) -> [u8; GROUP_OUT] {
    // A copy with spare bytes lets each node be read as whole words without a bounds case at the end.
    let mut wide = [0u8; GROUP_IN + 9];
    wide[..GROUP_IN].copy_from_slice(input);
    let mut out = [0u8; GROUP_OUT];
    for (node, &(start, shift)) in NODES.iter().enumerate() {
        for word in 0..4 {
            let at = start + 8 * word;
            let mut bytes = [0u8; 8];
            bytes.copy_from_slice(&wide[at..at + 8]);
            let low = u64::from_le_bytes(bytes) >> shift;
            let high = if shift == 0 { 0 } else { u64::from(wide[at + 8]) << (64 - shift) };
            let to = 32 * node + 8 * word;
            out[to..to + 8].copy_from_slice(&(low | high).to_le_bytes());
        }
        out[32 * node + 31] &= TOP_MASK;
    }
    out
}

/// Takes one padded group back to its 127 payload bytes.
///
/// # Errors
/// [`Fr32Error::TopBits`] when a node is no Fr32 node.
pub fn unpad_group(input: &[u8; GROUP_OUT]) -> Result<[u8; GROUP_IN], Fr32Error> {
    // One spare byte takes the empty carry of the last node.
    let mut out = [0u8; GROUP_IN + 1];
    for (node, &(start, shift)) in NODES.iter().enumerate() {
        let bytes = &input[32 * node..32 * node + 32];
        if bytes[31] & !TOP_MASK != 0 {
            return Err(Fr32Error::TopBits { node });
        }
        for (i, &byte) in bytes.iter().enumerate() {
            out[start + i] |= byte << shift;
            if shift > 0 {
                out[start + i + 1] |= byte >> (8 - shift);
            }
        }
    }
    let mut group = [0u8; GROUP_IN];
    group.copy_from_slice(&out[..GROUP_IN]);
    Ok(group)
}

/// Expands a payload, zero-filled to whole groups.
#[must_use]
pub fn pad(payload: &[u8]) -> Vec<u8> {
    let mut out = Vec::with_capacity(payload.len().div_ceil(GROUP_IN) * GROUP_OUT);
    for chunk in payload.chunks(GROUP_IN) {
        let mut group = [0u8; GROUP_IN];
        group[..chunk.len()].copy_from_slice(chunk);
        out.extend_from_slice(&pad_group(&group));
    }
    out
}

/// Takes whole padded groups back to payload bytes.
///
/// # Errors
/// [`Fr32Error`] for a length of broken groups or a node with its top bits set.
pub fn unpad(padded: &[u8]) -> Result<Vec<u8>, Fr32Error> {
    let (groups, rest) = padded.as_chunks::<GROUP_OUT>();
    if !rest.is_empty() {
        return Err(Fr32Error::Length(padded.len()));
    }
    let mut out = Vec::with_capacity(groups.len() * GROUP_IN);
    for group in groups {
        out.extend_from_slice(&unpad_group(group)?);
    }
    Ok(out)
}
