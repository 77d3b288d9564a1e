//! All simulated devices together.
use std::collections::HashMap;
use std::io::IsTerminal as _;
use std::sync::Arc;
use std::time::Duration;

use anyhow::{Context, bail};
use tokio::sync::mpsc;
use tokio::task::JoinSet;
use tokio_util::sync::CancellationToken;

use crate::open_files::OpenFiles;
use crate::simulate::args::{DevicePlan, SimulateArgs};
use crate::simulate::console::{Console, Tone};
use crate::simulate::device::{Device, Surroundings};
use crate::simulate::operator::{self, Line, Order};
use crate::simulate::server::Server;
use crate::simulate::tally::Tally;

/// So much time lies between the starts of two devices, so that thousands do not connect at once.
const STAGGER: Duration = Duration::from_millis(2);

/// Runs the devices until `shutdown` is cancelled, then disconnects them all and shows a summary.
/// Fails where there is nothing to simulate, no server answers, or nobody knows the broker's host.
pub async fn run(args: SimulateArgs, shutdown: CancellationToken) -> anyhow::Result<()> {
    if let Some(broker) = &args.broker {
        // A broker that is not there yet is waited for; a host that nobody knows is a slip.
        let address = &broker.address;
        let known = tokio::net::lookup_host(address).await;
        drop(known.with_context(|| format!("--broker: find the host of {address}"))?);
    }
    // Each device has a connection.
    OpenFiles::ask();
    run_with(args, operator::lines(), shutdown).await.map(drop)
}

/// As [`run`], with the lines that somebody types; returns what happened.
pub(super) async fn run_with(
    args: SimulateArgs,
    lines: mpsc::Receiver<String>,
    shutdown: CancellationToken,
) -> anyhow::Result<Tally> {
    let mut plans = args.devices();
    check(&plans, &args)?;
    let (broker, prefix) = match args.broker {
        Some(broker) if !args.signed => (broker, args.prefix),
        broker => {
            let server = match broker {
                Some(broker) => Server::on(&args.config, broker, args.prefix).await?,
                None => Server::find(&args.config).await?,
            };
            server.let_in(&mut plans, args.signed).await?;
            (server.broker, server.prefix)
        }
    };
    let width = plans.iter().map(|plan| plan.id.len()).max().unwrap_or(0);
    let console = Console::new(args.quiet, width);
    console.say(format_args!(
        "locks: {}, lights: {}, cameras: {}; on {}, below {}/devices",
        args.locks, args.lights, args.cameras, broker.address, prefix
    ));
    if std::io::stdin().is_terminal() && !args.quiet {
        console.say(format_args!("{}", operator::USAGE));
    }
    let surroundings = Arc::new(Surroundings {
        broker,
        version: args.mqtt.into(),
        prefix,
        plain: args.plain,
        stranger_every: Duration::from_secs(args.stranger_every),
        console: console.clone(),
        shutdown: shutdown.clone(),
    });
    let mut fleet = Fleet::default();
    let starting = async {
        for plan in &plans {
            fleet.start(plan, &surroundings);
            tokio::time::sleep(STAGGER).await;
        }
    };
    tokio::select! {
        () = starting => {}
        () = shutdown.cancelled() => {}
    }
    fleet.listen(lines, &console, &shutdown).await;
    let count = fleet.devices.len();
    console.say(format_args!("stopping: all disconnect ({count})"));
    let total = fleet.join().await?;
    console.say(format_args!("all devices have disconnected\n{total}"));
    Ok(total)
}

fn check(plans: &[DevicePlan], args: &SimulateArgs) -> anyhow::Result<()> {
    if plans.is_empty() {
        bail!("nothing to simulate: ask for some --locks, --lights or --cameras");
    }
    for id in &args.jam {
        if !plans.iter().any(|plan| plan.id == *id && plan.jammed) {
            bail!("--jam {id}: there is no such device");
        }
    }
    if args.slow > args.locks {
        bail!("--slow {}: there are only {} locks", args.slow, args.locks);
    }
    Ok(())
}

/// The running devices.
#[derive(Default)]
struct Fleet {
    orders: HashMap<String, mpsc::Sender<Order>>,
    devices: JoinSet<Tally>,
}

impl Fleet {
    fn start(&mut self, plan: &DevicePlan, surroundings: &Arc<Surroundings>) {
        // A person types slowly; what does not fit is refused with a word.
        let (sender, receiver) = mpsc::channel(8);
        self.orders.insert(plan.id.clone(), sender);
        self.devices.spawn(Device::new(plan, surroundings.clone(), receiver).run());
    }

    /// Passes on what is typed, until the fleet is to stop.
    async fn listen(
        &self,
        mut lines: mpsc::Receiver<String>,
        console: &Console,
        shutdown: &CancellationToken,
    ) {
        loop {
            let line = tokio::select! {
                () = shutdown.cancelled() => return,
                line = lines.recv() => line,
            };
            let Some(line) = line else {
                // Standard input has ended: nobody types any more.
                shutdown.cancelled().await;
                return;
            };
            if !line.trim().is_empty() {
                self.pass_on(&line, console);
            }
        }
    }

    fn pass_on(&self, line: &str, console: &Console) {
        let Ok(Line { order, device }) = line.parse() else {
            console.say(format_args!("{}", operator::USAGE));
            return;
        };
        match self.orders.get(&device).map(|orders| orders.try_send(order)) {
            Some(Ok(())) => {}
            Some(Err(_)) => {
                console.line(&device, Tone::Bad, format_args!("is busy: type it again"));
            }
            None => console.line(&device, Tone::Bad, format_args!("there is no such device")),
        }
    }

    async fn join(mut self) -> anyhow::Result<Tally> {
        let mut total = Tally::default();
        while let Some(tally) = self.devices.join_next().await {
            total += tally.context("run a simulated device")?;
        }
        Ok(total)
    }
}
