#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| raas_fuzz::run(raas_fuzz::dag::check, data));
