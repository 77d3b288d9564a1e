//! The program behind `script/bench broker`.
use std::net::SocketAddr;

use anyhow::{Context, bail};
use clap::{Args, Parser, Subcommand};
use latchlight_broker_load::compare::{self, CompareArgs};
use latchlight_broker_load::{Listener, Scale, Target, WORKS, raise_limits};

#[derive(Parser)]
#[command(about = "Puts MQTT brokers under load and compares them; see script/bench")]
struct CommandLine {
    #[command(subcommand)]
    command: Command,
}

#[derive(Subcommand)]
enum Command {
    /// Give several brokers the same works in turn
    Compare(CompareArgs),
    /// Give one work to a broker that runs already
    Run(RunArgs),
    /// Name the works
    List,
}

#[derive(Args)]
struct RunArgs {
    /// The work
    work: String,
    /// The broker, as ADDRESS:PORT of plain TCP or, for works that need it, of WebSocket
    #[arg(long, default_value = "127.0.0.1:1883")]
    address: SocketAddr,
    /// The broker's process, whose processor time and memory are read
    #[arg(long)]
    pid: Option<u32>,
    /// Do this part of the work's messages (1 is all)
    #[arg(long, default_value_t = 1.0)]
    scale: f64,
    /// The version of MQTT: 4 is 3.1.1
    #[arg(long, default_value_t = 4, value_parser = clap::value_parser!(u8).range(4..=5))]
    mqtt: u8,
}

fn main() -> anyhow::Result<()> {
    raise_limits();
    match CommandLine::parse().command {
        Command::Compare(args) => compare::run(&args),
        Command::Run(args) => run(&args),
        Command::List => {
            for work in WORKS {
                println!("{:16} {}", work.name, work.what);
            }
            Ok(())
        }
    }
}

fn run(args: &RunArgs) -> anyhow::Result<()> {
    let work = WORKS.iter().find(|work| work.name == args.work);
    let work = work.with_context(|| format!("{}: no such work; see list", args.work))?;
    let mut target = Target::plain(args.address, args.pid);
    target.version = compare::version(args.mqtt);
    match work.listener {
        Listener::Plain => {}
        Listener::WebSocket => target.transport = latchlight_broker_load::Transport::WebSocket,
        Listener::Tls => bail!("a broker that runs already is not spoken to over TLS"),
    }
    let outcome = (work.run)(&target, &Scale { messages: args.scale, clients: 1.0 })?;
    println!("{}", serde_json::to_string_pretty(&outcome)?);
    Ok(())
}
