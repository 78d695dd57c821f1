//! A file being written, in staging.

use super::room::Room;
use std::fs::File;
use std::io::{self, Read, Seek, SeekFrom, Write};
use std::path::Path;

/// A file being written; it disappears unless it is kept.
#[derive(Debug)]
pub struct Staged {
    file: tempfile::NamedTempFile,
    room: Room,
    /// Bytes to write before the room is looked at again.
    before_next_look: u64,
}

impl Staged {
    pub(super) fn new(room: &Room) -> io::Result<Self> {
        room.check()?;
        let file = tempfile::NamedTempFile::new_in(room.folder())?;
        Ok(Self { file, room: room.clone(), before_next_look: Room::LOOK_EVERY })
    }

    /// Another way to read it, whose position is nobody else's when it is read by offsets.
    ///
    /// # Errors
    /// The system's own.
    pub fn reader(&self) -> io::Result<File> {
        self.file.as_file().try_clone()
    }

    /// Makes the bytes last.
    pub(super) fn sync(&self) -> io::Result<()> {
        self.file.as_file().sync_all()
    }

    /// Gives it its name for ever.
    pub(super) fn persist(self, path: &Path) -> io::Result<File> {
        self.file.persist(path).map_err(|error| error.error)
    }
}

impl Read for Staged {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        self.file.as_file_mut().read(buffer)
    }
}

impl Write for Staged {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        if self.before_next_look == 0 {
            self.room.check()?;
            self.before_next_look = Room::LOOK_EVERY;
        }
        let most = usize::try_from(self.before_next_look).unwrap_or(usize::MAX).min(bytes.len());
        let written = self.file.as_file_mut().write(bytes.get(..most).unwrap_or(bytes))?;
        self.before_next_look = self.before_next_look.saturating_sub(written as u64);
        Ok(written)
    }

    fn flush(&mut self) -> io::Result<()> {
        self.file.as_file_mut().flush()
    }
}

impl Seek for Staged {
    fn seek(&mut self, to: SeekFrom) -> io::Result<u64> {
        self.file.as_file_mut().seek(to)
    }
}
