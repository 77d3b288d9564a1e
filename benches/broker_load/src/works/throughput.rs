//! Flows that are measured by what they cost the broker.
use latchlight_mqtt::QoS;

use crate::flow::{Flow, Limit, Route};
use crate::outcome::Outcome;
use crate::scale::Scale;
use crate::target::Target;

const QOS_0: QoS = QoS::AtMostOnce;
const QOS_1: QoS = QoS::AtLeastOnce;

pub(super) fn qos0(target: &Target, scale: &Scale) -> anyhow::Result<Outcome> {
    let flow = Flow::new(Route::Pairs, 1, 1, QOS_0);
    Flow { messages: scale.messages(1_000_000), ..flow }.run(target)
}

pub(super) fn qos0_window(target: &Target, scale: &Scale) -> anyhow::Result<Outcome> {
    one_to_one(target, 1_000, 64, scale.messages(1_000_000))
}

pub(super) fn qos1(target: &Target, scale: &Scale) -> anyhow::Result<Outcome> {
    pairs(target, 100, scale.messages(2_000_000), scale)
}

pub(super) fn qos1_window_1(target: &Target, scale: &Scale) -> anyhow::Result<Outcome> {
    pairs(target, 1, scale.messages(200_000), scale)
}

fn pairs(target: &Target, window: u32, messages: u64, scale: &Scale) -> anyhow::Result<Outcome> {
    let count = scale.clients(50);
    let flow = Flow::new(Route::Pairs, count, count, QOS_1);
    Flow { messages, limit: Limit::Outstanding(window), ..flow }.run(target)
}

pub(super) fn fan_out(target: &Target, scale: &Scale) -> anyhow::Result<Outcome> {
    to_many(target, QOS_0, Limit::Unthrottled, scale)
}

pub(super) fn fan_out_window(target: &Target, scale: &Scale) -> anyhow::Result<Outcome> {
    to_many(target, QOS_0, Limit::Outstanding(20), scale)
}

pub(super) fn fan_out_qos1(target: &Target, scale: &Scale) -> anyhow::Result<Outcome> {
    to_many(target, QOS_1, Limit::Outstanding(20), scale)
}

fn to_many(target: &Target, qos: QoS, limit: Limit, scale: &Scale) -> anyhow::Result<Outcome> {
    let flow = Flow::new(Route::FanOut, 1, scale.clients(1_000), qos);
    Flow { messages: scale.messages(1_000), limit, ..flow }.run(target)
}

pub(super) fn fan_in(target: &Target, scale: &Scale) -> anyhow::Result<Outcome> {
    let flow = Flow::new(Route::FanIn, scale.clients(50), 1, QOS_0);
    let messages = scale.messages(1_000_000);
    Flow { messages, limit: Limit::Outstanding(100), ..flow }.run(target)
}

pub(super) fn self_echo(target: &Target, scale: &Scale) -> anyhow::Result<Outcome> {
    let count = scale.clients(100);
    let flow = Flow::new(Route::Itself, count, count, QOS_0);
    let messages = scale.messages(10_000) * count as u64;
    Flow { messages, one_per_write: true, ..flow }.run(target)
}

pub(super) fn point_to_point(target: &Target, scale: &Scale) -> anyhow::Result<Outcome> {
    let count = scale.clients(1_000);
    let flow = Flow::new(Route::Pairs, count, count, QOS_1);
    let messages = scale.messages(25_000);
    Flow { messages, limit: Limit::PerSecond(5_000.0), ..flow }.run(target)
}

pub(super) fn shared(target: &Target, scale: &Scale) -> anyhow::Result<Outcome> {
    let flow = Flow::new(Route::Shared, scale.clients(1_000), 5, QOS_1);
    let messages = scale.messages(200_000);
    // No more than a member's queue takes by default: 1,000 with Mosquitto, for each of five.
    Flow { messages, limit: Limit::Outstanding(1), ..flow }.run(target)
}

pub(super) fn durable(target: &Target, scale: &Scale) -> anyhow::Result<Outcome> {
    let count = scale.clients(50);
    let flow = Flow::new(Route::Pairs, count, count, QOS_1);
    let messages = scale.messages(100_000);
    let limit = Limit::Outstanding(100);
    Flow { messages, limit, keeps_sessions: true, ..flow }.run(target)
}

pub(super) fn bytes_16(target: &Target, scale: &Scale) -> anyhow::Result<Outcome> {
    one_to_one(target, 1_000, 16, scale.messages(1_000_000))
}

pub(super) fn bytes_256(target: &Target, scale: &Scale) -> anyhow::Result<Outcome> {
    one_to_one(target, 1_000, 256, scale.messages(500_000))
}

pub(super) fn kib_1(target: &Target, scale: &Scale) -> anyhow::Result<Outcome> {
    one_to_one(target, 100, 1_024, scale.messages(300_000))
}

pub(super) fn kib_4(target: &Target, scale: &Scale) -> anyhow::Result<Outcome> {
    one_to_one(target, 100, 4_096, scale.messages(200_000))
}

pub(super) fn kib_64(target: &Target, scale: &Scale) -> anyhow::Result<Outcome> {
    one_to_one(target, 100, 65_536, scale.messages(20_000))
}

pub(super) fn websocket(target: &Target, scale: &Scale) -> anyhow::Result<Outcome> {
    one_to_one(target, 1_000, 64, scale.messages(500_000))
}

fn one_to_one(
    target: &Target,
    window: u32,
    payload: usize,
    messages: u64,
) -> anyhow::Result<Outcome> {
    let flow = Flow::new(Route::Pairs, 1, 1, QOS_0);
    Flow { messages, payload, limit: Limit::Outstanding(window), ..flow }.run(target)
}
