//! Whole sessions: several clients of mixed versions against one broker, while
//! time passes and the power goes; a model of what they were promised checks
//! what they get.
#![no_main]

use libfuzzer_sys::fuzz_target;

fuzz_target!(|script: &[u8]| latchlight_fuzz_sessions::run(script));
