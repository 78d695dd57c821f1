//! How a command fails, and what its exit code says.

use std::error::Error;

/// A failed command.
#[derive(Debug)]
pub enum Failure {
    /// Exit code 1.
    Failed(anyhow::Error),
    /// Exit code 2.
    Usage(String),
    /// Exit code 3.
    Unreachable(String),
}

impl Failure {
    /// Exit code 1 with these words.
    pub fn failed(text: impl Into<String>) -> Self {
        Self::Failed(anyhow::anyhow!(text.into()))
    }

    /// Exit code and text, every cause in one line.
    #[must_use]
    pub fn explain(&self) -> (u8, String) {
        match self {
            Self::Failed(error) => (1, chain(error.as_ref())),
            Self::Usage(text) => (2, text.clone()),
            Self::Unreachable(text) => (3, text.clone()),
        }
    }
}

impl<E: Into<anyhow::Error>> From<E> for Failure {
    fn from(error: E) -> Self {
        Self::Failed(error.into())
    }
}

/// An error with all its causes in one line. A cause that an outer text already quotes is not said twice.
#[must_use]
pub fn chain(error: &(dyn Error + 'static)) -> String {
    let mut text = error.to_string();
    let mut cause = error.source();
    while let Some(error) = cause {
        let words = error.to_string();
        if !text.contains(&words) {
            text.push_str(": ");
            text.push_str(&words);
        }
        cause = error.source();
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[derive(Debug, thiserror::Error)]
    #[error("outer")]
    struct Outer(#[source] Middle);

    #[derive(Debug, thiserror::Error)]
    #[error("middle ({0})")]
    struct Middle(#[source] std::io::Error);

    #[test]
    fn every_cause_is_said_once() {
        let error = Outer(Middle(std::io::Error::other("no such thing")));
        assert_eq!(chain(&error), "outer: middle (no such thing)");
        assert_eq!(Failure::from(error).explain(), (1, "outer: middle (no such thing)".to_owned()));
        assert_eq!(Failure::Usage("x".to_owned()).explain().0, 2);
        assert_eq!(Failure::Unreachable("x".to_owned()).explain().0, 3);
    }
}
