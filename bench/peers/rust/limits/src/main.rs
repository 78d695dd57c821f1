//! How many vector instructions this machine can do, and what bound that is for CommP: prints GiB/s of payload.
//!
//! Hashing 16 pairs of nodes with 512-bit vectors takes 2,656 additions, logic operations, rotations and shifts: 17 for each
//! round and 11 for each word of the schedule of the first block, 16 for each round of the second, whose message is
//! constant, and 16 at the end. 1,056 of them are rotations and shifts, which many processors do at half the rate. Loads,
//! stores, permutations and the padding to Fr32 are not counted: no program reaches the bound.

#[cfg(target_arch = "x86_64")]
use std::arch::asm;

const OPERATIONS: f64 = 2656.0;
const ROTATIONS: f64 = 1056.0;
/// Payload under one hash of a large tree: 127 / 128 of 64 bytes for a pair of leaves, and as many hashes again above them.
const PAYLOAD_BYTES: f64 = 16.0 * 31.75;
const GIB: f64 = (1_u64 << 30) as f64;
const TURNS: u64 = 4_000_000;

/// What all threads of the process used; it has one.
fn cpu_seconds() -> f64 {
    let mut time = libc::timespec { tv_sec: 0, tv_nsec: 0 };
    // SAFETY: the clock is one that every process has, and the time is ours to write.
    let failed = unsafe { libc::clock_gettime(libc::CLOCK_PROCESS_CPUTIME_ID, &mut time) };
    assert_eq!(failed, 0);
    time.tv_sec as f64 + time.tv_nsec as f64 / 1e9
}

/// Seconds of one instruction among sixteen that do not wait for each other.
#[cfg(target_arch = "x86_64")]
macro_rules! seconds_of {
    ($instruction:literal, $operand:literal) => {{
        let before = cpu_seconds();
        // SAFETY: the caller found AVX-512 F; all registers that change are named.
        unsafe {
            asm!(
                "2:",
                seconds_of!(@ $instruction, $operand, "0"), seconds_of!(@ $instruction, $operand, "1"),
                seconds_of!(@ $instruction, $operand, "2"), seconds_of!(@ $instruction, $operand, "3"),
                seconds_of!(@ $instruction, $operand, "4"), seconds_of!(@ $instruction, $operand, "5"),
                seconds_of!(@ $instruction, $operand, "6"), seconds_of!(@ $instruction, $operand, "7"),
                seconds_of!(@ $instruction, $operand, "8"), seconds_of!(@ $instruction, $operand, "9"),
                seconds_of!(@ $instruction, $operand, "10"), seconds_of!(@ $instruction, $operand, "11"),
                seconds_of!(@ $instruction, $operand, "12"), seconds_of!(@ $instruction, $operand, "13"),
                seconds_of!(@ $instruction, $operand, "14"), seconds_of!(@ $instruction, $operand, "15"),
                "dec {turns}",
                "jnz 2b",
                turns = inout(reg) TURNS => _,
                out("zmm0") _, out("zmm1") _, out("zmm2") _, out("zmm3") _, out("zmm4") _, out("zmm5") _, out("zmm6") _,
                out("zmm7") _, out("zmm8") _, out("zmm9") _, out("zmm10") _, out("zmm11") _, out("zmm12") _,
                out("zmm13") _, out("zmm14") _, out("zmm15") _,
                options(nomem, nostack),
            );
        }
        (cpu_seconds() - before) / (16 * TURNS) as f64
    }};
    (@ $instruction:literal, $operand:literal, $register:literal) => {
        concat!($instruction, " zmm", $register, ", zmm", $register, ", ", $operand)
    };
}

#[cfg(target_arch = "x86_64")]
fn main() {
    let runs: u32 = std::env::args().nth(1).and_then(|runs| runs.parse().ok()).expect("limits RUNS");
    if !std::is_x86_feature_detected!("avx512f") {
        return;
    }
    let best = |run: fn() -> f64| (0..runs).map(|_| run()).fold(f64::MAX, f64::min);
    let any = best(|| seconds_of!("vpaddd", "zmm31"));
    let rotation = best(|| seconds_of!("vprord", "7"));
    let seconds = (OPERATIONS * any).max(ROTATIONS * rotation);
    println!("{:.4}", PAYLOAD_BYTES / seconds / GIB);
}

#[cfg(not(target_arch = "x86_64"))]
fn main() {}
