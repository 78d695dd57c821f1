//! The `Range` header, as far as pieces need it: one range of bytes.

/// Which bytes a request wants.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Span {
    /// All of them.
    Whole,
    /// From the first to the last, both included.
    Part {
        /// Offset of the first byte.
        first: u64,
        /// Offset of the last byte.
        last: u64,
    },
    /// None that exist.
    Unsatisfiable,
}

/// Reads a `Range` header over `total` bytes. Several ranges, other units and malformed ones mean the whole, as
/// the HTTP specification allows.
pub(super) fn span(header: Option<&str>, total: u64) -> Span {
    let Some((from, to)) =
        header.and_then(|value| value.strip_prefix("bytes=")).and_then(|value| value.split_once('-'))
    else {
        return Span::Whole;
    };
    let number = |text: &str| text.trim().parse::<u64>().ok();
    let last_byte = total.checked_sub(1);
    match (from.trim(), to.trim()) {
        ("", suffix) => match (number(suffix), last_byte) {
            (Some(0), _) | (Some(_), None) => Span::Unsatisfiable,
            (Some(count), Some(last)) => Span::Part { first: total.saturating_sub(count), last },
            (None, _) => Span::Whole,
        },
        (first, last) => {
            let open = last.is_empty();
            match (number(first), number(last), last_byte) {
                (Some(first), _, end) if end.is_none_or(|end| first > end) => Span::Unsatisfiable,
                (Some(first), None, Some(last)) if open => Span::Part { first, last },
                (Some(first), Some(last), Some(end)) if first <= last => {
                    Span::Part { first, last: last.min(end) }
                }
                _ => Span::Whole,
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ranges_are_read_as_http_defines_them() {
        for (header, expected) in [
            (None, Span::Whole),
            (Some("bytes=0-"), Span::Part { first: 0, last: 99 }),
            (Some("bytes=10-19"), Span::Part { first: 10, last: 19 }),
            (Some("bytes=99-1000"), Span::Part { first: 99, last: 99 }),
            (Some("bytes=-10"), Span::Part { first: 90, last: 99 }),
            (Some("bytes=-1000"), Span::Part { first: 0, last: 99 }),
            (Some("bytes=100-"), Span::Unsatisfiable),
            (Some("bytes=-0"), Span::Unsatisfiable),
            (Some("bytes=5-4"), Span::Whole),
            (Some("bytes=0-1,5-6"), Span::Whole),
            (Some("items=0-1"), Span::Whole),
            (Some("bytes=x-"), Span::Whole),
        ] {
            assert_eq!(span(header, 100), expected, "{header:?}");
        }
        assert_eq!(span(Some("bytes=0-"), 0), Span::Unsatisfiable);
    }
}
