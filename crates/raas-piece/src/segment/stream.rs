//! The raw stream of an aggregate, as the provider receives it: pieces, zeros between, the index.

use super::aggregate::Aggregate;

/// What a part of the stream holds.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum SpanKind {
    /// The piece of this entry: its payload, then zeros to its capacity.
    Piece(usize),
    /// Zeros.
    Zeros,
    /// The used part of the index.
    Index,
}

/// A part of the stream, in payload bytes of the deal.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Span {
    /// First byte.
    pub start: u64,
    /// Length in bytes.
    pub len: u64,
    /// What it holds.
    pub kind: SpanKind,
}

impl Aggregate {
    /// The whole stream as spans without gaps, in order: enough to serve any range of it from the pieces'
    /// own files without writing the aggregate.
    #[must_use]
    pub fn spans(&self) -> Vec<Span> {
        let mut spans = Vec::with_capacity(2 * self.segments().len() + 3);
        let mut end = 0;
        let mut push = |start: u64, len: u64, kind: SpanKind| {
            if start > end {
                spans.push(Span { start: end, len: start - end, kind: SpanKind::Zeros });
            }
            if len > 0 {
                spans.push(Span { start, len, kind });
            }
            end = start + len;
        };
        for (position, segment) in self.segments().iter().enumerate() {
            push(segment.payload_offset(), segment.size.capacity(), SpanKind::Piece(position));
        }
        let index_len = self.index_payload().len() as u64;
        push(self.layout().index_payload_offset(), index_len, SpanKind::Index);
        push(self.layout().size().capacity(), 0, SpanKind::Zeros);
        spans
    }
}
