//! Any bytes are a contribution that encodes to the same bytes again, or an error with a name.

#![no_main]

#[path = "../cases.rs"]
mod cases;

libfuzzer_sys::fuzz_target!(|data: &[u8]| {
    cases::check(data);
});
