//! One hash over a file, or over names and bytes of a directory: whether two of them are the same.

use sha2::{Digest, Sha256};
use std::fs::{self, File};
use std::io;
use std::path::Path;

/// sha2-256 as hex: of a file its bytes; of a directory every name, kind and content in order. Names that begin
/// with a dot are left out, as packing leaves them out.
pub fn digest(path: &Path) -> io::Result<String> {
    let mut hasher = Sha256::new();
    if fs::metadata(path)?.is_dir() {
        directory(path, &mut hasher)?;
    } else {
        io::copy(&mut File::open(path)?, &mut hasher)?;
    }
    Ok(hex::encode(hasher.finalize()))
}

fn directory(path: &Path, hasher: &mut Sha256) -> io::Result<()> {
    let mut names: Vec<_> =
        fs::read_dir(path)?.map(|entry| entry.map(|entry| entry.file_name())).collect::<io::Result<_>>()?;
    names.sort();
    for name in names.into_iter().filter(|name| !name.as_encoded_bytes().starts_with(b".")) {
        let entry = path.join(&name);
        let kind = fs::symlink_metadata(&entry)?.file_type();
        let content = if kind.is_symlink() {
            hex::encode(fs::read_link(&entry)?.as_os_str().as_encoded_bytes())
        } else {
            digest(&entry)?
        };
        let word = if kind.is_symlink() {
            "link"
        } else if kind.is_dir() {
            "directory"
        } else {
            "file"
        };
        hasher.update((name.len() as u64).to_be_bytes());
        hasher.update(name.as_encoded_bytes());
        hasher.update(word.as_bytes());
        hasher.update(content.as_bytes());
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_same_tree_has_the_same_hash_and_a_changed_one_has_not() {
        let folder = tempfile::tempdir().expect("a folder");
        let make = |name: &str, text: &str| {
            let root = folder.path().join(name);
            fs::create_dir_all(root.join("below")).expect("a folder");
            fs::write(root.join("below").join("a"), text).expect("a file");
            fs::write(root.join(".hidden"), name).expect("a file");
            digest(&root).expect("a hash")
        };
        assert_eq!(make("one", "x"), make("two", "x"));
        assert_ne!(make("one", "x"), make("three", "y"));
        let empty = folder.path().join("empty");
        fs::write(&empty, "").expect("a file");
        assert!(digest(&empty).expect("a hash").starts_with("e3b0c44298fc1c14"));
    }
}
