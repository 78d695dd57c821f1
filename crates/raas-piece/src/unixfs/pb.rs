//! The little of Protocol Buffers that dag-pb and UnixFS need.

use crate::varint;

/// Bytes that are no message.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum PbError {
    /// A varint is cut short, too long or not minimal.
    #[error("malformed varint")]
    Varint,
    /// A field ends past its message.
    #[error("field {0} is cut short")]
    Short(u64),
    /// Groups and other wire types that are not used.
    #[error("field {field} has unsupported wire type {wire}")]
    Wire {
        /// Field number.
        field: u64,
        /// Wire type.
        wire: u8,
    },
}

/// The value of a field.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Value<'a> {
    Varint(u64),
    Bytes(&'a [u8]),
    /// Fixed 32 or 64 bits: only ever skipped.
    Fixed,
}

/// The fields of a message in their order.
pub(crate) struct Fields<'a> {
    rest: &'a [u8],
}

impl<'a> Fields<'a> {
    pub(crate) const fn new(message: &'a [u8]) -> Self {
        Self { rest: message }
    }

    fn varint(&mut self) -> Result<u64, PbError> {
        let (value, rest) = varint::read(self.rest).ok_or(PbError::Varint)?;
        self.rest = rest;
        Ok(value)
    }

    fn take(&mut self, field: u64, len: u64) -> Result<&'a [u8], PbError> {
        let len = usize::try_from(len).map_err(|_| PbError::Short(field))?;
        let (bytes, rest) = self.rest.split_at_checked(len).ok_or(PbError::Short(field))?;
        self.rest = rest;
        Ok(bytes)
    }

    fn field(&mut self) -> Result<(u64, Value<'a>), PbError> {
        let key = self.varint()?;
        let field = key >> 3;
        let value = match key & 7 {
            0 => Value::Varint(self.varint()?),
            1 => self.take(field, 8).map(|_| Value::Fixed)?,
            2 => {
                let len = self.varint()?;
                Value::Bytes(self.take(field, len)?)
            }
            5 => self.take(field, 4).map(|_| Value::Fixed)?,
            // The mask leaves three bits.
            wire => return Err(PbError::Wire { field, wire: wire as u8 }),
        };
        Ok((field, value))
    }
}

impl<'a> Iterator for Fields<'a> {
    type Item = Result<(u64, Value<'a>), PbError>;

    fn next(&mut self) -> Option<Self::Item> {
        if self.rest.is_empty() {
            return None;
        }
        let field = self.field();
        if field.is_err() {
            self.rest = &[];
        }
        Some(field)
    }
}

pub(crate) fn put_varint(out: &mut Vec<u8>, value: u64) {
    let mut buffer = unsigned_varint::encode::u64_buffer();
    out.extend_from_slice(unsigned_varint::encode::u64(value, &mut buffer));
}

/// A varint field with a number under 16.
pub(crate) fn put_number(out: &mut Vec<u8>, field: u8, value: u64) {
    out.push(field << 3);
    put_varint(out, value);
}

/// A bytes field with a number under 16.
pub(crate) fn put_bytes(out: &mut Vec<u8>, field: u8, bytes: &[u8]) {
    out.push(field << 3 | 2);
    put_varint(out, bytes.len() as u64);
    out.extend_from_slice(bytes);
}

/// Length of a varint.
pub(crate) fn varint_len(value: u64) -> usize {
    let mut buffer = unsigned_varint::encode::u64_buffer();
    unsigned_varint::encode::u64(value, &mut buffer).len()
}
