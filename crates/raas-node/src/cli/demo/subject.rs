//! What the demo stores: the path it is given, else a real file that is there anyway.

use crate::cli::failure::Failure;
use raas_piece::unixfs::stays_inside;
use std::path::{Path, PathBuf};

/// Files of the repository that are worth keeping, best first.
const CANDIDATES: &[&str] = &["docs/ARCHITECTURE.md", "README.md", "Cargo.lock"];

/// The given path; else a file of the repository that is found from here upwards or from where Cargo runs; else
/// this very program.
pub fn choose(given: Option<&Path>) -> Result<PathBuf, Failure> {
    if let Some(path) = given {
        let there =
            path.metadata().map_err(|error| Failure::Usage(format!("{}: {error}", path.display())))?;
        if there.is_file() && there.len() == 0 {
            return Err(Failure::Usage(format!("{} is empty; there is nothing to keep", path.display())));
        }
        if there.is_dir() && !has_bytes(path)? {
            return Err(Failure::Usage(format!(
                "{} holds no file with anything in it; there is nothing to keep",
                path.display()
            )));
        }
        if let Some(link) = link_outside(path, 0)? {
            return Err(Failure::Usage(format!(
                "{} is a symbolic link that leads out of what is stored; `raas get` would leave it out",
                link.display()
            )));
        }
        return Ok(path.to_owned());
    }
    let starts = [std::env::var_os("CARGO_MANIFEST_DIR").map(PathBuf::from), std::env::current_dir().ok()];
    for start in starts.iter().flatten() {
        if let Some(found) = upwards(start) {
            return Ok(found);
        }
    }
    Ok(std::env::current_exe()?)
}

/// Whether any file below `path` is not empty.
fn has_bytes(path: &Path) -> std::io::Result<bool> {
    for entry in std::fs::read_dir(path)? {
        let entry = entry?;
        let meta = entry.metadata()?;
        if (meta.is_file() && meta.len() > 0) || (meta.is_dir() && has_bytes(&entry.path())?) {
            return Ok(true);
        }
    }
    Ok(false)
}

/// The first link below `path` that an extraction would leave out.
fn link_outside(path: &Path, depth: usize) -> std::io::Result<Option<PathBuf>> {
    if !path.is_dir() {
        return Ok(None);
    }
    for entry in std::fs::read_dir(path)? {
        let entry = entry?;
        let kind = entry.file_type()?;
        if kind.is_symlink() {
            let to = std::fs::read_link(entry.path())?;
            if !stays_inside(&to.to_string_lossy(), depth + 1) {
                return Ok(Some(entry.path()));
            }
        } else if kind.is_dir()
            && let Some(found) = link_outside(&entry.path(), depth + 1)?
        {
            return Ok(Some(found));
        }
    }
    Ok(None)
}

/// Only inside this project: a stranger's README is not ours to show.
fn upwards(start: &Path) -> Option<PathBuf> {
    let root = start.ancestors().find(|folder| folder.join("crates").join("raas-node").is_dir())?;
    CANDIDATES.iter().map(|name| root.join(name)).find(|path| path.is_file())
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::fs;

    #[test]
    fn the_best_candidate_of_the_project_is_found_from_below() {
        let folder = tempfile::tempdir().expect("a folder");
        let below = folder.path().join("crates").join("raas-node").join("src");
        fs::create_dir_all(&below).expect("a folder");
        assert_eq!(upwards(&below), None);
        fs::write(folder.path().join("README.md"), "x").expect("a file");
        assert_eq!(upwards(&below), Some(folder.path().join("README.md")));
        let none = folder.path().join("none");
        assert!(matches!(choose(Some(&none)), Err(Failure::Usage(text)) if text.contains("none")));
        assert!(choose(Some(folder.path())).is_ok());
        std::os::unix::fs::symlink("../../..", below.join("fine")).expect("a link");
        assert!(choose(Some(folder.path())).is_ok());
        std::os::unix::fs::symlink("/etc", below.join("out")).expect("a link");
        assert!(matches!(choose(Some(folder.path())), Err(Failure::Usage(text)) if text.contains("out")));
    }
}
