//! Names of directory entries.

/// A name that cannot be one entry of a directory on disk.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{name:?} cannot be a directory entry: {reason}")]
pub struct NameError {
    name: String,
    reason: &'static str,
}

impl NameError {
    pub(crate) fn too_deep(path: &str) -> Self {
        Self { name: path.to_owned(), reason: "it has more than 128 parts" }
    }
}

/// Checks that a name stays inside its directory.
///
/// # Errors
/// [`NameError`] for the empty name, `.`, `..`, and names with a slash or a zero byte.
pub fn check_name(name: &str) -> Result<(), NameError> {
    let reason = match name {
        "" => "it is empty",
        "." | ".." => "it names a directory on the way",
        _ if name.contains('/') => "it contains a slash",
        _ if name.contains('\0') => "it contains a zero byte",
        _ => return Ok(()),
    };
    Err(NameError { name: name.to_owned(), reason })
}
