//! The callers: each sends its next request when it has the answer.
use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use anyhow::Context;
use clap::{Args, ValueEnum};
use hdrhistogram::Histogram;
use latchlight_contest::accounting;
use serde::{Deserialize, Serialize};
use tokio::task::JoinSet;

use crate::http::{Answer, Caller};

#[derive(Args)]
pub struct LoadArgs {
    /// The server, as HOST:PORT
    #[arg(long)]
    server: String,
    /// The access token that they show
    #[arg(long)]
    token: Option<String>,
    /// What they ask for
    #[arg(long, value_enum, default_value_t = Work::Lock)]
    work: Work,
    /// How many callers
    #[arg(long, default_value_t = 1)]
    callers: usize,
    /// For how many seconds requests count
    #[arg(long, default_value_t = 8.0)]
    seconds: f64,
    /// For how many seconds before that they do not
    #[arg(long, default_value_t = 1.0)]
    warm_up: f64,
    /// A process whose processor time is reported, with that of its children, as NAME=PID; may be
    /// repeated
    #[arg(long, value_parser = parse_watched)]
    watch: Vec<Watched>,
}

/// What a caller asks for, again and again.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum Work {
    /// `POST /lock?device=…`, each caller with a device of its own: lock-1, lock-2, …
    Lock,
    /// `POST /lock`: all devices
    LockAll,
    /// `GET /hello`
    Hello,
}

impl Work {
    /// As it is written on the command line.
    pub fn name(self) -> &'static str {
        match self {
            Self::Lock => "lock",
            Self::LockAll => "lock-all",
            Self::Hello => "hello",
        }
    }

    fn request(self, caller: usize) -> (&'static str, String) {
        match self {
            Self::Lock => ("POST", format!("/lock?device=lock-{caller}")),
            Self::LockAll => ("POST", "/lock".to_owned()),
            Self::Hello => ("GET", "/hello".to_owned()),
        }
    }

    /// Whether it was done: 200 is said of several devices when all have confirmed.
    fn is_done(self, answer: &Answer) -> bool {
        answer.status == 200 && (self == Self::Hello || answer.body.contains("\"confirmed\""))
    }
}

/// A process to watch and what to call it.
#[derive(Debug, Clone)]
pub struct Watched {
    name: String,
    pid: u32,
}

fn parse_watched(text: &str) -> Result<Watched, String> {
    let (name, pid) = text.split_once('=').ok_or("write NAME=PID")?;
    let pid = pid.parse().map_err(|_| format!("{pid} is no process id"))?;
    Ok(Watched { name: name.into(), pid })
}

/// What the callers saw.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Measured {
    pub callers: usize,
    pub answers: u64,
    /// Answers that were no confirmation, and requests without an answer.
    pub failures: u64,
    pub reconnects: u64,
    pub seconds: f64,
    pub per_second: f64,
    pub p50_micros: u64,
    pub p99_micros: u64,
    pub max_micros: u64,
    /// The callers' own processor time per answer.
    pub own_cpu_micros: f64,
    /// The processor time per answer of each process that was watched.
    pub cpu_micros: BTreeMap<String, f64>,
    /// The first failure, in words.
    pub first_failure: Option<String>,
}

struct Tally {
    histogram: Histogram<u64>,
    failures: u64,
    reconnects: u64,
    first_failure: Option<String>,
}

impl Tally {
    fn new() -> anyhow::Result<Self> {
        // From 1 µs to a minute, with three digits.
        let histogram = Histogram::new_with_bounds(1, 60_000_000, 3)?;
        Ok(Self { histogram, failures: 0, reconnects: 0, first_failure: None })
    }
}

/// Measures and prints a line of JSON.
pub async fn run(args: LoadArgs) -> anyhow::Result<()> {
    let begin = Instant::now() + Duration::from_secs_f64(args.warm_up);
    let end = begin + Duration::from_secs_f64(args.seconds);
    let mut callers = JoinSet::new();
    for number in 1..=args.callers {
        let caller = Caller::new(args.server.clone(), args.token.as_deref());
        callers.spawn(call_until(caller, args.work, number, begin, end));
    }
    tokio::time::sleep_until(begin.into()).await;
    let own_before = accounting::own_cpu_seconds()?;
    let watched_before: Vec<f64> =
        args.watch.iter().map(|watched| accounting::tree_cpu_seconds(watched.pid)).collect();
    let mut total = Tally::new()?;
    while let Some(tally) = callers.join_next().await {
        let tally = tally.context("run a caller")??;
        total.histogram.add(&tally.histogram)?;
        total.failures += tally.failures;
        total.reconnects += tally.reconnects;
        total.first_failure = total.first_failure.or(tally.first_failure);
    }
    let own = accounting::own_cpu_seconds()? - own_before;
    let answers = total.histogram.len();
    let per_answer = |seconds: f64| seconds * 1e6 / (answers as f64).max(1.0);
    let cpu_micros = args
        .watch
        .iter()
        .zip(watched_before)
        .map(|(watched, before)| {
            (watched.name.clone(), per_answer(accounting::tree_cpu_seconds(watched.pid) - before))
        })
        .collect();
    let measured = Measured {
        callers: args.callers,
        answers,
        failures: total.failures,
        reconnects: total.reconnects,
        seconds: args.seconds,
        per_second: answers as f64 / args.seconds,
        p50_micros: total.histogram.value_at_quantile(0.5),
        p99_micros: total.histogram.value_at_quantile(0.99),
        max_micros: total.histogram.max(),
        own_cpu_micros: per_answer(own),
        cpu_micros,
        first_failure: total.first_failure,
    };
    println!("{}", serde_json::to_string(&measured)?);
    Ok(())
}

async fn call_until(
    mut caller: Caller,
    work: Work,
    number: usize,
    begin: Instant,
    end: Instant,
) -> anyhow::Result<Tally> {
    let mut tally = Tally::new()?;
    let (method, path) = work.request(number);
    loop {
        let sent = Instant::now();
        if sent >= end {
            tally.reconnects = caller.reconnects;
            return Ok(tally);
        }
        let failure = match caller.call(method, &path).await {
            Ok(answer) if work.is_done(&answer) => None,
            Ok(answer) => Some(format!("{} {:.1000}", answer.status, answer.body)),
            Err(error) => Some(format!("{error:#}")),
        };
        let answered = Instant::now();
        if sent < begin || answered > end {
            continue;
        }
        match failure {
            None => {
                let micros = u64::try_from((answered - sent).as_micros())?;
                tally.histogram.saturating_record(micros);
            }
            Some(failure) => {
                tally.failures += 1;
                tally.first_failure.get_or_insert(failure);
            }
        }
    }
}
