//! Runs the scripts of files and prints their steps: `cargo run --example replay
//! -- FILE..`.

fn main() -> std::io::Result<()> {
    latchlight_fuzz_sessions::set_loud(true);
    for file in std::env::args().skip(1) {
        println!("{file}");
        latchlight_fuzz_sessions::run(&std::fs::read(file)?);
    }
    Ok(())
}
