//! A range of a file's bytes as the gateways write it: `entity-bytes=from:to`.

use std::fmt;
use std::str::FromStr;

/// Positions of the first and the last byte wanted. Negative ones count back from the end: -1 is the last byte.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct ByteSpan {
    /// The first byte.
    pub from: i64,
    /// The last byte, itself included; `None` is the end of the file.
    pub to: Option<i64>,
}

/// A text that is no span.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum SpanError {
    /// Not two numbers.
    #[error(
        "{0:?} is not FROM:TO, two byte positions of which TO can be * and negative ones count from the end"
    )]
    Malformed(String),
    /// The end is before the start, whatever the length of the file.
    #[error("{0:?} ends before it begins")]
    Reversed(String),
}

impl ByteSpan {
    /// The first and the last position inside a file of this length; `None` when no byte of it is wanted.
    #[must_use]
    pub fn within(self, file_bytes: u64) -> Option<(u64, u64)> {
        let last_byte = file_bytes.checked_sub(1)?;
        let place = |at: i64| match u64::try_from(at) {
            Ok(at) => Some(at),
            Err(_) => file_bytes.checked_sub(at.unsigned_abs()),
        };
        // What begins before the file begins with it.
        let first = place(self.from).unwrap_or(0);
        let last = match self.to {
            None => last_byte,
            Some(to) => place(to)?.min(last_byte),
        };
        (first <= last).then_some((first, last))
    }
}

impl FromStr for ByteSpan {
    type Err = SpanError;

    fn from_str(text: &str) -> Result<Self, SpanError> {
        let malformed = || SpanError::Malformed(text.to_owned());
        let (from, to) = text.split_once(':').ok_or_else(malformed)?;
        let number = |text: &str| text.parse::<i64>().map_err(|_| malformed());
        let from = number(from)?;
        let to = if to == "*" { None } else { Some(number(to)?) };
        match to {
            Some(to) if to < from && (to < 0) == (from < 0) => Err(SpanError::Reversed(text.to_owned())),
            to => Ok(Self { from, to }),
        }
    }
}

impl fmt::Display for ByteSpan {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.to {
            Some(to) => write!(f, "{}:{to}", self.from),
            None => write!(f, "{}:*", self.from),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn spans_of_a_thousand_bytes() {
        let within = |text: &str| text.parse::<ByteSpan>().expect("a span").within(1_000);
        assert_eq!(within("0:*"), Some((0, 999)));
        assert_eq!(within("999:999"), Some((999, 999)));
        assert_eq!(within("512:5000"), Some((512, 999)));
        assert_eq!(within("-24:*"), Some((976, 999)));
        assert_eq!(within("-5000:9"), Some((0, 9)));
        assert_eq!(within("499:-100"), Some((499, 900)));
        assert_eq!(within("-2:-1"), Some((998, 999)));
        for outside in ["1000:*", "5000:6000", "-3000:-2000", "900:-200", "-5000:-1001"] {
            assert_eq!(within(outside), None, "{outside}");
        }
        assert_eq!("0:*".parse::<ByteSpan>().expect("a span").within(0), None);
        assert_eq!(
            "-9223372036854775808:-9223372036854775808".parse::<ByteSpan>().expect("a span").within(9),
            None
        );
    }

    #[test]
    fn what_is_no_span_is_told() {
        for text in ["", ":", "1", "1:", ":1", "*:1", "a:b", "0-9", "1:2:3", "9223372036854775808:*", "1 :2"]
        {
            assert!(matches!(text.parse::<ByteSpan>(), Err(SpanError::Malformed(_))), "{text}");
        }
        for text in ["2:1", "-1:-2"] {
            assert!(matches!(text.parse::<ByteSpan>(), Err(SpanError::Reversed(_))), "{text}");
        }
        for text in ["0:*", "-1024:*", "499:-1000"] {
            assert_eq!(text.parse::<ByteSpan>().expect("a span").to_string(), text);
        }
    }
}
