//! What the hashing of this crate costs, in processor time: one line of JSON per row, best of several runs.
//! `bench/piece.sh` puts it beside others.
//!
//!     piece_bench [PATH]      all rows, with the path forced (avx512, sha-ni, avx2, library, portable)

#![expect(clippy::print_stdout, clippy::unwrap_used, reason = "a measurement prints, and fails by panicking")]

use std::hint::black_box;
use std::io::{self, Seek, SeekFrom, Write};
use std::num::NonZero;
use std::time::Instant;

use raas_piece::commp::{Hasher, PieceInfo, of_each, of_slice};
use raas_piece::pack::{PackOptions, pack_reader};
use raas_piece::segment::Aggregate;
use raas_piece::sha::Path;
use raas_piece::{Commitment, PaddedSize};
use sha2::{Digest, Sha256};

const GIB: f64 = (1u64 << 30) as f64;
const RUNS: usize = 5;

/// Nanoseconds this thread was on a processor.
fn cpu_ns() -> f64 {
    let text = std::fs::read_to_string("/proc/thread-self/schedstat").unwrap();
    text.split_whitespace().next().unwrap().parse().unwrap()
}

/// The least seconds of processor time of several runs.
fn best<T>(mut run: impl FnMut() -> T) -> f64 {
    let once = |_| {
        let before = cpu_ns();
        black_box(run());
        (cpu_ns() - before) / 1e9
    };
    (0..RUNS).map(once).fold(f64::MAX, f64::min)
}

fn row(what: &str, path: &str, unit: &str, value: f64) {
    println!(r#"{{"what":"{what}","path":"{path}","unit":"{unit}","value":{value:.4}}}"#);
}

fn main() {
    let only = std::env::args().nth(1);
    let payload: Vec<u8> =
        (0..64u64 << 17).flat_map(|i| i.wrapping_mul(0x9E37_79B9_7F4A_7C15).to_le_bytes()).collect();
    let gib = payload.len() as f64 / GIB;
    row("calibration: sha2, one stream", "-", "GiB/s", gib / best(|| Sha256::digest(&payload)));
    for path in Path::ALL {
        let wanted = only.as_deref().is_none_or(|only| only == path.name());
        if wanted && path.is_available() {
            of_path(path, &payload);
        }
    }
    if only.as_deref().is_none_or(|only| only == Path::best().name()) {
        threads(&payload);
        one_pass(&payload);
        aggregate();
    }
}

fn of_path(path: Path, payload: &[u8]) {
    let (name, gib) = (path.name(), payload.len() as f64 / GIB);
    let commp = best(|| {
        let mut hasher = Hasher::on(path);
        hasher.update(payload);
        hasher.finish().unwrap()
    });
    row("commp of 64 MiB in memory", name, "GiB/s", gib / commp);
    let leaves: Vec<&[u8]> = payload.chunks(1 << 20).collect();
    row("sha256 of 64 leaves of 1 MiB", name, "GiB/s", gib / best(|| path.digests(&leaves)));
    let pieces: Vec<&[u8]> = payload.chunks(1 << 10).take(16 << 10).collect();
    let each = best(|| of_each(path, &pieces).unwrap()) / pieces.len() as f64;
    row("commp of pieces of 1 KiB", name, "million/s", 1e-6 / each);
    let pairs = payload.as_chunks::<64>().0;
    let each = best(|| path.hash_pairs(pairs)) / pairs.len() as f64;
    row("one tree node", name, "ns", each * 1e9);
}

/// Wall time, since the work is in other threads; a busy machine shows in it.
fn threads(payload: &[u8]) {
    let wall = |threads: usize| {
        let threads = NonZero::new(threads).unwrap();
        let once = |_| {
            let start = Instant::now();
            black_box::<PieceInfo>(of_slice(Path::best(), payload, threads).unwrap());
            start.elapsed().as_secs_f64()
        };
        (0..RUNS).map(once).fold(f64::MAX, f64::min)
    };
    row("two threads over one, by the wall clock", Path::best().name(), "times", wall(1) / wall(2));
}

/// Keeps nothing, so that only the work before it is measured.
struct Nowhere(u64);

impl Write for Nowhere {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.0 += bytes.len() as u64;
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

impl Seek for Nowhere {
    fn seek(&mut self, to: SeekFrom) -> io::Result<u64> {
        if let SeekFrom::Start(at) = to {
            self.0 = at;
        }
        Ok(self.0)
    }
}

fn one_pass(payload: &[u8]) {
    let seconds = best(|| pack_reader(payload, Nowhere(0), &PackOptions::default()).unwrap());
    let gib = payload.len() as f64 / GIB;
    row("one pass: UnixFS, CAR and CommP", Path::best().name(), "GiB/s", gib / seconds);
}

fn aggregate() {
    let pieces: Vec<_> = (0..262_144u64)
        .map(|i| {
            let mut root: [u8; 32] = Sha256::digest(i.to_string()).into();
            root[31] &= 0x3f;
            (Commitment::new(root).unwrap(), PaddedSize::new(64 << 10).unwrap())
        })
        .collect();
    let deal = PaddedSize::new(32 << 30).unwrap();
    let seconds = best(|| {
        let aggregate = Aggregate::new(deal, &pieces).unwrap();
        let index = aggregate.index_payload();
        aggregate.proofs().map(|proof| proof.subtree.path.len()).sum::<usize>() + index.len()
    });
    row("aggregate of 262144 pieces with index and all proofs", Path::best().name(), "s", seconds);
    let aggregate = Aggregate::new(deal, &pieces).unwrap();
    let proof = aggregate.proof(77_777).unwrap();
    let (commitment, size) = pieces[77_777];
    let each =
        best(|| (0..10_000).filter(|_| black_box(proof.verify(commitment, size)).is_ok()).count()) / 10_000.0;
    row("verify one proof", "-", "us", each * 1e6);
}
