//! Writes the table of named packets as seeds for the fuzzer `packet`: a byte
//! for the version, then the packet.
//!
//! `cargo run -p latchlight-mqtt --example fuzz_seeds -- fuzz/corpus/packet`

use std::path::PathBuf;
use std::{env, fs, io};

use latchlight_mqtt::testing::packets;

fn main() -> io::Result<()> {
    let Some(folder) = env::args_os().nth(1).map(PathBuf::from) else {
        return Err(io::Error::other("give the folder that the seeds go to"));
    };
    fs::create_dir_all(&folder)?;
    let mut written = 0_usize;
    for row in packets() {
        for version in row.versions {
            let name = row.name.replace(|c: char| !c.is_ascii_alphanumeric(), "_");
            let seed = [&[*version as u8], row.bytes.as_slice()].concat();
            fs::write(folder.join(format!("{written:03}-{name}-{}", version.level())), seed)?;
            written += 1;
        }
    }
    println!("{written} seeds in {}", folder.display());
    Ok(())
}
