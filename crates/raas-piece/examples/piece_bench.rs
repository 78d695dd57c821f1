//! What the work of this crate costs, in processor time, the least of several runs; one line of JSON per figure.
//! `bench/piece.sh` puts it beside others.
//!
//!     piece_bench payload BYTES FILE   writes a file that the others are measured with
//!     piece_bench calibrate RUNS       the machine alone: sha2 of 1 GiB
//!     piece_bench hash FILE RUNS       the machine, CommP by each path, two threads, one pass, small pieces
//!     piece_bench pack FILE            packs a file and throws the CAR away; for a clock outside
//!     piece_bench aggregate RUNS       262,144 pieces with index and all proofs, the memory of it, and one proof
//!     piece_bench memory BYTES         what packing a stream of this length needs over what was there before

#![expect(clippy::print_stdout, clippy::unwrap_used, reason = "a measurement prints, and fails by panicking")]

use std::fs::{self, File};
use std::hint::black_box;
use std::io::{self, BufWriter, Read, Seek, SeekFrom, Write};
use std::num::NonZero;
use std::time::{Duration, Instant};

use raas_piece::commp::{Hasher, PieceInfo, of_each, of_slice};
use raas_piece::pack::{PackOptions, pack_path, pack_reader};
use raas_piece::segment::Aggregate;
use raas_piece::sha::Path;
use raas_piece::{Commitment, PaddedSize};
use sha2::{Digest, Sha256};

const GIB: f64 = (1u64 << 30) as f64;
const MIB: f64 = (1u64 << 20) as f64;
/// What a 32 GiB deal has entries for.
const PIECES: u64 = 262_144;

fn main() {
    let args: Vec<String> = std::env::args().skip(1).collect();
    match &args.iter().map(String::as_str).collect::<Vec<_>>()[..] {
        ["payload", bytes, file] => {
            let mut out = BufWriter::new(File::create(file).unwrap());
            io::copy(&mut Payload::new(bytes.parse().unwrap()), &mut out).unwrap();
            out.flush().unwrap();
        }
        ["calibrate", runs] => calibrate(&vec![1; 64 << 20], runs.parse().unwrap()),
        ["hash", file, runs] => hash(&fs::read(file).unwrap(), runs.parse().unwrap()),
        ["pack", file] => {
            let (packed, _) = pack_path(file.as_ref(), Nowhere(0), &PackOptions::default()).unwrap();
            println!("{}", packed.root);
        }
        ["aggregate", runs] => aggregate(runs.parse().unwrap()),
        ["memory", bytes] => memory(bytes.parse().unwrap()),
        _ => panic!("see the head of this file"),
    }
}

fn row(what: &str, value: f64, root: &str) {
    println!(r#"{{"what":"{what}","value":{value:.6},"root":"{root}"}}"#);
}

fn hex(piece: &PieceInfo) -> String {
    piece.commitment().as_bytes().iter().map(|byte| format!("{byte:02x}")).collect()
}

/// Seconds this thread was on a processor.
#[expect(
    clippy::disallowed_methods,
    reason = "the system adds up what a thread used when it leaves the processor, else at some later tick"
)]
fn cpu_seconds() -> f64 {
    std::thread::sleep(Duration::from_nanos(1));
    let text = fs::read_to_string("/proc/thread-self/schedstat").unwrap();
    text.split_whitespace().next().unwrap().parse::<f64>().unwrap() / 1e9
}

/// The least of several runs by a clock, and what the last one gave.
fn best_by<T>(clock: impl Fn() -> f64, runs: usize, mut run: impl FnMut() -> T) -> (f64, T) {
    let (mut least, mut last) = (f64::MAX, None);
    for _ in 0..runs {
        // What the run before gave is gone by now: it counts neither as time nor as memory of this one.
        drop(last.take());
        let before = clock();
        last = Some(black_box(run()));
        least = least.min(clock() - before);
    }
    (least, last.unwrap())
}

fn best<T>(runs: usize, run: impl FnMut() -> T) -> (f64, T) {
    best_by(cpu_seconds, runs, run)
}

/// A sixteenth of a GiB, sixteen times.
fn calibrate(block: &[u8], runs: usize) {
    let calibration = best(runs, || {
        let mut hasher = Sha256::new();
        (0..16).for_each(|_| hasher.update(block));
        hasher.finalize()
    });
    row("calibration", 1.0 / calibration.0, "");
}

fn hash(payload: &[u8], runs: usize) {
    let gib = payload.len() as f64 / GIB;
    calibrate(&payload[..64 << 20], runs);
    for path in [Path::Avx512, Path::ShaNi].into_iter().filter(Path::is_available) {
        let (seconds, piece) = best(runs, || {
            let mut hasher = Hasher::on(path);
            hasher.update(payload);
            hasher.finish().unwrap()
        });
        row(&format!("commp {}", path.name()), gib / seconds, &hex(&piece));
    }
    let start = Instant::now();
    let wall = |threads: usize| {
        let threads = NonZero::new(threads).unwrap();
        best_by(|| start.elapsed().as_secs_f64(), runs, || of_slice(Path::best(), payload, threads).unwrap())
    };
    let (one, two) = (wall(1), wall(2));
    row("two threads", one.0 / two.0, &hex(&two.1));
    let (seconds, packed) =
        best(runs, || pack_reader(payload, Nowhere(0), &PackOptions::default()).unwrap().0);
    row("one pass", gib / seconds, &packed.root.to_string());
    let pieces: Vec<&[u8]> = payload.chunks(1 << 10).take(16 << 10).collect();
    let (seconds, _) = best(runs, || of_each(Path::best(), &pieces).unwrap());
    row("small pieces", pieces.len() as f64 / seconds / 1e6, "");
}

fn aggregate(runs: usize) {
    let pieces: Vec<_> = (0..PIECES)
        .map(|i| {
            let mut root: [u8; 32] = Sha256::digest(i.to_string()).into();
            root[31] &= 0x3f;
            (Commitment::new(root).unwrap(), PaddedSize::new(64 << 10).unwrap())
        })
        .collect();
    let deal = PaddedSize::new(32 << 30).unwrap();
    let (seconds, aggregate) = best(runs, || {
        let aggregate = Aggregate::new(deal, &pieces).unwrap();
        let nodes: usize =
            aggregate.proofs().map(|proof| proof.subtree.path.len() + proof.index.path.len()).sum();
        black_box((nodes, aggregate.index_payload()));
        aggregate
    });
    row("aggregate", seconds, &hex(&aggregate.piece()));
    row("aggregate memory", status("VmHWM"), "");
    let proof = aggregate.proof(77_777).unwrap();
    let (commitment, size) = pieces[77_777];
    let verified = || (0..10_000).filter(|_| black_box(&proof).verify(commitment, size).is_ok()).count();
    let (seconds, good) = best(runs, verified);
    assert_eq!(good, 10_000);
    row("verify", seconds / 10_000.0 * 1e6, "");
}

fn memory(bytes: u64) {
    let before = status("VmRSS");
    let (packed, _) = pack_reader(Payload::new(bytes), Nowhere(0), &PackOptions::default()).unwrap();
    row("memory", status("VmHWM") - before, &packed.root.to_string());
}

/// A figure of this process in MiB.
fn status(name: &str) -> f64 {
    let text = fs::read_to_string("/proc/self/status").unwrap();
    let line = text.lines().find(|line| line.starts_with(name)).unwrap();
    line.split_whitespace().nth(1).unwrap().parse::<f64>().unwrap() * 1024.0 / MIB
}

/// Bytes of which no two blocks are the same.
struct Payload {
    at: u64,
    end: u64,
}

impl Payload {
    const fn new(bytes: u64) -> Self {
        Self { at: 0, end: bytes }
    }
}

impl Read for Payload {
    /// Whole words, but at the end.
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let before = self.at;
        for word in buffer.chunks_mut(8).take_while(|word| word.len() == 8 || self.end - before < 8) {
            let bytes = (self.at / 8).wrapping_mul(0x9E37_79B9_7F4A_7C15).to_le_bytes();
            let count = word.len().min(usize::try_from(self.end - self.at).unwrap_or(8));
            word[..count].copy_from_slice(&bytes[..count]);
            self.at += count as u64;
        }
        Ok(usize::try_from(self.at - before).unwrap())
    }
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
