//! Many connections, served by one thread.
use std::net::IpAddr;
use std::os::fd::OwnedFd;
use std::time::{Duration, Instant};

use anyhow::{Context, bail};
use latchlight_mqtt::{Packet, QoS};
use rustix::event::epoll::{self, CreateFlags, Event, EventData, EventFlags};
use rustix::time::{
    Itimerspec, TimerfdClockId, TimerfdFlags, TimerfdTimerFlags, Timespec, timerfd_create,
    timerfd_settime,
};

use crate::link::Link;
use crate::packets::{self, Incoming};
use crate::target::Target;

/// Larger than what a broker writes at once.
const SCRATCH: usize = 256 * 1024;
const EVENTS: usize = 1024;
/// The timer's number among the events.
const TIMER: u64 = u64::MAX;
/// How long all together may take to be connected or subscribed.
const SETUP_TIMEOUT: Duration = Duration::from_secs(60);
/// How many SUBSCRIBE or CONNECT packets wait for their answers, where nothing else is asked for.
const AT_ONCE: usize = 200;
/// How long to wait for an answer before looking at the clock.
const WAIT: Duration = Duration::from_millis(100);

/// The connections of a work, by number from 0 on.
pub struct Pool {
    target: Target,
    links: Vec<Link>,
    epoll: OwnedFd,
    timer: OwnedFd,
    events: Vec<Event>,
    scratch: Vec<u8>,
    decoded: Vec<u8>,
}

/// A client that is to be connected.
#[derive(Debug, Clone)]
pub struct Client {
    /// Its client id.
    pub id: String,
    /// It has no session, and leaves none.
    pub clean_start: bool,
    /// Where it comes from; none: from where the kernel says.
    pub from: Option<IpAddr>,
    /// How many bytes the kernel may take for it before it reads; none: as many as it likes.
    pub receive_buffer: Option<usize>,
}

impl Client {
    /// One with a clean start.
    pub fn new(id: impl Into<String>) -> Self {
        Self { id: id.into(), clean_start: true, from: None, receive_buffer: None }
    }
}

impl Pool {
    /// None yet.
    ///
    /// # Errors
    /// The kernel gives no epoll instance.
    pub fn new(target: &Target) -> anyhow::Result<Self> {
        let epoll = epoll::create(CreateFlags::CLOEXEC).context("create an epoll instance")?;
        let flags = TimerfdFlags::CLOEXEC | TimerfdFlags::NONBLOCK;
        let timer = timerfd_create(TimerfdClockId::Monotonic, flags).context("create a timer")?;
        epoll::add(&epoll, &timer, EventData::new_u64(TIMER), EventFlags::IN | EventFlags::ET)?;
        Ok(Self {
            target: target.clone(),
            links: Vec::new(),
            epoll,
            timer,
            events: Vec::with_capacity(EVENTS),
            scratch: vec![0; SCRATCH],
            decoded: Vec::new(),
        })
    }

    /// The broker.
    pub fn target(&self) -> &Target {
        &self.target
    }

    /// How many there are, closed ones among them.
    pub fn len(&self) -> usize {
        self.links.len()
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.links.is_empty()
    }

    /// One of them.
    pub fn link(&mut self, number: usize) -> &mut Link {
        &mut self.links[number]
    }

    /// How many are closed, and why the first of them is.
    pub fn closed(&self) -> Option<(usize, String)> {
        let mut closed = self.links.iter().filter_map(|link| link.closed.as_ref());
        let first = closed.next()?.clone();
        Some((1 + closed.count(), first))
    }

    /// Connects these, with their CONNECT, and waits until all are answered.
    ///
    /// # Errors
    /// One of them was refused, or it took too long.
    pub fn connect(&mut self, clients: impl IntoIterator<Item = Client>) -> anyhow::Result<()> {
        let (mut begun, mut answered) = (0, 0);
        let mut clients = clients.into_iter().peekable();
        let deadline = Instant::now() + SETUP_TIMEOUT;
        while clients.peek().is_some() || answered < begun {
            while begun - answered < AT_ONCE
                && let Some(client) = clients.next()
            {
                self.begin(&client)?;
                begun += 1;
            }
            self.turn(WAIT, |_, incoming, _| {
                answered += usize::from(matches!(incoming, Incoming::Connected { .. }));
            })?;
            self.check(deadline, "connected")?;
        }
        Ok(())
    }

    /// Begins to connect one more; gives its number.
    ///
    /// # Errors
    /// There is no socket to be had.
    pub fn begin(&mut self, client: &Client) -> anyhow::Result<usize> {
        let number = self.links.len();
        let link = self.dial(client, number)?;
        self.links.push(link);
        Ok(number)
    }

    /// Closes a connection without a word and begins it anew.
    ///
    /// # Errors
    /// There is no socket to be had.
    pub fn begin_again(&mut self, number: usize, client: &Client) -> anyhow::Result<()> {
        self.links[number] = self.dial(client, number)?;
        Ok(())
    }

    fn dial(&self, client: &Client, number: usize) -> anyhow::Result<Link> {
        let mut link = Link::open(&self.target, client.from, client.receive_buffer)?;
        let connect = packets::connect(self.target.version, &client.id, client.clean_start);
        connect.encode(self.target.version, &mut link.out).context("encode CONNECT")?;
        let flags = EventFlags::IN | EventFlags::OUT;
        epoll::add(&self.epoll, &link.socket, EventData::new_u64(number as u64), flags)?;
        Ok(link)
    }

    /// Subscribes some of them, each with one SUBSCRIBE to its filters, and waits until all are
    /// answered.
    ///
    /// # Errors
    /// One of them was refused, or it took too long.
    pub fn subscribe(
        &mut self,
        wanted: impl IntoIterator<Item = (usize, Vec<String>)>,
        qos: QoS,
    ) -> anyhow::Result<()> {
        let (mut begun, mut answered) = (0, 0);
        let mut wanted = wanted.into_iter().peekable();
        let deadline = Instant::now() + SETUP_TIMEOUT;
        while wanted.peek().is_some() || answered < begun {
            while begun - answered < AT_ONCE
                && let Some((number, filters)) = wanted.next()
            {
                let packet = packets::subscribe(filters.iter().map(String::as_str), qos)?;
                self.send(number, &packet)?;
                begun += 1;
            }
            self.turn(WAIT, |_, incoming, _| {
                answered += usize::from(matches!(incoming, Incoming::Subscribed));
            })?;
            self.check(deadline, "subscribed")?;
        }
        Ok(())
    }

    fn check(&self, deadline: Instant, what: &str) -> anyhow::Result<()> {
        if let Some((count, why)) = self.closed() {
            bail!("{count} of {} clients could not be {what}: {why}", self.links.len());
        }
        if Instant::now() > deadline {
            bail!("not all clients were {what} within {SETUP_TIMEOUT:?}");
        }
        Ok(())
    }

    /// Sends a packet.
    ///
    /// # Errors
    /// It cannot be encoded.
    pub fn send(&mut self, number: usize, packet: &Packet) -> anyhow::Result<()> {
        let version = self.target.version;
        packet.encode(version, &mut self.links[number].out).context("encode a packet")?;
        self.flush(number)
    }

    /// Hands to the kernel what a connection has to send, and has the rest wait for it.
    ///
    /// # Errors
    /// The kernel does not watch the socket.
    pub fn flush(&mut self, number: usize) -> anyhow::Result<()> {
        self.links[number].flush();
        self.watch(number)
    }

    /// Has the kernel wake us once the timer has run so long, if nothing else does.
    fn set_timer(&self, wait: Duration) -> anyhow::Result<()> {
        let it_value = Timespec::try_from(wait).context("set the timer")?;
        let once = Itimerspec { it_interval: Timespec::default(), it_value };
        timerfd_settime(&self.timer, TimerfdTimerFlags::empty(), &once).context("set the timer")?;
        Ok(())
    }

    /// Waits until something happens, but no longer than this and a second, and hands what came to `heard`:
    /// the connection's number, what it is, and a place for answers, which are sent when all that
    /// was read is through.
    ///
    /// # Errors
    /// The kernel does not let us wait.
    pub fn turn(
        &mut self,
        wait: Duration,
        mut heard: impl FnMut(usize, Incoming<'_>, &mut Vec<u8>),
    ) -> anyhow::Result<()> {
        // The kernel's own limit counts in milliseconds, the timer is finer and costs a call more.
        let timeout = if wait > Duration::ZERO && wait < Duration::from_millis(1) {
            self.set_timer(wait)?;
            None
        } else {
            Some(Timespec { tv_sec: 0, tv_nsec: wait.as_millis().min(900) as i64 * 1_000_000 })
        };
        self.events.clear();
        let spare = rustix::buffer::spare_capacity(&mut self.events);
        match epoll::wait(&self.epoll, spare, timeout.as_ref()) {
            Ok(_) => {}
            Err(rustix::io::Errno::INTR) => return Ok(()),
            Err(error) => return Err(error).context("wait for events"),
        }
        for at in 0..self.events.len() {
            let event = self.events[at];
            if event.data.u64() == TIMER {
                continue;
            }
            let number = event.data.u64() as usize;
            let link = &mut self.links[number];
            let flags = event.flags;
            if flags.intersects(EventFlags::IN | EventFlags::HUP | EventFlags::ERR) {
                let mut heard = |incoming: Incoming<'_>, out: &mut Vec<u8>| {
                    heard(number, incoming, out);
                };
                link.receive(&mut self.scratch, &mut self.decoded, &mut heard);
            }
            let waited = link.wants_write;
            link.flush();
            if waited && link.is_drained() && link.closed.is_none() {
                heard(number, Incoming::Drained, &mut link.out);
                link.flush();
            }
            self.watch(number)?;
        }
        Ok(())
    }

    /// Sees to it that the kernel tells us what we want to know of a connection.
    fn watch(&mut self, number: usize) -> anyhow::Result<()> {
        let link = &mut self.links[number];
        if link.closed.is_some() {
            // It may be gone from there already.
            let _ = epoll::delete(&self.epoll, &link.socket);
            return Ok(());
        }
        let wants_write = !link.is_drained();
        if wants_write != link.wants_write {
            link.wants_write = wants_write;
            let mut flags = EventFlags::IN;
            flags.set(EventFlags::OUT, wants_write);
            let data = EventData::new_u64(number as u64);
            epoll::modify(&self.epoll, &link.socket, data, flags).context("watch a socket")?;
        }
        Ok(())
    }

    /// Stops reading from a connection: what the broker has for it stays with the broker.
    ///
    /// # Errors
    /// The kernel does not let go of the socket.
    pub fn stop_reading(&mut self, number: usize) -> anyhow::Result<()> {
        epoll::delete(&self.epoll, &self.links[number].socket).context("stop watching a socket")
    }

    /// Gives back the memory that no idle connection needs.
    pub fn shrink(&mut self) {
        self.links.iter_mut().for_each(Link::shrink);
    }
}
