//! Who signs: a key in this process, or another process behind a Unix socket.
//!
//! The socket's protocol is one JSON object on one line each way, one connection per request:
//!
//! | request | answer |
//! | --- | --- |
//! | `{"v":1,"method":"addresses"}` | `{"native":"f1…","eth":"0x…"}` |
//! | `{"v":1,"method":"sign","kind":K,"payload":"hex"}` | `{"signature":"hex of r, s and recovery id, 65 bytes"}` |
//!
//! or `{"error":"why"}`. The payload is always the whole unsigned thing, never a hash, so that a signer can look at
//! what it signs; K says what it is ([`Kind`]) and so how it is hashed. The node checks every signature against the
//! addresses it was told at its start.

use crate::cbor::blake2b_cid;
use crate::key::{Addresses, Key};
use alloy_primitives::{Address as EthAddress, keccak256};
use blake2::digest::consts::U32;
use blake2::{Blake2b, Digest as _};
use serde::{Deserialize, Serialize};
use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;
use tokio::io::{AsyncBufReadExt as _, AsyncReadExt as _, AsyncWriteExt as _, BufReader};
use tokio::net::{UnixListener, UnixStream};

/// Longest line of the protocol, in bytes: a message of 64 KiB in hex, and some.
const LINE_MAX: u64 = 256 * 1024;
/// How long a signer may take; somebody may have to press a button.
const DEADLINE: Duration = Duration::from_secs(60);

/// What is to be signed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Kind {
    /// An EIP-1559 transaction as it is hashed: the byte 2 and RLP; Keccak-256 of it is signed.
    Transaction,
    /// An unsigned native message in CBOR; blake2b-256 of its CID's bytes is signed.
    Message,
    /// A market deal proposal in CBOR; blake2b-256 of it is signed.
    Proposal,
    /// A deal's UUID, 16 bytes, in a question for its status; blake2b-256 of it is signed.
    Status,
}

impl Kind {
    /// What is signed of `payload`, which must look like its kind: a signer is no oracle for any hash.
    fn digest(self, payload: &[u8]) -> Result<[u8; 32], SignerError> {
        let blake = |bytes: &[u8]| Blake2b::<U32>::digest(bytes).into();
        match (self, payload.first(), payload.len()) {
            (Self::Transaction, Some(2), _) => Ok(keccak256(payload).0),
            // CBOR arrays of ten and of eleven items.
            (Self::Message, Some(0x8a), _) => Ok(blake(&blake2b_cid(payload).to_bytes())),
            (Self::Proposal, Some(0x8b), _) => Ok(blake(payload)),
            (Self::Status, _, 16) => Ok(blake(payload)),
            _ => Err(SignerError::NotThat(self)),
        }
    }
}

/// Why nothing was signed.
#[derive(Debug, thiserror::Error)]
pub enum SignerError {
    /// The socket failed.
    #[error("wallet.signer_socket {path}: {source}; is the signer running?")]
    Socket {
        /// Which.
        path: PathBuf,
        /// What the system said.
        source: io::Error,
    },
    /// It took too long.
    #[error("the signer at {0} did not answer within 60 s")]
    Silent(PathBuf),
    /// It said no.
    #[error("the signer refuses: {0}")]
    Refused(String),
    /// Not the protocol.
    #[error("the signer's answer is not understood")]
    Garbled,
    /// Not by our key.
    #[error("the signer signed with another key than it had at the start")]
    OtherKey,
    /// The payload is no such thing.
    #[error("this is no {0:?}")]
    NotThat(Kind),
}

#[derive(Serialize, Deserialize)]
#[serde(tag = "method", rename_all = "snake_case", deny_unknown_fields)]
enum Request {
    Addresses { v: u32 },
    Sign { v: u32, kind: Kind, payload: String },
}

#[derive(Serialize, Deserialize)]
#[serde(untagged)]
enum Answer {
    Signature { signature: String },
    Addresses { native: String, eth: String },
    Error { error: String },
}

/// Signs for one key. Cloning shares it.
#[derive(Clone, Debug)]
pub struct Signer {
    addresses: Addresses,
    with: With,
}

#[derive(Clone, Debug)]
enum With {
    Key(Arc<Key>),
    Socket(Arc<Path>),
}

impl From<Key> for Signer {
    fn from(key: Key) -> Self {
        Self { addresses: key.addresses(), with: With::Key(Arc::new(key)) }
    }
}

impl Signer {
    /// The signer that listens at `path`.
    pub async fn connect(path: &Path) -> Result<Self, SignerError> {
        match ask(path, &Request::Addresses { v: 1 }).await? {
            Answer::Addresses { native, eth } => {
                let native = native.parse().map_err(|_| SignerError::Garbled)?;
                let eth: EthAddress = eth.parse().map_err(|_| SignerError::Garbled)?;
                Ok(Self { addresses: Addresses { native, eth }, with: With::Socket(path.into()) })
            }
            Answer::Error { error } => Err(SignerError::Refused(words(&error))),
            Answer::Signature { .. } => Err(SignerError::Garbled),
        }
    }

    /// For whom it signs.
    #[must_use]
    pub const fn addresses(&self) -> &Addresses {
        &self.addresses
    }

    /// r, s and recovery id over `payload`.
    pub(crate) async fn sign(&self, kind: Kind, payload: &[u8]) -> Result<[u8; 65], SignerError> {
        let digest = kind.digest(payload)?;
        let path = match &self.with {
            With::Key(key) => return Ok(key.sign_hash(digest)),
            With::Socket(path) => path,
        };
        let request = Request::Sign { v: 1, kind, payload: hex::encode(payload) };
        let text = match ask(path, &request).await? {
            Answer::Signature { signature } => signature,
            Answer::Error { error } => return Err(SignerError::Refused(words(&error))),
            Answer::Addresses { .. } => return Err(SignerError::Garbled),
        };
        let mut signature = [0; 65];
        hex::decode_to_slice(text, &mut signature).map_err(|_| SignerError::Garbled)?;
        match Addresses::recover(digest, signature) {
            Some(addresses) if addresses == self.addresses => Ok(signature),
            _ => Err(SignerError::OtherKey),
        }
    }
}

/// A foreign text, as much of it as belongs into a log line.
fn words(text: &str) -> String {
    text.chars().filter(|c| !c.is_control()).take(300).collect()
}

async fn ask(path: &Path, request: &Request) -> Result<Answer, SignerError> {
    let exchange = async {
        let stream = UnixStream::connect(path).await?;
        let (read, mut write) = stream.into_split();
        let mut line = serde_json::to_vec(request).map_err(io::Error::other)?;
        line.push(b'\n');
        write.write_all(&line).await?;
        let mut answer = String::new();
        BufReader::new(read.take(LINE_MAX)).read_line(&mut answer).await?;
        Ok(answer)
    };
    match tokio::time::timeout(DEADLINE, exchange).await {
        Err(_) => Err(SignerError::Silent(path.to_owned())),
        Ok(Err(source)) => Err(SignerError::Socket { path: path.to_owned(), source }),
        Ok(Ok(line)) => serde_json::from_str(&line).map_err(|_| SignerError::Garbled),
    }
}

/// Serves the protocol for `key` until it is dropped: one connection after the other. `noted` hears what was signed.
pub async fn serve(listener: &UnixListener, key: &Key, noted: impl Fn(Kind, &[u8])) -> io::Result<()> {
    loop {
        let (stream, _) = listener.accept().await?;
        let (read, mut write) = stream.into_split();
        let exchange = async {
            let mut line = String::new();
            BufReader::new(read.take(LINE_MAX)).read_line(&mut line).await?;
            let mut answer = serde_json::to_vec(&answer(key, &line, &noted)).map_err(io::Error::other)?;
            answer.push(b'\n');
            write.write_all(&answer).await
        };
        // A client that breaks off is that client's matter.
        let _ = tokio::time::timeout(DEADLINE, exchange).await;
    }
}

fn answer(key: &Key, line: &str, noted: &impl Fn(Kind, &[u8])) -> Answer {
    let error = |error: &str| Answer::Error { error: error.to_owned() };
    match serde_json::from_str(line) {
        Ok(Request::Addresses { v: 1 }) => {
            let addresses = key.addresses();
            Answer::Addresses { native: addresses.native.to_string(), eth: addresses.eth.to_string() }
        }
        Ok(Request::Sign { v: 1, kind, payload }) => {
            let Ok(payload) = hex::decode(payload) else { return error("payload is no hex") };
            match kind.digest(&payload) {
                Ok(digest) => {
                    noted(kind, &payload);
                    Answer::Signature { signature: hex::encode(key.sign_hash(digest)) }
                }
                Err(refused) => error(&refused.to_string()),
            }
        }
        Ok(_) => error("only version 1 is spoken here"),
        Err(_) => error("this is no request of the protocol"),
    }
}
