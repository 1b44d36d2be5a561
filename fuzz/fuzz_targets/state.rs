#![no_main]

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| stayput_fuzz::state(bytes));
