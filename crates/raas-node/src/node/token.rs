//! The token of the routes that move money. The API listens on loopback without keys; whoever may read the node's own
//! files may spend, other users of the machine may not.

use super::key::{KeyFileError, secret, write_private};
use std::path::Path;

/// The token in `path`; made when there is none.
pub(super) fn read_or_make(path: &Path) -> Result<String, KeyFileError> {
    if !path.exists() {
        #[expect(clippy::disallowed_methods, reason = "a new token")]
        let token = rand::random::<[u8; 32]>();
        write_private(path, &format!("{}\n", hex::encode(token)))?;
    }
    secret(path)
}
