//! CARs into Kubo and out of it.

use super::answer::Answer;
use super::client::{ANSWER_BYTES, Kubo, Link};
use super::error::KuboError;
use bytes::{Buf as _, Bytes};
use cid::Cid;
use futures_util::{Stream, StreamExt as _};
use raas_piece::block::same_block;
use raas_piece::car::{Copied, Limits, copy_verified};
use reqwest::multipart::{Form, Part};
use serde::Deserialize;
use std::io::{self, Read, Seek, Write};
use std::sync::{Arc, Mutex, PoisonError};
use tokio::sync::{mpsc, watch};

/// Chunks of an export between the network and the thread that checks them.
const CHUNKS: usize = 16;

/// A line of the answer to an import; statistics have no root.
#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct Imported {
    root: Option<Root>,
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct Root {
    cid: Link,
    #[serde(default)]
    pin_error_msg: String,
}

impl Kubo {
    /// Gives Kubo a CAR with the root `root`, of which every block must be in it, and has it pinned. Kubo reads
    /// nothing from its network for that.
    pub async fn import(
        &self,
        root: &Cid,
        car: impl Stream<Item = io::Result<Bytes>> + Send + 'static,
    ) -> Result<(), KuboError> {
        let call = "dag/import";
        let (moved, mut moves) = watch::channel(());
        let failed = Arc::new(Mutex::new(None));
        let failure = failed.clone();
        let chunks = car.map(move |chunk| {
            moved.send_replace(());
            chunk.map_err(|error| {
                let kind = error.kind();
                *failure.lock().unwrap_or_else(PoisonError::into_inner) = Some(error);
                io::Error::from(kind)
            })
        });
        let part = Part::stream(reqwest::Body::wrap_stream(chunks)).file_name("dag.car");
        let request = self.request(call, &[("pin-roots", "true")])?;
        let sending = request.multipart(Form::new().part("file", part)).send();
        tokio::pin!(sending);
        let response = loop {
            tokio::select! {
                response = &mut sending => break response,
                moved = tokio::time::timeout(self.limits.no_progress, moves.changed()) => match moved {
                    Ok(Ok(())) => {}
                    // All is sent: the stream is gone.
                    Ok(Err(_)) => {
                        let answered = tokio::time::timeout(self.limits.answer, &mut sending).await;
                        break answered.map_err(|_| self.unanswered(call))?;
                    }
                    Err(_) => {
                        return Err(KuboError::TooSlow { call, seconds: self.limits.no_progress.as_secs() });
                    }
                },
            }
        };
        if let Some(error) = failed.lock().unwrap_or_else(PoisonError::into_inner).take() {
            return Err(KuboError::Source(error));
        }
        let mut pinned = false;
        self.answer(call, response)
            .await?
            .each(ANSWER_BYTES, |imported: Imported| {
                let Some(Root { cid, pin_error_msg }) = imported.root else { return Ok(()) };
                let cid = cid.cid().ok_or(KuboError::Answer { call, what: "a root is no CID" })?;
                if !pin_error_msg.is_empty() {
                    let message = self.words(&pin_error_msg);
                    return Err(KuboError::NotPinned { root: cid.to_string(), message });
                }
                pinned |= same_block(&cid, root);
                Ok(())
            })
            .await?;
        if pinned {
            return Ok(());
        }
        let message = "its answer does not name it among the roots".to_owned();
        Err(KuboError::NotPinned { root: root.to_string(), message })
    }

    /// The whole DAG under `root` as a CAR in `file`, which is empty. Every block is hashed while it comes, and at the
    /// end the DAG is walked: what is returned is complete.
    pub async fn export<W>(&self, root: &Cid, file: W, limits: Limits) -> Result<(Copied, W), KuboError>
    where
        W: Read + Write + Seek + Send + 'static,
    {
        let answer = self.ask("dag/export", &[("arg", &root.to_string()), ("progress", "false")]).await?;
        let (chunks, received) = mpsc::channel(CHUNKS);
        let root = *root;
        let check = tokio::task::spawn_blocking(move || {
            copy_verified(Received { chunks: received, chunk: Bytes::new() }, file, Some(&root), limits)
        });
        // What Kubo or the connection says comes first: that the CAR ends early then follows from it.
        let passed = pass(answer, chunks).await;
        let checked = check.await.map_err(|_| KuboError::Stopped)?;
        passed?;
        Ok(checked?)
    }
}

/// Passes an answer on until its end, or until nobody takes more.
async fn pass(mut answer: Answer, chunks: mpsc::Sender<io::Result<Bytes>>) -> Result<(), KuboError> {
    loop {
        match answer.next().await {
            Ok(None) => return Ok(()),
            Ok(Some(chunk)) => {
                if chunks.send(Ok(chunk)).await.is_err() {
                    return Ok(());
                }
            }
            Err(error) => {
                let _ = chunks.send(Err(io::ErrorKind::ConnectionAborted.into())).await;
                return Err(error);
            }
        }
    }
}

/// The receiving end, for a reader on a thread of its own.
struct Received {
    chunks: mpsc::Receiver<io::Result<Bytes>>,
    chunk: Bytes,
}

impl Read for Received {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        while self.chunk.is_empty() {
            match self.chunks.blocking_recv() {
                None => return Ok(0),
                Some(chunk) => self.chunk = chunk?,
            }
        }
        let count = self.chunk.len().min(buffer.len());
        self.chunk.copy_to_slice(&mut buffer[..count]);
        Ok(count)
    }
}
