//! Bodies that are read from disk while they are sent, one chunk ahead of the socket.
//!
//! A reader that takes nothing makes nothing be read: an answer holds the chunk that is being sent and the next one.
//! An error ends the connection without the end of the answer, so that it is seen as cut off.

use axum::body::Bytes;
use futures_util::Stream;
use std::io;
use std::pin::Pin;
use std::sync::{Arc, Mutex, PoisonError};
use std::task::{Context, Poll, ready};
use tokio::task::JoinHandle;

/// What makes the bytes of an answer.
pub trait Chunks: Send + 'static {
    /// The next bytes, not none; `None` at the end. May wait for the disk.
    fn next(&mut self) -> io::Result<Option<Bytes>>;

    /// The same where it is known not to wait; `None` where that is not known.
    fn next_at_hand(&mut self) -> Option<io::Result<Option<Bytes>>> {
        None
    }
}

impl Chunks for Box<dyn Chunks> {
    fn next(&mut self) -> io::Result<Option<Bytes>> {
        (**self).next()
    }

    fn next_at_hand(&mut self) -> Option<io::Result<Option<Bytes>>> {
        (**self).next_at_hand()
    }
}

/// A body under way.
pub struct Ahead<C> {
    at: At<C>,
}

enum At<C> {
    /// A chunk that was read before the answer began, and what comes after it.
    First(Bytes, C),
    Idle(C),
    Reading(JoinHandle<(C, io::Result<Option<Bytes>>)>),
    Ended,
}

impl<C: Chunks> Ahead<C> {
    /// Reads the first chunk, so that what fails at once can still be told with a status.
    ///
    /// # Errors
    /// Those of the chunks.
    pub async fn start(mut chunks: C) -> io::Result<Self> {
        let first = match chunks.next_at_hand() {
            Some(first) => first?,
            None => {
                let (back, first) = read(chunks).await.map_err(io::Error::other)?;
                chunks = back;
                first?
            }
        };
        Ok(Self { at: first.map_or(At::Ended, |first| At::First(first, chunks)) })
    }

    /// What is to be done after a chunk.
    fn go_on(&mut self, chunks: C, read: io::Result<Option<Bytes>>) -> Option<io::Result<Bytes>> {
        match read {
            Ok(Some(bytes)) => {
                self.at = At::Idle(chunks);
                Some(Ok(bytes))
            }
            Ok(None) => None,
            Err(error) => {
                tracing::warn!(%error, "an answer was broken off");
                Some(Err(error))
            }
        }
    }
}

fn read<C: Chunks>(mut chunks: C) -> JoinHandle<(C, io::Result<Option<Bytes>>)> {
    tokio::task::spawn_blocking(move || {
        let next = chunks.next();
        (chunks, next)
    })
}

impl<C: Chunks + Unpin> Stream for Ahead<C> {
    type Item = io::Result<Bytes>;

    fn poll_next(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Option<io::Result<Bytes>>> {
        loop {
            match std::mem::replace(&mut self.at, At::Ended) {
                At::Ended => return Poll::Ready(None),
                At::First(bytes, chunks) => {
                    self.at = At::Idle(chunks);
                    return Poll::Ready(Some(Ok(bytes)));
                }
                At::Idle(mut chunks) => match chunks.next_at_hand() {
                    Some(next) => return Poll::Ready(self.go_on(chunks, next)),
                    None => self.at = At::Reading(read(chunks)),
                },
                At::Reading(mut reading) => {
                    let polled = Pin::new(&mut reading).poll(context);
                    if polled.is_pending() {
                        self.at = At::Reading(reading);
                    }
                    let (chunks, next) = match ready!(polled) {
                        Ok(read) => read,
                        Err(error) => return Poll::Ready(Some(Err(io::Error::other(error)))),
                    };
                    let item = self.go_on(chunks, next);
                    self.read_on();
                    return Poll::Ready(item);
                }
            }
        }
    }
}

impl<C: Chunks> Ahead<C> {
    /// While the socket takes one chunk, the next one is read: who had to wait for this one will for the next.
    fn read_on(&mut self) {
        match std::mem::replace(&mut self.at, At::Ended) {
            At::Idle(chunks) => self.at = At::Reading(read(chunks)),
            other => self.at = other,
        }
    }
}

/// Small parts put together to chunks worth a change of threads.
pub struct Gathered<I> {
    parts: I,
    failed: Option<io::Error>,
}

/// Bytes from which on a chunk is sent.
const GATHERED_BYTES: usize = 256 << 10;

impl<I> Gathered<I> {
    /// Over parts that are not longer than a block.
    pub const fn new(parts: I) -> Self {
        Self { parts, failed: None }
    }
}

impl<I: Iterator<Item = io::Result<Vec<u8>>> + Send + 'static> Chunks for Gathered<I> {
    fn next(&mut self) -> io::Result<Option<Bytes>> {
        if let Some(error) = self.failed.take() {
            return Err(error);
        }
        let mut chunk = Vec::new();
        while chunk.len() < GATHERED_BYTES {
            match self.parts.next() {
                None => break,
                Some(Ok(part)) if chunk.is_empty() => chunk = part,
                Some(Ok(part)) => chunk.extend_from_slice(&part),
                Some(Err(error)) if chunk.is_empty() => return Err(error),
                Some(Err(error)) => {
                    // What is right is sent first.
                    self.failed = Some(error);
                    break;
                }
            }
        }
        Ok((!chunk.is_empty()).then(|| chunk.into()))
    }
}

/// Buffers that are used again and again: a new one of this size would be given by the system, page by page, zeroed.
#[derive(Debug)]
pub struct Buffers {
    bytes: usize,
    kept: usize,
    free: Mutex<Vec<Vec<u8>>>,
}

struct Filled {
    buffer: Vec<u8>,
    length: usize,
    home: Arc<Buffers>,
}

impl Buffers {
    /// Of so many bytes each; at most `kept` wait to be used again.
    #[must_use]
    pub fn new(bytes: usize, kept: usize) -> Arc<Self> {
        Arc::new(Self { bytes, kept, free: Mutex::default() })
    }

    /// Fills one by `fill`, which says how many bytes it wrote.
    ///
    /// # Errors
    /// Those of `fill`.
    pub fn filled(self: &Arc<Self>, fill: impl FnOnce(&mut [u8]) -> io::Result<usize>) -> io::Result<Bytes> {
        let free = self.free.lock().unwrap_or_else(PoisonError::into_inner).pop();
        let mut filled =
            Filled { buffer: free.unwrap_or_else(|| vec![0; self.bytes]), length: 0, home: Arc::clone(self) };
        filled.length = fill(&mut filled.buffer)?.min(self.bytes);
        Ok(Bytes::from_owner(filled))
    }
}

impl AsRef<[u8]> for Filled {
    fn as_ref(&self) -> &[u8] {
        self.buffer.get(..self.length).unwrap_or_default()
    }
}

impl Drop for Filled {
    fn drop(&mut self) {
        let mut free = self.home.free.lock().unwrap_or_else(PoisonError::into_inner);
        if free.len() < self.home.kept {
            free.push(std::mem::take(&mut self.buffer));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use futures_util::StreamExt;

    /// Counts up to a number and then fails.
    struct Numbers(u8, u8);

    impl Chunks for Numbers {
        fn next(&mut self) -> io::Result<Option<Bytes>> {
            self.0 += 1;
            if self.0 > self.1 { Err(io::Error::other("no more")) } else { Ok(Some(vec![self.0].into())) }
        }
    }

    #[tokio::test]
    async fn what_fails_at_once_is_told_before_the_answer_and_what_fails_later_ends_it() {
        assert!(Ahead::start(Numbers(0, 0)).await.is_err());
        let sent: Vec<_> = Ahead::start(Numbers(0, 3)).await.expect("a start").collect().await;
        let right: Vec<u8> = sent.iter().flatten().flat_map(|bytes| bytes.to_vec()).collect();
        assert_eq!((right, sent.len()), (vec![1, 2, 3], 4));
        assert!(sent.last().is_some_and(Result::is_err));
    }

    #[tokio::test]
    async fn small_parts_are_gathered_and_what_is_right_goes_before_an_error() {
        let parts = std::iter::repeat_with(|| Ok(vec![7; 100_000])).take(4);
        let parts = parts.chain([Err(io::Error::other("rot"))]);
        let sent: Vec<_> = Ahead::start(Gathered::new(parts)).await.expect("a start").collect().await;
        let lengths: Vec<_> = sent.iter().map(|chunk| chunk.as_ref().ok().map(Bytes::len)).collect();
        assert_eq!(lengths, [Some(300_000), Some(100_000), None]);
    }

    #[test]
    fn buffers_come_back_and_only_so_many_are_kept() {
        let buffers = Buffers::new(10, 1);
        let two: Vec<_> = (1..3)
            .map(|n| {
                buffers
                    .filled(|to| {
                        to.fill(n);
                        Ok(4)
                    })
                    .expect("filled")
            })
            .collect();
        assert_eq!((&two[0][..], &two[1][..]), (&[1; 4][..], &[2; 4][..]));
        drop(two);
        assert_eq!(buffers.free.lock().expect("free").len(), 1);
        assert!(buffers.filled(|_| Err(io::Error::other("rot"))).is_err());
        assert_eq!(buffers.free.lock().expect("free").len(), 1);
    }
}
