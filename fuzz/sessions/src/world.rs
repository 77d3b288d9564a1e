//! The broker, its clients, and the steps of a script.

use std::cell::Cell;
use std::panic::PanicHookInfo;
use std::sync::Once;
use std::time::Duration;

use latchlight_mqtt::testing::packets;
use latchlight_mqtt::{Connect, Packet, PacketType, ProtocolVersion, ReasonCode};

use crate::message::{Message, Owed, Taken};
use crate::op::{Hello, Op, SLOTS, TOPICS};
use crate::peer::Peer;
use crate::retained::Kept;
use crate::rules::EVIL;
use crate::script::Script;
use crate::setup::{Running, Setup};
use crate::slot::{Exists, Link, Slot};

/// How many steps a script has at most.
const STEPS: usize = 300;

/// How many connections of the evil one are kept.
const EVIL_ONES: usize = 3;

thread_local! {
    static PANICS: Cell<usize> = const { Cell::new(0) };
    static QUIET: Cell<bool> = const { Cell::new(false) };
    static LOUD: Cell<bool> = const { Cell::new(false) };
}

pub(crate) struct World {
    pub(crate) setup: Setup,
    pub(crate) running: Running,
    /// How long earlier runs of the broker took, in ms.
    pub(crate) passed: u64,
    /// When the store took changes last, in ms.
    committed: u64,
    pub(crate) tick: u64,
    pub(crate) slots: [Slot; SLOTS],
    /// What was known of each session when it was asked for.
    pub(crate) expected: [Exists; SLOTS],
    pub(crate) messages: Vec<Message>,
    pub(crate) kept: Kept,
    evil: Vec<Peer>,
    pub(crate) has_failed: bool,
    /// The store may not be able to write, as the broker knows it.
    pub(crate) store_is_down: bool,
    pub(crate) store_fails: bool,
    /// What earlier runs have counted as dropped.
    dropped: u64,
    log: Log,
}

/// The steps, printed where one of them fails.
struct Log(Vec<String>);

impl Drop for Log {
    fn drop(&mut self) {
        if std::thread::panicking() && !QUIET.with(Cell::get) {
            eprintln!("the steps:");
            self.0.iter().for_each(|step| eprintln!("  {step}"));
        }
    }
}

/// Runs a script to its end.
///
/// # Panics
/// The broker has broken a promise.
pub fn run(script: &[u8]) {
    watch_for_panics();
    let mut script = Script::new(script);
    let setup = Setup::decode(&mut script);
    let mut world = World::new(setup);
    let mut steps = 0;
    while !script.is_over() && steps < STEPS {
        let op = Op::decode(&mut script);
        world.step(&op);
        steps += 1;
    }
    world.end();
}

/// Whether this thread prints nothing where a script fails.
pub(crate) fn set_quiet(quiet: bool) {
    QUIET.with(|known| known.set(quiet));
}

/// Whether this thread prints each step when it begins.
pub fn set_loud(loud: bool) {
    LOUD.with(|known| known.set(loud));
}

/// A panic of a handler ends its client only; here it is a finding.
fn watch_for_panics() {
    static ONCE: Once = Once::new();
    ONCE.call_once(|| {
        let before = std::panic::take_hook();
        std::panic::set_hook(Box::new(move |info: &PanicHookInfo<'_>| {
            PANICS.with(|panics| panics.set(panics.get() + 1));
            if !QUIET.with(Cell::get) {
                before(info);
            }
        }));
    });
    PANICS.with(|panics| panics.set(0));
}

impl World {
    fn new(setup: Setup) -> Self {
        let running = setup.start(0);
        let log = format!(
            "tight: {}, store: {}, {:?}",
            setup.is_tight,
            setup.disk.is_some(),
            setup.options.when_full
        );
        Self {
            running,
            setup,
            passed: 0,
            committed: 0,
            tick: 0,
            slots: Default::default(),
            expected: [Exists::No; SLOTS],
            messages: Vec::new(),
            kept: Kept::new(),
            evil: Vec::new(),
            has_failed: false,
            store_is_down: false,
            store_fails: false,
            dropped: 0,
            log: Log(vec![log]),
        }
    }

    /// Since the beginning, in ms.
    pub(crate) fn now(&self) -> u64 {
        self.passed + self.running.still.now()
    }

    pub(crate) fn note(&mut self, what: String) {
        let now = self.now();
        let line = format!("{} at {now}: {what}", self.tick);
        if LOUD.with(Cell::get) {
            println!("{line}");
        }
        self.log.0.push(line);
    }

    /// Whether nothing but expiry keeps a message from being taken.
    pub(crate) fn takes_all(&self) -> bool {
        !self.setup.is_tight && !self.has_failed
    }

    /// Whether the broker reads what is sent to it at once.
    pub(crate) fn is_flowing(&self) -> bool {
        !self.setup.is_tight
    }

    fn step(&mut self, op: &Op) {
        self.tick += 1;
        self.note(format!("{op:?}"));
        match op {
            Op::Connect(at, hello) => self.connect(*at, hello.clone()),
            Op::Disconnect { slot, with_will, expiry } => {
                self.disconnect(*slot, *with_will, *expiry);
            }
            Op::Drop(at) => self.drop_connection(*at),
            Op::Subscribe { slot, filter, options, identifier } => {
                self.subscribe(*slot, *filter, *options, *identifier);
            }
            Op::Unsubscribe { slot, filter } => self.unsubscribe(*slot, *filter),
            Op::Publish(at, plan) => self.publish(*at, plan),
            Op::Eager { slot, eager } => self.slots[*slot].eager = *eager,
            Op::Read(at) => drop(self.read(*at)),
            Op::Acknowledge { slot, count } => {
                for _ in 0..*count {
                    self.slots[*slot].answer_one();
                }
            }
            Op::Ping(at) => self.ping(*at),
            Op::Pass(time) => self.running.still.pass(Duration::from_millis(*time)),
            Op::Commit => self.commit(),
            Op::StoreFails(fails) => {
                if let Some(disk) = &self.setup.disk {
                    disk.set_failing(*fails);
                    self.has_failed |= *fails;
                    self.store_fails = *fails;
                    self.store_is_down |= *fails;
                }
            }
            Op::Crash => self.crash(),
            Op::Evil { fresh, bytes } => self.be_evil(*fresh, bytes),
            Op::EvilPacket { fresh, row, at, change, cut } => {
                let rows = packets();
                let row = &rows[row % rows.len()];
                let mut bytes = row.bytes.clone();
                if !bytes.is_empty() {
                    let at = at % bytes.len();
                    bytes[at] ^= change;
                    bytes.truncate(if *cut { at } else { bytes.len() });
                }
                self.be_evil(*fresh, &bytes);
            }
            Op::LookAtRetained => self.look_at_retained(),
            Op::ForgetRetained(topic) => {
                let _entered = self.running.still.enter();
                self.running.still.broker().forget_retained(TOPICS[*topic]);
                self.kept.forgotten(*topic);
            }
            Op::Kick(at) => {
                let _entered = self.running.still.enter();
                let id = format!("c{at}");
                self.running.still.broker().disconnect(&id, ReasonCode::AdministrativeAction);
            }
        }
        self.take_all();
    }

    /// All clients that read and answer by themselves do so; true if they had
    /// something to do.
    pub(crate) fn take_all(&mut self) -> bool {
        self.running.still.settle();
        let mut any = false;
        for _ in 0..50 {
            let mut progress = false;
            for at in 0..SLOTS {
                if self.slots[at].eager {
                    progress |= self.read(at);
                    while self.slots[at].answer_one() {
                        progress = true;
                    }
                }
                if let Some(peer) = &mut self.slots[at].peer {
                    progress |= peer.write();
                }
            }
            for peer in &mut self.evil {
                peer.write();
                progress |= peer.read_over();
            }
            self.evil.retain(|peer| !peer.is_over);
            if !progress {
                break;
            }
            any = true;
            self.running.still.settle();
        }
        assert_eq!(PANICS.with(Cell::get), 0, "something has panicked");
        any
    }

    pub(crate) fn commit(&mut self) {
        // After what has failed comes what was noted meanwhile.
        let again = self.store_is_down;
        if self.running.still.commit() && (!again || self.running.still.commit()) {
            self.committed = self.now();
            self.store_is_down = self.store_fails;
        }
    }

    /// The power goes, and comes back.
    fn crash(&mut self) {
        let now = self.now();
        self.dropped += self.dropped_now();
        self.passed = now;
        let has_store = self.setup.disk.is_some();
        self.kept.crash(has_store);
        let running = self.setup.start(self.passed);
        drop(std::mem::replace(&mut self.running, running));
        self.evil.clear();
        for at in 0..SLOTS {
            let slot = &mut self.slots[at];
            slot.peer = None;
            slot.answers.clear();
            slot.is_down(now);
            if slot.since >= self.committed {
                // That it is back is not on disk: it may have been gone too long.
                slot.expiry.0 = 0;
            }
            if has_store {
                if let Link::Down(first, _) = slot.link {
                    slot.link = Link::Down(first, now);
                }
                slot.may_be_back = true;
                slot.may_be_another |= self.store_is_down;
                // One that was to end with its connection may never have been there.
                if slot.expiry.0 == 0 || slot.may_be_another {
                    self.unowe(at);
                }
            } else {
                let life = slot.life + 1;
                *slot = Slot::default();
                slot.life = life;
            }
        }
        for will in self.messages.iter_mut().filter(|message| message.is_will) {
            will.owed.clear();
            will.not_before = None;
            will.sends += 1;
        }
    }

    fn be_evil(&mut self, fresh: bool, bytes: &[u8]) {
        if fresh || self.evil.is_empty() {
            if self.evil.len() == EVIL_ONES {
                self.evil.remove(0);
            }
            let stream = self.running.still.connect(&self.running.evil).expect("it listens");
            let mut peer = Peer::new(stream, Hello::at_the_end(), 0);
            let is_connect =
                bytes.first().is_some_and(|first| first >> 4 == PacketType::Connect as u8);
            if !is_connect {
                let id = format!("{EVIL}{}", self.tick % 3);
                peer.send(&Packet::Connect(Box::new(Connect::new(ProtocolVersion::V5, id))));
            }
            self.evil.push(peer);
        }
        if let Some(peer) = self.evil.last_mut() {
            peer.send_bytes(bytes);
        }
    }

    pub(crate) fn evil_goes(&mut self) {
        self.evil.clear();
    }

    /// Who has not got a message that it has to get.
    pub(crate) fn missing(&self, no: u32) -> Vec<Owed> {
        let now = self.now();
        let message = &self.messages[no as usize];
        if message.expires.is_some_and(|at| at <= now) {
            return Vec::new();
        }
        let is_missing = |owed: &&Owed| {
            let slot = &self.slots[owed.slot];
            slot.life == owed.life
                && slot.exists(now) == Exists::Sure
                && !slot.received.contains_key(&no)
        };
        // What was not read yet is not missing.
        message.owed.iter().filter(is_missing).copied().collect()
    }

    pub(crate) fn dropped(&self) -> u64 {
        self.dropped + self.dropped_now()
    }

    fn dropped_now(&self) -> u64 {
        let counters = self.running.still.broker().counters();
        counters.dropped_queue_full + counters.dropped_store_full
    }

    /// Since the last start.
    pub(crate) fn store_refused(&self) -> u64 {
        self.running.still.broker().counters().store_refused
    }

    pub(crate) fn taken(&self) -> impl Iterator<Item = &Message> {
        self.messages.iter().filter(|message| message.taken == Taken::Yes)
    }
}
