//! Reading unsigned varints in their one form: 64 bits, lowest first, in as few bytes as they need.

/// The number at the start of bytes, and what follows it.
pub(crate) fn read(bytes: &[u8]) -> Option<(u64, &[u8])> {
    let (value, rest) = unsigned_varint::decode::u64(bytes).ok()?;
    // Of the tenth byte only one bit counts. The decoder drops the others, so that every number would have more than
    // one form.
    let over = bytes.len() - rest.len() == 10 && bytes.get(9).is_some_and(|&last| last > 1);
    (!over).then_some((value, rest))
}
