//! Kubo's RPC: a real Kubo node, and a server that answers as Kubo does when things go wrong.

mod daemon;
mod scripted;

use bytes::Bytes;
use cid::Cid;
use futures_util::Stream;
use raas_clients::kubo::{Kubo, KuboConfig, KuboLimits};
use raas_piece::car::{CarExport, CarStore, Limits, Reader, Scope};
use raas_piece::pack::{PackOptions, pack_reader};
use std::io::{self, Cursor};
use std::sync::Arc;
use std::time::Duration;

/// What the RPC wants to be shown.
const TOKEN: &str = "hunter2-of-kubo";

fn client(url: &str, token: Option<&str>) -> Kubo {
    let limits = KuboLimits { answer: Duration::from_secs(60), no_progress: Duration::from_secs(20) };
    limited(url, token, limits)
}

fn limited(url: &str, token: Option<&str>, limits: KuboLimits) -> Kubo {
    let url = url.parse().expect("a URL");
    Kubo::new(KuboConfig { url, token: token.map(str::to_owned), limits }).expect("a client")
}

/// Bytes, their root, and the CAR that a gateway of ours gives for it: the root first.
fn packed(bytes: usize) -> (Vec<u8>, Cid, Vec<u8>) {
    let mut state = 7_u64;
    let payload: Vec<u8> = std::iter::repeat_with(|| {
        state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (state >> 56) as u8
    })
    .take(bytes)
    .collect();
    let (packed, car) =
        pack_reader(payload.as_slice(), Cursor::new(Vec::new()), &PackOptions::default()).expect("packed");
    let blocks = CarStore::new(car.into_inner(), Arc::new(packed.index));
    let mut car = Vec::new();
    let export = CarExport::new(blocks, packed.root, Vec::new(), Scope::All);
    export.write_to(&mut car).expect("all blocks are there");
    (payload, packed.root, car)
}

/// A CAR in chunks, as from a file.
fn chunks(car: &[u8]) -> impl Stream<Item = io::Result<Bytes>> + Send + 'static {
    let chunks: Vec<io::Result<Bytes>> =
        car.chunks(100_000).map(|chunk| Ok(Bytes::copy_from_slice(chunk))).collect();
    futures_util::stream::iter(chunks)
}

/// The CAR without its blocks from `keep` on.
fn first_blocks(car: &[u8], keep: usize) -> Vec<u8> {
    let mut reader = Reader::new(car, Limits::default()).expect("a CAR");
    for _ in 0..keep {
        reader.next_block().expect("a good block").expect("so many");
    }
    let end = usize::try_from(reader.end()).expect("it is in memory");
    car[..end].to_vec()
}
