//! Connections of readers who do not read. What is written for them waits in the system's buffers and in ours; after a
//! while without progress the connection is cut, so that nobody can hold answers for ever.
//!
//! Progress is [`PROGRESS_BYTES`] taken, or everything that was to be written: a reader who takes a byte now and then is
//! as slow as one who takes none.

use axum::serve::Listener;
use std::io::{self, IoSlice};
use std::net::SocketAddr;
use std::pin::Pin;
use std::task::{Context, Poll};
use std::time::Duration;
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::net::{TcpListener, TcpStream};
use tokio::time::{Instant, Sleep, sleep_until};

/// Bytes that count as progress.
const PROGRESS_BYTES: usize = 64 << 10;

/// A listener whose connections are [`Patient`].
pub struct Patiently {
    listener: TcpListener,
    stall: Duration,
}

impl Patiently {
    /// Connections are cut after `stall` without progress.
    #[must_use]
    pub const fn new(listener: TcpListener, stall: Duration) -> Self {
        Self { listener, stall }
    }
}

impl Listener for Patiently {
    type Io = Patient<TcpStream>;
    type Addr = SocketAddr;

    async fn accept(&mut self) -> (Self::Io, SocketAddr) {
        let (stream, address) = Listener::accept(&mut self.listener).await;
        // Answers are written in large pieces: waiting for more to fill a packet only delays the last one.
        if let Err(error) = stream.set_nodelay(true) {
            tracing::debug!(%error, "a connection keeps its delay");
        }
        (Patient::new(stream, self.stall), address)
    }

    fn local_addr(&self) -> io::Result<SocketAddr> {
        self.listener.local_addr()
    }
}

/// A connection that gives up a reader without progress.
pub struct Patient<S> {
    stream: S,
    stall: Duration,
    /// Set while something waits to be taken.
    deadline: Option<Pin<Box<Sleep>>>,
    /// Taken since then.
    taken: usize,
}

impl<S> Patient<S> {
    const fn new(stream: S, stall: Duration) -> Self {
        Self { stream, stall, deadline: None, taken: 0 }
    }

    /// Looks at the outcome of a write.
    fn judge(
        &mut self,
        context: &mut Context<'_>,
        wrote: Poll<io::Result<usize>>,
    ) -> Poll<io::Result<usize>> {
        match wrote {
            Poll::Ready(Ok(count)) => {
                self.taken = self.taken.saturating_add(count);
                if self.taken >= PROGRESS_BYTES {
                    self.rest();
                }
                wrote
            }
            Poll::Ready(Err(_)) => wrote,
            Poll::Pending => {
                let stall = self.stall;
                let deadline =
                    self.deadline.get_or_insert_with(|| Box::pin(sleep_until(Instant::now() + stall)));
                match deadline.as_mut().poll(context) {
                    Poll::Pending => Poll::Pending,
                    Poll::Ready(()) => Poll::Ready(Err(io::ErrorKind::TimedOut.into())),
                }
            }
        }
    }

    fn rest(&mut self) {
        self.deadline = None;
        self.taken = 0;
    }
}

impl<S: AsyncRead + Unpin> AsyncRead for Patient<S> {
    fn poll_read(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_read(context, buffer)
    }
}

impl<S: AsyncWrite + Unpin> AsyncWrite for Patient<S> {
    fn poll_write(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        let wrote = Pin::new(&mut self.stream).poll_write(context, bytes);
        self.judge(context, wrote)
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        parts: &[IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        let wrote = Pin::new(&mut self.stream).poll_write_vectored(context, parts);
        self.judge(context, wrote)
    }

    fn is_write_vectored(&self) -> bool {
        self.stream.is_write_vectored()
    }

    fn poll_flush(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        // Whoever flushes has written all there is.
        self.rest();
        Pin::new(&mut self.stream).poll_flush(context)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_shutdown(context)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use tokio::io::{AsyncReadExt, AsyncWriteExt};

    const STALL: Duration = Duration::from_millis(200);

    #[tokio::test]
    async fn who_reads_is_served_and_who_stops_is_cut_off() {
        let (near, mut far) = tokio::io::duplex(PROGRESS_BYTES);
        let mut near = Patient::new(near, STALL);
        let reading = async {
            far.read_exact(&mut vec![0; 20 * PROGRESS_BYTES]).await.expect("bytes");
        };
        let writing = async {
            near.write_all(&vec![1; 20 * PROGRESS_BYTES]).await.expect("taken in time");
            near.flush().await.expect("flushed");
        };
        tokio::join!(writing, reading);
        // What fits is written at once and waits for nobody.
        near.write_all(&vec![1; PROGRESS_BYTES]).await.expect("room");
        near.flush().await.expect("flushed");
        let began = Instant::now();
        let error = near.write_all(&[1]).await.expect_err("nobody reads");
        assert_eq!(error.kind(), io::ErrorKind::TimedOut);
        assert!(began.elapsed() >= STALL);
    }

    #[tokio::test]
    async fn a_byte_now_and_then_is_no_progress() {
        let (near, mut far) = tokio::io::duplex(64);
        let mut near = Patient::new(near, STALL);
        let trickle = async {
            let mut now_and_then = tokio::time::interval(STALL / 20);
            let mut taken = 0;
            while far.read_u8().await.is_ok() {
                now_and_then.tick().await;
                taken += 1;
            }
            taken
        };
        let writing = async move {
            let error = near.write_all(&vec![1; 2 * PROGRESS_BYTES]).await.expect_err("too slow");
            assert_eq!(error.kind(), io::ErrorKind::TimedOut);
        };
        let ((), taken) = tokio::join!(writing, trickle);
        assert!(taken > 2, "it read {taken} bytes all the time");
    }
}
