//! CommP on several threads: parts of the payload are independent subtrees.

use std::collections::BTreeMap;
use std::io::{self, Read};
use std::num::NonZero;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::mpsc::{Receiver, SyncSender, channel, sync_channel};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread::{self, JoinHandle};

use super::hasher::{Hasher, HeadError, Subtree};
use crate::commp::PieceInfo;
use crate::sha::{Path, UNIT_PAYLOAD};
use crate::size::SizeError;

/// Payload of one part: 512 units, 1 MiB padded.
const PART_BYTES: usize = 512 * UNIT_PAYLOAD;
/// Parts under way or waiting, for each thread.
const PARTS_PER_THREAD: usize = 2;

/// A running CommP computation whose hashing is done by several threads. Memory: 3 MiB per thread.
#[derive(Debug)]
pub struct ParallelHasher {
    hasher: Hasher,
    path: Path,
    crew: Option<Crew>,
    part: Vec<u8>,
    payload_bytes: u64,
}

impl ParallelHasher {
    /// An empty payload. With one thread the caller's own does all.
    #[must_use]
    pub fn new(threads: NonZero<usize>) -> Self {
        Self::on(Path::best(), threads)
    }

    /// The same, hashed in a chosen way.
    #[must_use]
    pub fn on(path: Path, threads: NonZero<usize>) -> Self {
        let mut hasher =
            Self { hasher: Hasher::on(path), path, crew: None, part: Vec::new(), payload_bytes: 0 };
        hasher.set_threads(threads);
        hasher
    }

    /// Chooses how many threads hash. Has no effect once more than a mebibyte was taken.
    pub fn set_threads(&mut self, threads: NonZero<usize>) {
        if self.payload_bytes <= PART_BYTES as u64 {
            self.crew = (threads.get() > 1).then(|| Crew::new(self.path, threads.get()));
        }
    }

    /// Payload bytes taken so far.
    #[must_use]
    pub const fn payload_bytes(&self) -> u64 {
        self.payload_bytes
    }

    /// Takes more payload, in parts of any length.
    pub fn update(&mut self, mut bytes: &[u8]) {
        self.payload_bytes += bytes.len() as u64;
        let Some(crew) = &mut self.crew else { return self.hasher.update(bytes) };
        // The first part has the head, which the hasher keeps to itself.
        let first = usize::try_from(self.hasher.payload_bytes()).unwrap_or(PART_BYTES);
        if first < PART_BYTES {
            let (now, later) = bytes.split_at(bytes.len().min(PART_BYTES - first));
            self.hasher.update(now);
            bytes = later;
        }
        while !bytes.is_empty() {
            if self.part.capacity() == 0 {
                self.part = crew.buffer();
            }
            let (now, later) = bytes.split_at(bytes.len().min(PART_BYTES - self.part.len()));
            self.part.extend_from_slice(now);
            bytes = later;
            if self.part.len() == PART_BYTES {
                crew.hash(std::mem::take(&mut self.part), &mut self.hasher);
            }
        }
    }

    /// Replaces bytes at the start of the payload; see [`Hasher::rewrite_head`].
    ///
    /// # Errors
    /// [`HeadError`] when the range is not within the head, or not written yet.
    pub fn rewrite_head(&mut self, offset: usize, bytes: &[u8]) -> Result<(), HeadError> {
        self.hasher.rewrite_head(offset, bytes)
    }

    /// Waits for what is under way and lets the threads go: nothing more comes for a while, or ever.
    pub fn rest(&mut self) {
        if let Some(crew) = self.crew.take() {
            crew.finish(&mut self.hasher);
        }
        self.hasher.update(&std::mem::take(&mut self.part));
    }

    /// Pads with zeros and gives the piece.
    ///
    /// # Errors
    /// [`SizeError::PayloadTooLarge`] past the 64-bit sizes; no real stream gets there.
    pub fn finish(mut self) -> Result<PieceInfo, SizeError> {
        self.rest();
        self.hasher.finish()
    }
}

type Part = (usize, Vec<u8>);
type Done = (usize, Subtree, Vec<u8>);

/// The threads, and what they have under way.
#[derive(Debug)]
struct Crew {
    parts: SyncSender<Part>,
    done: Receiver<Done>,
    threads: Vec<JoinHandle<()>>,
    sent: usize,
    taken: usize,
    early: BTreeMap<usize, Subtree>,
    spare: Vec<Vec<u8>>,
}

impl Crew {
    fn new(path: Path, count: usize) -> Self {
        let (parts, queue) = sync_channel::<Part>(count * PARTS_PER_THREAD);
        let (sender, done) = channel();
        let queue = Arc::new(Mutex::new(queue));
        let work = || {
            let (queue, sender) = (Arc::clone(&queue), sender.clone());
            move || loop {
                let part = queue.lock().unwrap_or_else(PoisonError::into_inner).recv();
                let Ok((number, payload)) = part else { break };
                let subtree = Subtree::of(path, &payload);
                if sender.send((number, subtree, payload)).is_err() {
                    break;
                }
            }
        };
        let threads = (0..count).map(|_| thread::spawn(work())).collect();
        let (early, spare) = (BTreeMap::new(), Vec::new());
        Self { parts, done, threads, sent: 0, taken: 0, early, spare }
    }

    fn buffer(&mut self) -> Vec<u8> {
        self.spare.pop().unwrap_or_else(|| Vec::with_capacity(PART_BYTES))
    }

    fn hash(&mut self, part: Vec<u8>, hasher: &mut Hasher) {
        while self.sent - self.taken >= self.threads.len() * PARTS_PER_THREAD {
            self.take(hasher);
        }
        self.parts.send((self.sent, part)).expect("the threads wait for parts until the crew is gone");
        self.sent += 1;
    }

    /// Waits for one more subtree, and gives the hasher all that are next in order.
    fn take(&mut self, hasher: &mut Hasher) {
        let (number, subtree, mut part) = self.done.recv().expect("a thread answers every part");
        part.clear();
        self.spare.push(part);
        self.early.insert(number, subtree);
        while let Some(next) = self.early.remove(&self.taken) {
            hasher.subtree(next);
            self.taken += 1;
        }
    }

    fn finish(mut self, hasher: &mut Hasher) {
        while self.taken < self.sent {
            self.take(hasher);
        }
        drop(self.parts);
        for thread in self.threads {
            thread.join().expect("hashing does not panic");
        }
    }
}

/// CommP of bytes at hand, on several threads and without a copy.
///
/// # Errors
/// [`SizeError::PayloadTooLarge`] past the 64-bit sizes; no slice gets there.
pub fn of_slice(path: Path, payload: &[u8], threads: NonZero<usize>) -> Result<PieceInfo, SizeError> {
    let mut hasher = Hasher::on(path);
    let (first, rest) = payload.split_at(payload.len().min(PART_BYTES));
    hasher.update(first);
    let (parts, last) = rest.as_chunks::<PART_BYTES>();
    if threads.get() == 1 {
        hasher.update(rest);
        return hasher.finish();
    }
    let next = AtomicUsize::new(0);
    let work = || {
        let numbers = std::iter::repeat_with(|| next.fetch_add(1, Ordering::Relaxed));
        numbers
            .map_while(|number| Some((number, parts.get(number)?)))
            .map(|(number, part)| (number, Subtree::of(path, part)))
            .collect::<Vec<_>>()
    };
    let mut done: Vec<_> = thread::scope(|scope| {
        let threads: Vec<_> = (1..threads.get()).map(|_| scope.spawn(work)).collect();
        let mut done = work();
        done.extend(threads.into_iter().flat_map(|thread| thread.join().expect("hashing does not panic")));
        done
    });
    done.sort_unstable_by_key(|&(number, _)| number);
    done.into_iter().for_each(|(_, subtree)| hasher.subtree(subtree));
    hasher.update(last);
    hasher.finish()
}

/// CommP of everything a reader gives, in flat memory.
///
/// # Errors
/// The reader's own error; `InvalidData` past the 64-bit sizes.
pub fn of_reader(reader: impl Read) -> io::Result<PieceInfo> {
    of_reader_on(reader, NonZero::<usize>::MIN)
}

/// The same on several threads.
///
/// # Errors
/// As [`of_reader`].
pub fn of_reader_on(mut reader: impl Read, threads: NonZero<usize>) -> io::Result<PieceInfo> {
    let mut hasher = ParallelHasher::new(threads);
    let mut buffer = vec![0u8; 256 * 1024];
    loop {
        match reader.read(&mut buffer) {
            Ok(0) => return hasher.finish().map_err(|e| io::Error::new(io::ErrorKind::InvalidData, e)),
            Ok(n) => hasher.update(&buffer[..n]),
            Err(e) if e.kind() == io::ErrorKind::Interrupted => {}
            Err(e) => return Err(e),
        }
    }
}
