//! Packing runs in flat memory. In its own process, since the peak is the whole process's.
//!
//! 256 MiB by default; `RAAS_LONG=1` packs 2 GiB and prints the rate.

#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

use std::fs::OpenOptions;
use std::io::{self, Read};
use std::time::Instant;

use raas_piece::pack::{PackOptions, pack_reader};

/// Peak resident memory of this process, in KiB.
fn peak_kib() -> u64 {
    let status = std::fs::read_to_string("/proc/self/status").unwrap();
    let line = status.lines().find(|line| line.starts_with("VmHWM")).unwrap();
    line.split_whitespace().nth(1).unwrap().parse().unwrap()
}

/// An endless stream in which no two chunks are equal: counted words.
struct Counted(u64);

impl Read for Counted {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let (words, _) = buffer.as_chunks_mut::<8>();
        for word in &mut *words {
            *word = self.0.to_le_bytes();
            self.0 += 1;
        }
        Ok(words.len() * 8)
    }
}

#[test]
fn a_large_file_is_packed_in_flat_memory() {
    let long = std::env::var_os("RAAS_LONG").is_some_and(|value| value == "1");
    let bytes: u64 = if long { 2 << 30 } else { 256 << 20 };
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("large.car");
    let file = OpenOptions::new().read(true).write(true).create_new(true).open(path).unwrap();
    let before = peak_kib();
    let started = Instant::now();
    let (packed, file) = pack_reader(Counted(0).take(bytes), file, &PackOptions::default()).unwrap();
    let seconds = started.elapsed().as_secs_f64();
    assert_eq!(packed.payload_bytes, bytes);
    assert_eq!(packed.blocks, (bytes >> 20) + 1 + if bytes > 1 << 30 { 2 } else { 0 });
    assert_eq!(file.metadata().unwrap().len(), packed.car_bytes);
    assert!(packed.car_bytes > bytes);
    let grown = peak_kib() - before;
    eprintln!("{} MiB in {seconds:.2} s, peak memory grew by {grown} KiB", bytes >> 20);
    assert!(grown < 64 << 10, "peak memory grew by {grown} KiB");
}
