//! Measures what could stand behind the broker's store: each candidate does
//! what the store does, durable commits of a few rows, in a process of its own
//! on the same disk, in turn with the others.
//!
//! `script/bench stores` runs it; docs/adr/0004 has what came out.

mod fjall_store;
mod heed_store;
mod measure;
mod redb_store;
mod report;
mod rocksdb_store;
mod work;

use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use anyhow::{Context as _, bail, ensure};
use latchlight_broker::{SqliteStore, Store};

use measure::Figures;

/// Every candidate, the one that we have first.
const CANDIDATES: [&str; 5] = ["sqlite", "redb", "fjall", "heed", "rocksdb"];

/// Not a candidate: what the disk does by itself.
const DISK: &str = "disk";

fn main() -> anyhow::Result<()> {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let arguments: Vec<&str> = arguments.iter().map(String::as_str).collect();
    match arguments[..] {
        ["measure", DISK, folder] => print(&measure::disk(Path::new(folder))?),
        ["measure", name, folder] => print(&measure::candidate(name, Path::new(folder))?),
        [folder] => compare(Path::new(folder), 3),
        [folder, rounds] => compare(Path::new(folder), rounds.parse().context("rounds")?),
        _ => bail!("usage: latchlight-store-bench FOLDER [ROUNDS]"),
    }
}

/// Opens a candidate in a folder of its own.
fn open(name: &str, folder: &Path) -> anyhow::Result<Box<dyn Store>> {
    Ok(match name {
        "sqlite" => Box::new(SqliteStore::open(folder.join("broker.sqlite"))?),
        "redb" => Box::new(redb_store::RedbStore::open(&folder.join("broker.redb"))?),
        "fjall" => Box::new(fjall_store::FjallStore::open(folder)?),
        "heed" => Box::new(heed_store::HeedStore::open(folder)?),
        "rocksdb" => Box::new(rocksdb_store::RocksdbStore::open(folder)?),
        _ => bail!("{name} is none of {CANDIDATES:?}"),
    })
}

fn print(figures: &Figures) -> anyhow::Result<()> {
    println!("{}", serde_json::to_string(figures)?);
    Ok(())
}

/// Has each candidate measured by a process of its own, in turn.
fn compare(folder: &Path, rounds: usize) -> anyhow::Result<()> {
    let mut all = Vec::new();
    for round in 0..rounds {
        for name in [DISK].into_iter().chain(CANDIDATES) {
            eprintln!("round {} of {rounds}: {name}", round + 1);
            let place: PathBuf = folder.join(name);
            if place.exists() {
                std::fs::remove_dir_all(&place)?;
            }
            std::fs::create_dir_all(&place)?;
            let mut command = Command::new(std::env::current_exe()?);
            command.args(["measure", name]).arg(&place).stderr(Stdio::inherit());
            let output = command.output()?;
            ensure!(output.status.success(), "{name} failed");
            all.push((name, serde_json::from_slice::<Figures>(&output.stdout)?));
            std::fs::remove_dir_all(&place)?;
        }
    }
    println!("{}", report::table(&all));
    Ok(())
}
