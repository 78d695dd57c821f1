//! The data directory: whether it can be written, how much room there is, who can read the store.

use crate::config::Config;
use crate::node::doctor::looked::{Disk, Unwritable};
use std::io::ErrorKind;
use std::os::unix::fs::MetadataExt as _;
use std::path::Path;

/// Looks at it. Nothing is left there.
pub(super) fn disk(config: &Config) -> Disk {
    let folder = config.data_dir.as_path();
    // What is not there yet is made below the nearest folder that is.
    let existing = folder.ancestors().find(|path| path.is_dir()).unwrap_or(Path::new("."));
    let existing = if existing.as_os_str().is_empty() { Path::new(".") } else { existing };
    let free = rustix::fs::statvfs(existing).map(|room| room.f_bavail.saturating_mul(room.f_frsize));
    let store = folder.join("raas.sqlite");
    let is_open = std::fs::metadata(&store).is_ok_and(|meta| meta.mode() & 0o077 != 0);
    Disk {
        folder: folder.display().to_string(),
        writable: trial(existing).map_err(unwritable),
        remote: remote(existing),
        free: free.map_err(|error| error.to_string()),
        reserve: config.store.reserve_mib << 20,
        open_store: is_open.then(|| store.display().to_string()),
        damaged: damaged(&folder.join("pieces/quarantine")),
    }
}

fn damaged(quarantine: &Path) -> (String, usize) {
    let aside = std::fs::read_dir(quarantine).into_iter().flatten().flatten();
    let count = aside.filter(|entry| entry.path().extension().is_some_and(|of| of == "car")).count();
    (quarantine.display().to_string(), count)
}

fn unwritable(error: std::io::Error) -> Unwritable {
    let why = error.to_string();
    match error.kind() {
        ErrorKind::PermissionDenied => Unwritable::Forbidden(why),
        ErrorKind::ReadOnlyFilesystem => Unwritable::ReadOnly(why),
        ErrorKind::StorageFull | ErrorKind::QuotaExceeded => Unwritable::Full(why),
        _ => Unwritable::Other(why),
    }
}

/// The network file system that `folder` lies on. SQLite's write-ahead log wants memory that all processes share, and its
/// locks are not kept by all of them.
fn remote(folder: &Path) -> Option<&'static str> {
    // The kernel's numbers, `linux/magic.h` and the file systems' own headers.
    const REMOTE: [(u64, &str); 7] = [
        (0x6969, "NFS"),
        (0x517b, "SMB"),
        (0xff53_4d42, "CIFS"),
        (0xfe53_4d42, "SMB2"),
        (0x00c3_6400, "Ceph"),
        (0x5346_414f, "AFS"),
        (0x0102_1997, "9P"),
    ];
    let kind = rustix::fs::statfs(folder).ok()?.f_type;
    let kind = u64::try_from(kind).ok()?;
    REMOTE.iter().find(|(number, _)| *number == kind).map(|(_, name)| *name)
}

/// Rights alone say nothing of a disk that is mounted read-only, or of a superuser.
fn trial(folder: &Path) -> std::io::Result<()> {
    let trial = folder.join(format!(".raas-doctor-{}", std::process::id()));
    std::fs::OpenOptions::new().write(true).create_new(true).open(&trial)?;
    // What is left of it is empty and names itself.
    let _ = std::fs::remove_file(&trial);
    Ok(())
}
