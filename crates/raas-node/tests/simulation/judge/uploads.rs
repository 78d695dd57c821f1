//! An upload is there or it is not: after a process has died in one, and its successor has put things in order, either
//! the job is stored and its bytes are on the disk, or nothing of it is left (A12).

use std::collections::BTreeSet;

/// What can be seen of uploads from outside, as pieces.
#[derive(Clone, Debug, Default)]
pub struct Disk {
    /// Uploads that were answered with success, with a job, and without one.
    pub with_job: BTreeSet<String>,
    pub without_job: BTreeSet<String>,
    /// Uploads whose job the node lists, and every piece that its store knows.
    pub jobs: BTreeSet<String>,
    pub known: BTreeSet<String>,
    /// Whole pieces on the disk, and how many other files there are.
    pub files: BTreeSet<String>,
    pub litter: usize,
    /// Pieces whose local copy was deleted since.
    pub evicted: BTreeSet<String>,
}

impl Disk {
    /// Whether everything is there or nothing.
    pub fn check(&self) -> Result<(), String> {
        let owned: BTreeSet<&String> = self.without_job.iter().chain(&self.jobs).collect();
        if let Some(orphan) = self.files.iter().find(|piece| !owned.contains(piece)) {
            return Err(format!("A12: the bytes of {orphan} are on the disk and nobody's"));
        }
        if self.litter > 0 {
            return Err(format!("A12: {} files of unfinished uploads are on the disk", self.litter));
        }
        if let Some(half) = self.known.iter().find(|piece| !owned.contains(piece)) {
            return Err(format!("A12: the store knows {half}, which nobody keeps"));
        }
        if let Some(lost) = self.with_job.iter().find(|piece| !self.jobs.contains(*piece)) {
            return Err(format!("A12: the upload of {lost} was answered and has no job"));
        }
        let here = |piece: &&&String| self.files.contains(**piece) || self.evicted.contains(**piece);
        match owned.iter().find(|piece| !here(piece)) {
            Some(empty) => Err(format!("A12: {empty} is registered without bytes")),
            None => Ok(()),
        }
    }
}
