//! What one subscriber who does not read does to the others.
use latchlight_mqtt::QoS;

use crate::flow::{Flow, Limit, Route, run_name};
use crate::outcome::{Figure, Outcome};
use crate::pool::{Client, Pool};
use crate::scale::Scale;
use crate::target::Target;

const QOS: QoS = QoS::AtMostOnce;
/// As little as the kernel gives: what the slow one does not read stays with the broker.
const SMALLEST_BUFFER: usize = 2_048;

pub(super) fn run(target: &Target, scale: &Scale) -> anyhow::Result<Outcome> {
    let flow = Flow {
        messages: scale.messages(5_000),
        payload: 4_096,
        limit: Limit::PerSecond(1_000.0),
        ..Flow::new(Route::FanOut, 1, scale.clients(10), QOS)
    };
    let mut outcome = flow.run(target)?;
    let alone = outcome.get(Figure::P99);
    let beside = run_beside(&flow, target)?;
    outcome.failures.extend(beside.failures.iter().cloned());
    // All figures are of the run beside, but for the p99, of which there are two.
    outcome.figures.extend(beside.figures);
    if let (Some(alone), Some(beside)) = (alone, outcome.get(Figure::P99)) {
        outcome.set(Figure::P99, alone);
        outcome.set(Figure::P99Beside, beside);
    }
    let lost = outcome.get(Figure::Lost).unwrap_or_default();
    outcome.require(lost == 0.0, || format!("those who read lost {lost}"));
    Ok(outcome)
}

fn run_beside(flow: &Flow, target: &Target) -> anyhow::Result<Outcome> {
    let name = run_name();
    let mut pool = Pool::new(target)?;
    let mut senders = flow.set_up(&mut pool, &name)?;
    let slow = pool.len();
    let receive_buffer = Some(SMALLEST_BUFFER);
    pool.connect([Client { receive_buffer, ..Client::new(format!("{name}-slow")) }])?;
    pool.subscribe([(slow, vec![flow.filter(&name, 0)])], QOS)?;
    pool.stop_reading(slow)?;
    let mut outcome = Outcome::default();
    flow.measure(&mut pool, &mut senders, &mut outcome)?;
    Ok(outcome)
}
