#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| raas_fuzz::run(raas_fuzz::cid::check, data));
