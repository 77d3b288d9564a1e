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
    let alone = flow.run(target)?;
    let mut outcome = run_beside(&flow, target)?;
    outcome.failures.extend(alone.failures);
    // What it costs and how much memory it takes is of the run beside, the latencies are of both.
    if let Some(beside) = outcome.get(Figure::P99) {
        outcome.set(Figure::P99Beside, beside);
    }
    for figure in [Figure::P50, Figure::P99, Figure::P999, Figure::Max] {
        if let Some(value) = alone.figures.get(&figure) {
            outcome.set(figure, *value);
        }
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
