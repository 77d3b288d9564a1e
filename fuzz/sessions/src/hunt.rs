//! Makes up scripts from seeds, and makes one that fails as short as it can.

use std::panic::catch_unwind;

use crate::world::{run, set_quiet};

/// How long a script is at most, in bytes.
const LONGEST: usize = 2000;

/// A script that fails.
#[derive(Debug)]
pub struct Finding {
    /// What it was made up from, before it was shortened.
    pub seed: u64,
    /// As short as it could be made.
    pub script: Vec<u8>,
}

/// Runs the scripts of the seeds from `first` on, for as long as `goes_on` says
/// so of the next one; gives the first that fails.
pub fn hunt(first: u64, mut goes_on: impl FnMut(u64) -> bool) -> Option<Finding> {
    set_quiet(true);
    let found = (first..).take_while(|seed| goes_on(*seed)).find(|seed| fails(&make_up(*seed)));
    let finding = found.map(|seed| Finding { seed, script: shorten(make_up(seed)) });
    set_quiet(false);
    finding
}

fn fails(script: &[u8]) -> bool {
    catch_unwind(|| run(script)).is_err()
}

/// The script of a seed.
fn make_up(seed: u64) -> Vec<u8> {
    // xorshift64
    let mut state = seed.wrapping_mul(0x9E37_79B9_7F4A_7C15) | 1;
    let mut next = || {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        (state >> 32) as u32
    };
    let length = 50 + next() as usize % (LONGEST - 50);
    (0..length).map(|_| next() as u8).collect()
}

/// Leaves out what is not needed for it to fail, in pieces that get smaller.
fn shorten(mut script: Vec<u8>) -> Vec<u8> {
    let mut piece = script.len() / 2;
    while piece > 0 {
        let before = script.len();
        let mut at = 0;
        while at < script.len() {
            let mut shorter = script.clone();
            shorter.drain(at..(at + piece).min(script.len()));
            if fails(&shorter) {
                script = shorter;
            } else {
                at += piece;
            }
        }
        if script.len() == before || piece > 16 {
            piece /= 2;
        }
    }
    script
}
