//! How a command fails, and what its exit code says.

use crate::causes::chain;

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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_kind_has_its_status() {
        let error = std::io::Error::other("no such thing");
        assert_eq!(Failure::from(error).explain(), (1, "no such thing".to_owned()));
        assert_eq!(Failure::Usage("x".to_owned()).explain().0, 2);
        assert_eq!(Failure::Unreachable("x".to_owned()).explain().0, 3);
    }
}
