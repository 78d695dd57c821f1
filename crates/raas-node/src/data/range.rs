//! One byte range of a `Range` header, and the head of an answer with it. Pure.

use crate::api::error::ApiError;
use axum::body::Body;
use axum::http::response::Builder;
use axum::http::{StatusCode, header};
use axum::response::Response;

/// What a `Range` header asks of `length` bytes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Asked {
    /// All of it: no header, or one that is not a single byte range, which may be ignored.
    Whole,
    /// First and last byte, inclusive.
    Part(u64, u64),
    /// A range outside the bytes.
    Unsatisfiable,
}

/// Reads `bytes=a-b`, `bytes=a-` and `bytes=-n`.
#[must_use]
pub fn asked(header: Option<&str>, length: u64) -> Asked {
    let Some(range) = header.and_then(|text| text.trim().strip_prefix("bytes=")) else { return Asked::Whole };
    let Some((first, last)) = range.split_once('-') else { return Asked::Whole };
    if range.contains(',') {
        return Asked::Whole;
    }
    match (first.trim().parse::<u64>(), last.trim()) {
        (Ok(first), "") if first < length => Asked::Part(first, length - 1),
        (Ok(first), last) => match last.parse::<u64>() {
            Ok(last) if first <= last && first < length => Asked::Part(first, last.min(length - 1)),
            Ok(last) if first > last => Asked::Whole,
            Ok(_) => Asked::Unsatisfiable,
            Err(_) if last.is_empty() => Asked::Unsatisfiable,
            Err(_) => Asked::Whole,
        },
        (Err(_), suffix) if first.trim().is_empty() => match suffix.parse::<u64>() {
            Ok(0) => Asked::Unsatisfiable,
            Ok(_) if length == 0 => Asked::Unsatisfiable,
            Ok(count) => Asked::Part(length.saturating_sub(count), length - 1),
            Err(_) => Asked::Whole,
        },
        _ => Asked::Whole,
    }
}

/// What is left to answer once the head is made.
pub enum Part {
    /// These bytes: the answer so far, the position of the first, and how many.
    Bytes(Builder, u64, u64),
    /// Nothing: the range is outside.
    Outside(Response),
}

/// Status, length and range of an answer of `length` bytes of which so much was asked for.
///
/// # Errors
/// When a header before was not valid.
pub fn part(response: Builder, range: Asked, length: u64) -> Result<Part, ApiError> {
    let response = response.header(header::ACCEPT_RANGES, "bytes");
    match range {
        Asked::Whole => {
            let response = response.status(StatusCode::OK).header(header::CONTENT_LENGTH, length);
            Ok(Part::Bytes(response, 0, length))
        }
        Asked::Part(first, last) => {
            let response = response
                .status(StatusCode::PARTIAL_CONTENT)
                .header(header::CONTENT_LENGTH, last - first + 1)
                .header(header::CONTENT_RANGE, format!("bytes {first}-{last}/{length}"));
            Ok(Part::Bytes(response, first, last - first + 1))
        }
        Asked::Unsatisfiable => {
            let response = response
                .status(StatusCode::RANGE_NOT_SATISFIABLE)
                .header(header::CONTENT_RANGE, format!("bytes */{length}"));
            Ok(Part::Outside(response.body(Body::empty())?))
        }
    }
}

#[cfg(test)]
mod tests {
    use super::{Asked, asked};

    #[test]
    fn ranges_of_a_hundred_bytes() {
        let of = |text| asked(Some(text), 100);
        assert_eq!(asked(None, 100), Asked::Whole);
        assert_eq!(of("bytes=0-9"), Asked::Part(0, 9));
        assert_eq!(of("bytes=90-"), Asked::Part(90, 99));
        assert_eq!(of("bytes=90-1000"), Asked::Part(90, 99));
        assert_eq!(of("bytes=-10"), Asked::Part(90, 99));
        assert_eq!(of("bytes=-1000"), Asked::Part(0, 99));
        assert_eq!(of("bytes=100-"), Asked::Unsatisfiable);
        assert_eq!(of("bytes=100-101"), Asked::Unsatisfiable);
        assert_eq!(of("bytes=-0"), Asked::Unsatisfiable);
        for ignored in ["bytes=9-0", "bytes=a-b", "bytes=0-1,3-4", "items=0-1", "bytes=-", "bytes=5"] {
            assert_eq!(of(ignored), Asked::Whole, "{ignored}");
        }
        assert_eq!(asked(Some("bytes=0-"), 0), Asked::Unsatisfiable);
    }
}
