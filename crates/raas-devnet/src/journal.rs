//! Commands on disk: what makes a devnet the same devnet after a restart.
//!
//! One file of lines. The first holds format, version and the configuration that shapes history; every other one
//! a [`Command`] with a checksum. A line that was being written when the process died is cut off at the next
//! start; damage anywhere else is an error, never skipped. Lines are written before a command is answered. They
//! are not synced: they survive the death of the process, not of the machine.

use crate::{Config, world::Command};
use serde::{Deserialize, Serialize};
use serde_json::Value;
use sha2::{Digest, Sha256};
use std::{
    fs::{File, OpenOptions},
    io::{self, Read as _, Write as _},
    path::{Path, PathBuf},
};

/// The file's name in the data directory.
const FILE: &str = "journal.jsonl";
const FORMAT: &str = "raas-devnet-journal";
const VERSION: u32 = 1;

/// Why a journal cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum JournalError {
    /// The file cannot be read or written.
    #[error("journal {path}: {source}")]
    Io {
        /// Which file.
        path: PathBuf,
        /// What the system said.
        source: io::Error,
    },
    /// The first line is not that of a journal.
    #[error("journal {0} does not begin as a journal of a devnet does: use another data_dir")]
    Format(PathBuf),
    /// Written by another version of the format.
    #[error("journal {path} has version {found}, this program reads {VERSION}: use another data_dir")]
    Version {
        /// Which file.
        path: PathBuf,
        /// The version found.
        found: u32,
    },
    /// The journal belongs to a devnet made otherwise.
    #[error(
        "{field} differs from that of the devnet journaled in data_dir: use the same value or another data_dir"
    )]
    Config {
        /// The first field that differs.
        field: String,
    },
    /// A line that is not the last does not read.
    #[error("journal {path} is damaged at line {line}")]
    Damaged {
        /// Which file.
        path: PathBuf,
        /// Counted from 1.
        line: usize,
    },
    /// A whole line with a command in a form that is no more.
    #[error(
        "journal {path} has a command at line {line} that this program does not know: use another data_dir"
    )]
    Command {
        /// Which file.
        path: PathBuf,
        /// Counted from 1.
        line: usize,
    },
}

#[derive(Serialize, Deserialize)]
struct Header {
    format: String,
    version: u32,
    config: Config,
}

/// An open journal.
#[derive(Debug)]
pub struct Journal {
    file: File,
    path: PathBuf,
}

/// What a journal held.
#[derive(Debug)]
pub struct Replay {
    /// The configuration to build the world with: stored history, given run-time settings.
    pub config: Config,
    /// Everything that was applied, in order.
    pub commands: Vec<Command>,
}

impl Journal {
    /// Opens the journal in `dir`, making both if they are not there.
    pub fn open(dir: &Path, config: &Config) -> Result<(Self, Replay), JournalError> {
        let path = dir.join(FILE);
        let io = |source| JournalError::Io { path: path.clone(), source };
        std::fs::create_dir_all(dir).map_err(io)?;
        let mut file = OpenOptions::new().read(true).append(true).create(true).open(&path).map_err(io)?;
        let mut text = Vec::new();
        file.read_to_end(&mut text).map_err(io)?;
        let whole = text.iter().rposition(|byte| *byte == b'\n').map_or(0, |end| end + 1);
        if whole == 0 {
            file.set_len(0).map_err(io)?;
            let mut journal = Self { file, path };
            let header = Header { format: FORMAT.to_owned(), version: VERSION, config: history(config) };
            journal.write(&serde_json::to_string(&header).expect("a configuration is plain data"))?;
            return Ok((journal, Replay { config: config.clone(), commands: Vec::new() }));
        }
        let mut good = 0;
        let mut lines = text.get(..whole).unwrap_or_default().split_inclusive(|byte| *byte == b'\n');
        let first = lines.next().unwrap_or_default();
        let config = read_header(&path, first, config)?;
        good += first.len();
        let rest: Vec<&[u8]> = lines.collect();
        let mut commands = Vec::with_capacity(rest.len());
        for (index, line) in rest.iter().enumerate() {
            match read_line(line) {
                Some(json) => match serde_json::from_str(json) {
                    Ok(command) => commands.push(command),
                    Err(_) => return Err(JournalError::Command { path, line: index + 2 }),
                },
                None if index + 1 == rest.len() => break,
                None => return Err(JournalError::Damaged { path, line: index + 2 }),
            }
            good += line.len();
        }
        file.set_len(good as u64).map_err(io)?;
        Ok((Self { file, path }, Replay { config, commands }))
    }

    /// Whether a devnet has been journaled in `dir`.
    #[must_use]
    pub fn exists(dir: &Path) -> bool {
        std::fs::metadata(dir.join(FILE)).is_ok_and(|file| file.len() > 0)
    }

    /// Appends one command.
    pub fn append(&mut self, command: &Command) -> Result<(), JournalError> {
        let json = serde_json::to_string(command).expect("commands are plain data");
        self.write(&format!("{} {json}", checksum(json.as_bytes())))
    }

    fn write(&mut self, line: &str) -> Result<(), JournalError> {
        let io = |source| JournalError::Io { path: self.path.clone(), source };
        self.file.write_all(format!("{line}\n").as_bytes()).map_err(io)
    }
}

/// The parts of a configuration that shape history.
fn history(config: &Config) -> Config {
    Config {
        epoch_ms: 0,
        port: 0,
        data_dir: None,
        genesis_unix: Some(config.genesis_unix()),
        ..config.clone()
    }
}

fn read_header(path: &Path, line: &[u8], given: &Config) -> Result<Config, JournalError> {
    let no_journal = || JournalError::Format(path.to_owned());
    let header: Value = serde_json::from_slice(line).map_err(|_| no_journal())?;
    if header.get("format").and_then(Value::as_str) != Some(FORMAT) {
        return Err(no_journal());
    }
    let version = header.get("version").and_then(Value::as_u64).and_then(|found| u32::try_from(found).ok());
    match version {
        Some(VERSION) => {}
        Some(found) => return Err(JournalError::Version { path: path.to_owned(), found }),
        None => return Err(no_journal()),
    }
    let header: Header = serde_json::from_value(header).map_err(|_| no_journal())?;
    let stored = header.config;
    let mut wanted = history(given);
    if given.genesis_unix.is_none() {
        wanted.genesis_unix = stored.genesis_unix;
    }
    if let Some(field) = first_difference(&stored, &wanted) {
        return Err(JournalError::Config { field });
    }
    Ok(Config { epoch_ms: given.epoch_ms, port: given.port, data_dir: given.data_dir.clone(), ..stored })
}

fn first_difference(stored: &Config, wanted: &Config) -> Option<String> {
    let fields = |config: &Config| serde_json::to_value(config).expect("a configuration is plain data");
    let (stored, wanted) = (fields(stored), fields(wanted));
    let stored = stored.as_object()?;
    stored.iter().find(|(name, value)| wanted.get(*name) != Some(*value)).map(|(name, _)| name.clone())
}

/// The command's text, if the line is whole.
fn read_line(line: &[u8]) -> Option<&str> {
    let line = std::str::from_utf8(line).ok()?.strip_suffix('\n')?;
    let (sum, json) = line.split_once(' ')?;
    (checksum(json.as_bytes()) == sum).then_some(json)
}

fn checksum(bytes: &[u8]) -> String {
    hex::encode(Sha256::digest(bytes).first_chunk::<4>().expect("32 bytes begin with 4"))
}
