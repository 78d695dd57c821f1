//! CommP of a file in memory with filecoin-proofs: prints the commitment and the least seconds of processor time of
//! several runs. The file must fill a piece.
//!
//!     proofs FILE RUNS

use filecoin_proofs::{UnpaddedBytesAmount, generate_piece_commitment};

/// What all threads of the process used.
fn cpu_seconds() -> f64 {
    let mut time = libc::timespec { tv_sec: 0, tv_nsec: 0 };
    // SAFETY: the clock is one that every process has, and the time is ours to write.
    let failed = unsafe { libc::clock_gettime(libc::CLOCK_PROCESS_CPUTIME_ID, &mut time) };
    assert_eq!(failed, 0);
    time.tv_sec as f64 + time.tv_nsec as f64 / 1e9
}

fn main() {
    let [file, runs] = &std::env::args().skip(1).collect::<Vec<_>>()[..] else { panic!("proofs FILE RUNS") };
    let payload = std::fs::read(file).expect("a file");
    let size = UnpaddedBytesAmount(payload.len() as u64);
    let mut best = f64::MAX;
    let mut root = String::new();
    for _ in 0..runs.parse().expect("a number of runs") {
        let before = cpu_seconds();
        let info = generate_piece_commitment(&payload[..], size).expect("a whole piece");
        best = best.min(cpu_seconds() - before);
        root = info.commitment.iter().map(|byte| format!("{byte:02x}")).collect();
    }
    println!(r#"{{"root":"{root}","seconds":{best:.6}}}"#);
}
