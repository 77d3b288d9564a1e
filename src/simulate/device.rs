//! One simulated device: its connection, its mechanism and what it says.
use std::sync::Arc;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use bytes::Bytes;
use latchlight_client::{BrokerUrl, Client, ClientOptions, CommandKey, Events};
use latchlight_mqtt::{ProtocolVersion, QoS, TopicName, Will};
use tokio::sync::mpsc;
use tokio::time::{Instant, sleep_until, timeout};
use tokio_util::sync::CancellationToken;

use crate::simulate::actuator::Actuator;
use crate::simulate::args::DevicePlan;
use crate::simulate::console::{Console, Tone};
use crate::simulate::kind::Kind;
use crate::simulate::operator::Order;
use crate::simulate::outgoing::{Item, Outgoing};
use crate::simulate::picture;
use crate::simulate::server::Password;
use crate::simulate::tally::Tally;

/// How long the server has to answer a hand shake before it is repeated; doubles each time.
pub(super) const JOIN_WAIT: Duration = Duration::from_secs(5);
/// How long a camera waits for the server's word on its picture, before it goes on without.
const PICTURE_WAIT: Duration = Duration::from_secs(5);
/// How long a device that stops goes on trying to say its last words.
const FAREWELL: Duration = Duration::from_secs(2);

/// What all devices of the fleet share.
#[derive(Debug)]
pub(super) struct Surroundings {
    pub(super) broker: BrokerUrl,
    pub(super) version: ProtocolVersion,
    pub(super) prefix: String,
    pub(super) plain: bool,
    /// Zero: only on request.
    pub(super) stranger_every: Duration,
    pub(super) console: Console,
    pub(super) shutdown: CancellationToken,
}

/// One device, while it has power and while it has not.
pub(super) struct Device {
    pub(super) id: String,
    pub(super) kind: Kind,
    pub(super) surroundings: Arc<Surroundings>,
    orders: mpsc::Receiver<Order>,
    pub(super) actuator: Actuator,
    pub(super) tally: Tally,
    pub(super) ever_joined: bool,
    password: Option<Password>,
    pub(super) command_key: Option<CommandKey>,
    /// The counter of the last command that was signed; it outlives a power cut.
    pub(super) last_counter: i64,
    next_stranger: Option<Instant>,
}

/// Why a device stopped working.
enum PowerOff {
    Shutdown,
    Unplugged,
    /// Another client has our id, and took the session for good.
    TakenOver,
}

/// A device that has power: its client and how far it came with the server.
pub(super) struct Session {
    client: Client,
    pub(super) outgoing: Outgoing,
    pub(super) connected: bool,
    pub(super) subscribed: bool,
    /// When the hand shake is repeated; None once it is answered, or while there is no connection.
    pub(super) join_again: Option<Instant>,
    pub(super) join_wait: Duration,
    /// Until when a camera waits for the server's word on its picture.
    pub(super) picture_until: Option<Instant>,
}

impl Device {
    pub(super) fn new(
        plan: &DevicePlan,
        surroundings: Arc<Surroundings>,
        orders: mpsc::Receiver<Order>,
    ) -> Self {
        let regular = plan.kind == Kind::Camera && !surroundings.stranger_every.is_zero();
        let next_stranger = regular.then(|| Instant::now() + surroundings.stranger_every);
        Self {
            id: plan.id.clone(),
            kind: plan.kind,
            surroundings,
            orders,
            actuator: Actuator::new(plan),
            tally: Tally::default(),
            ever_joined: false,
            password: plan.password.clone(),
            command_key: plan.command_key.clone(),
            last_counter: 0,
            next_stranger,
        }
    }

    /// Lives until the fleet is shut down, and returns what happened.
    pub(super) async fn run(mut self) -> Tally {
        let shutdown = self.surroundings.shutdown.clone();
        loop {
            let (client, mut events) = Client::start(self.options());
            let mut session = Session {
                outgoing: Outgoing::new(client.clone()),
                client,
                connected: false,
                subscribed: false,
                join_again: None,
                join_wait: JOIN_WAIT,
                picture_until: None,
            };
            match self.powered(&mut session, &mut events).await {
                PowerOff::Shutdown => {
                    self.say_farewell(&mut session, &mut events).await;
                    break;
                }
                PowerOff::Unplugged => {
                    self.show(Tone::Bad, format_args!("power cut: gone without a word"));
                    self.actuator.power_cut();
                    // A client that has stopped by itself is as silent.
                    let _ = session.client.abort().await;
                }
                // The event before has said so.
                PowerOff::TakenOver => self.actuator.power_cut(),
            }
            if !self.without_power(&shutdown).await {
                break;
            }
            self.show(Tone::Plain, format_args!("power is back: starting"));
        }
        self.tally.never_joined = u64::from(!self.ever_joined);
        self.tally
    }

    fn options(&self) -> ClientOptions {
        let mut options = ClientOptions::for_broker(&self.surroundings.broker, self.id.clone());
        if let Some(password) = &self.password {
            options.username = Some(self.id.as_str().into());
            options.password = Some(password.clone().into());
        }
        options.version = self.surroundings.version;
        options.keep_alive = Duration::from_secs(30);
        options.event_queue = 32;
        options.request_queue = 4;
        let topic = TopicName::try_from(self.topic("online").as_str())
            .expect("the prefix and the id were checked");
        options.will = Some(Will {
            topic,
            payload: Bytes::from_static(b"offline"),
            qos: QoS::AtLeastOnce,
            retain: true,
            properties: Default::default(),
        });
        options
    }

    /// Works until the power goes or the fleet stops.
    async fn powered(&mut self, session: &mut Session, events: &mut Events) -> PowerOff {
        let shutdown = self.surroundings.shutdown.clone();
        loop {
            tokio::select! {
                () = shutdown.cancelled() => return PowerOff::Shutdown,
                Some(order) = self.orders.recv() => {
                    if order == Order::Unplug {
                        return PowerOff::Unplugged;
                    }
                    self.obey_operator(order, session);
                }
                event = events.next() => match event {
                    Some(event) => self.notice(event, session),
                    None => return PowerOff::TakenOver,
                },
                (item, result) = session.outgoing.next_done() => self.sent(item, result, session),
                () = sleep_until_some(self.actuator.due()) => {
                    let steps = self.actuator.advance(Instant::now(), unix_now());
                    self.take(steps, session);
                }
                () = sleep_until_some(session.join_again) => {
                    self.show(Tone::Bad, format_args!("the server does not answer: again hand_shake"));
                    self.shake_hands(session);
                }
                () = sleep_until_some(session.picture_until) => {
                    self.show(Tone::Bad, format_args!("no word on the picture"));
                    self.find_stranger("", session);
                }
                () = sleep_until_some(self.next_stranger) => {
                    self.next_stranger = Some(Instant::now() + self.surroundings.stranger_every);
                    self.see_stranger(session);
                }
            }
        }
    }

    /// Waits for power. False: the fleet stops.
    async fn without_power(&mut self, shutdown: &CancellationToken) -> bool {
        loop {
            tokio::select! {
                () = shutdown.cancelled() => return false,
                Some(order) = self.orders.recv() => match order {
                    Order::Plug => return true,
                    Order::Jam => drop(self.actuator.jam()),
                    Order::Free => drop(self.actuator.free()),
                    Order::Unplug | Order::Press => {
                        self.show(Tone::Bad, format_args!("has no power: plug {} first", self.id));
                    }
                },
            }
        }
    }

    /// Says what waits, then that it goes, and disconnects, so that no will is needed.
    async fn say_farewell(&mut self, session: &mut Session, events: &mut Events) {
        if !session.connected {
            let _ = session.client.disconnect().await;
            return;
        }
        self.publish(session, "online", Bytes::from_static(b"offline"), true, true);
        let farewell = async {
            // Events are taken as before: a full queue would keep the answers from us.
            while !session.outgoing.is_empty() {
                tokio::select! {
                    _ = session.outgoing.next_done() => {}
                    event = events.next() => if event.is_none() { return },
                }
            }
        };
        let said = timeout(FAREWELL, farewell).await.is_ok();
        // Stopped is stopped, be it by the client itself.
        let _ = session.client.disconnect().await;
        match said {
            true => self.show(Tone::Plain, format_args!("disconnected")),
            false => self.show(Tone::Bad, format_args!("disconnected with things unsaid")),
        }
    }

    fn obey_operator(&mut self, order: Order, session: &mut Session) {
        match order {
            Order::Jam if self.actuator.jam() => {
                self.show(Tone::Bad, format_args!("jams from now on"));
            }
            Order::Jam => self.show(Tone::Bad, format_args!("has nothing that could jam")),
            Order::Free => {
                self.show(Tone::Good, format_args!("is free again"));
                let steps = self.actuator.free();
                self.take(steps, session);
            }
            Order::Press if self.kind == Kind::Camera => self.see_stranger(session),
            Order::Press => self.show(Tone::Bad, format_args!("is no camera")),
            Order::Plug | Order::Unplug => self.show(Tone::Plain, format_args!("has power")),
        }
    }

    fn see_stranger(&mut self, session: &mut Session) {
        if !session.connected {
            self.show(Tone::Bad, format_args!("sees a stranger, and is not connected"));
            return;
        }
        match picture::stranger(unix_millis()) {
            Ok(bytes) => {
                self.tally.pictures += 1;
                let size = bytes.len();
                self.show(Tone::Busy, format_args!("sees a stranger: picture of {size} bytes"));
                self.publish(session, "picture", bytes, false, false);
                // The server says under which id it keeps the picture.
                session.picture_until = Some(Instant::now() + PICTURE_WAIT);
            }
            Err(error) => self.show(Tone::Bad, format_args!("cannot make a picture: {error}")),
        }
    }

    pub(super) fn publish(
        &self,
        session: &mut Session,
        channel: &str,
        payload: Bytes,
        retain: bool,
        keep: bool,
    ) {
        let topic = self.topic(channel);
        self.push(session, Item::Publish { topic, payload, retain, keep });
    }

    pub(super) fn push(&self, session: &mut Session, item: Item) {
        if !session.outgoing.push(item) {
            self.show(Tone::Bad, format_args!("has too much to say: dropped the oldest"));
        }
    }

    pub(super) fn topic(&self, channel: &str) -> String {
        format!("{}/devices/{}/{channel}", self.surroundings.prefix, self.id)
    }

    pub(super) fn show(&self, tone: Tone, text: std::fmt::Arguments<'_>) {
        self.surroundings.console.line(&self.id, tone, text);
    }
}

async fn sleep_until_some(deadline: Option<Instant>) {
    match deadline {
        Some(deadline) => sleep_until(deadline).await,
        None => std::future::pending().await,
    }
}

fn unix_millis() -> u64 {
    // A clock before 1970 counts as 1970: every command is in time then.
    let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    u64::try_from(since.as_millis()).unwrap_or(u64::MAX)
}

pub(super) fn unix_now() -> i64 {
    i64::try_from(unix_millis() / 1000).unwrap_or(i64::MAX)
}
