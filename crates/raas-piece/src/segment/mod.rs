//! Data segments (FRC-0058): many pieces in one deal, with an index at its end that says where each lies.
//!
//! The order of the pieces is part of the aggregate and must be kept by whoever makes one.

mod aggregate;
mod descriptor;
mod index;
mod layout;
mod stream;
mod virtual_deal;

pub use aggregate::{Aggregate, AggregateError};
pub use descriptor::{DESCRIPTOR_BYTES, Descriptor, DescriptorError};
pub use index::{IndexEntry, parse_index};
pub use layout::{DealLayout, LayoutError, Segment, minimum_deal_size, place};
pub use stream::{Span, SpanKind};
pub use virtual_deal::{Payload, PayloadsError, RangeReader, VirtualDeal};
