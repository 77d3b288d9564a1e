//! The end-to-end benchmark: `POST /lock?device=ID` → device → acknowledged → answer, on Latchlight
//! and on a Flask gateway beside mosquitto, side by side. `script/bench` builds what it needs and
//! runs it.
//!
//! One program in several roles, each a process of its own, so that the processor time of servers,
//! devices and callers can be told apart: `fleet` is the devices, `load` the callers, `bare` a server
//! with nothing in it, `dispatch` the device interface without a server around it; `compare` and
//! `server` start what they need and report.
#![allow(missing_docs, unreachable_pub)]

mod bare;
mod callers;
mod compare;
mod dispatch;
mod fleet;
mod http;
mod report;
mod roster;
mod server;
mod server_report;
mod servers;

use clap::{Parser, Subcommand};

#[derive(Parser)]
#[command(about = "Measures commands from HTTP to a device and back; see script/bench")]
struct CommandLine {
    #[command(subcommand)]
    role: Option<Role>,
    /// Cargo passes this to every benchmark
    #[arg(long, hide = true, global = true)]
    bench: bool,
    /// cargo nextest asks every program with this for its tests; here are none
    #[arg(long, hide = true)]
    list: bool,
    #[arg(long, hide = true)]
    format: Option<String>,
    #[arg(long, hide = true)]
    ignored: bool,
}

#[derive(Subcommand)]
enum Role {
    /// Be the devices: acknowledge every command at once
    Fleet(fleet::FleetArgs),
    /// Be the callers: send requests and measure the answers
    Load(callers::LoadArgs),
    /// Be the least that actix-web can be
    Bare(bare::BareArgs),
    /// Be the device interface alone, and say how fast it is
    Dispatch(dispatch::DispatchArgs),
    /// Measure the whole server
    Server(server::ServerArgs),
    /// Run Latchlight and the Flask gateway in turn and compare them
    Compare(compare::CompareArgs),
}

fn main() -> anyhow::Result<()> {
    let line = CommandLine::parse();
    if line.list {
        return Ok(());
    }
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    match line.role {
        Some(Role::Fleet(args)) => runtime.block_on(fleet::run(args)),
        Some(Role::Load(args)) => runtime.block_on(callers::run(args)),
        Some(Role::Dispatch(args)) => runtime.block_on(dispatch::run(args)),
        Some(Role::Bare(args)) => bare::run(&args),
        Some(Role::Server(args)) => server::run(&args),
        Some(Role::Compare(args)) => compare::run(&args),
        None => {
            println!("command_load: run script/bench");
            Ok(())
        }
    }
}
