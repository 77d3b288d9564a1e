//! The moving part of a device: obeys commands, remembers their ids, can jam. Free of I/O: it takes
//! commands and the time, and gives what to say.
use std::collections::VecDeque;
use std::hash::{DefaultHasher, Hash, Hasher};
use std::time::Duration;

use tokio::time::Instant;

use crate::simulate::args::DevicePlan;
use crate::simulate::command::Command;
use crate::simulate::kind::{Kind, Movement};

/// How many finished commands are remembered, to answer their repetition.
const REMEMBERED: usize = 32;
/// How many commands wait for the one that is being carried out; further ones are refused as busy.
const WAITING: usize = 8;

/// What a device says or shows because of something that happened.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Step {
    /// Say the state.
    Report(&'static str),
    /// Say how a command ended; `failed` is why it did.
    Acknowledge { id: String, failed: Option<&'static str> },
    /// A command is being carried out.
    Obey(Command),
    /// A command came too late.
    Expired(Command),
    /// A command came again.
    Repeated(Command),
}

/// The moving part of one device.
#[derive(Debug)]
pub(super) struct Actuator {
    id: String,
    kind: Kind,
    motor: Duration,
    state: Option<&'static str>,
    jammed: bool,
    moving: Option<Moving>,
    waiting: VecDeque<Command>,
    finished: VecDeque<(String, Option<&'static str>)>,
    runs: u64,
}

#[derive(Debug)]
struct Moving {
    id: String,
    movement: Movement,
    until: Instant,
}

impl Actuator {
    pub(super) fn new(plan: &DevicePlan) -> Self {
        Self {
            id: plan.id.clone(),
            kind: plan.kind,
            motor: plan.motor,
            state: plan.kind.first_state(),
            jammed: plan.jammed,
            moving: None,
            waiting: VecDeque::new(),
            finished: VecDeque::new(),
            runs: 0,
        }
    }

    /// The state that a report tells.
    pub(super) fn state(&self) -> Option<&'static str> {
        match &self.moving {
            Some(Moving { movement: Movement { during: Some(during), .. }, .. }) => Some(during),
            _ => self.state,
        }
    }

    /// When [`advance`](Self::advance) is due.
    pub(super) fn due(&self) -> Option<Instant> {
        self.moving.as_ref().map(|moving| moving.until)
    }

    /// Takes a command.
    pub(super) fn command(&mut self, command: Command, now: Instant, unix: i64) -> Vec<Step> {
        if let Some((id, failed)) = self.finished.iter().find(|(id, _)| *id == command.id) {
            // Done is done: the same id acts once, and is answered each time.
            let answer = Step::Acknowledge { id: id.clone(), failed: *failed };
            return vec![Step::Repeated(command), answer];
        }
        let in_hand = self.moving.as_ref().is_some_and(|moving| moving.id == command.id)
            || self.waiting.iter().any(|waiting| waiting.id == command.id);
        if in_hand {
            return vec![Step::Repeated(command)];
        }
        if unix > command.expires {
            return vec![Step::Expired(command)];
        }
        if self.moving.is_some() {
            if self.waiting.len() == WAITING {
                return self.finish(command.id, Some("busy"));
            }
            self.waiting.push_back(command);
            return Vec::new();
        }
        self.obey(command, now)
    }

    /// Ends what is due and begins what waits.
    pub(super) fn advance(&mut self, now: Instant, unix: i64) -> Vec<Step> {
        let Some(moving) = self.moving.take_if(|moving| moving.until <= now) else {
            return Vec::new();
        };
        let failed = self.jammed.then_some("jammed");
        self.state = Some(failed.unwrap_or(moving.movement.after));
        let mut steps: Vec<Step> = self.state.map(Step::Report).into_iter().collect();
        steps.extend(self.finish(moving.id, failed));
        if let Some(next) = self.waiting.pop_front() {
            steps.extend(self.command(next, now, unix));
        }
        steps
    }

    /// Blocks the mechanism: the next movement fails. False: there is none to block.
    pub(super) fn jam(&mut self) -> bool {
        self.jammed = self.kind == Kind::Lock;
        self.jammed
    }

    /// Frees the mechanism; nobody can tell where the bolt is then, until it moves again.
    pub(super) fn free(&mut self) -> Vec<Step> {
        self.jammed = false;
        match self.state {
            Some("jammed") => {
                self.state = Some("unknown");
                vec![Step::Report("unknown")]
            }
            _ => Vec::new(),
        }
    }

    /// The power fails: what was going on stops where it is, and all that is kept is what stands
    /// in a lasting memory.
    pub(super) fn power_cut(&mut self) {
        self.waiting.clear();
        if let Some(moving) = self.moving.take()
            && moving.movement.during.is_some()
        {
            self.state = Some("unknown");
        }
    }

    fn obey(&mut self, command: Command, now: Instant) -> Vec<Step> {
        let takes = self.varied_motor();
        let Some(movement) = self.kind.movement(command.verb, takes) else {
            return self.finish(command.id, Some("unsupported"));
        };
        let mut steps = vec![Step::Obey(command.clone())];
        if self.state == Some(movement.after) && !self.jammed {
            steps.push(Step::Report(movement.after));
            steps.extend(self.finish(command.id, None));
            return steps;
        }
        steps.extend(movement.during.map(Step::Report));
        self.moving = Some(Moving { id: command.id, movement, until: now + movement.takes });
        steps
    }

    fn finish(&mut self, id: String, failed: Option<&'static str>) -> Vec<Step> {
        if self.finished.len() == REMEMBERED {
            self.finished.pop_front();
        }
        self.finished.push_back((id.clone(), failed));
        vec![Step::Acknowledge { id, failed }]
    }

    /// The motor's time, differing by up to a quarter from run to run.
    fn varied_motor(&mut self) -> Duration {
        self.runs += 1;
        let mut hasher = DefaultHasher::new();
        (&self.id, self.runs).hash(&mut hasher);
        let share = f64::from(hasher.finish() as u32) / f64::from(u32::MAX);
        self.motor.mul_f64(0.75 + 0.5 * share)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::simulate::command::Verb;

    const LATER: Duration = Duration::from_secs(10);

    fn actuator(kind: Kind) -> Actuator {
        let motor = Duration::from_secs(1);
        Actuator::new(&DevicePlan {
            id: format!("{kind}-1"),
            kind,
            motor,
            jammed: false,
            password: None,
            command_key: None,
        })
    }

    fn command(verb: Verb, id: &str) -> Command {
        Command { verb, id: id.into(), expires: 100 }
    }

    fn acknowledged(id: &str, failed: Option<&'static str>) -> Step {
        Step::Acknowledge { id: id.into(), failed }
    }

    #[tokio::test]
    async fn a_lock_says_what_it_does_and_acknowledges_when_done() {
        let (mut lock, now) = (actuator(Kind::Lock), Instant::now());
        let unlock = command(Verb::Unlock, "a");
        let steps = lock.command(unlock.clone(), now, 0);
        assert_eq!(steps, [Step::Obey(unlock), Step::Report("unlocking")]);
        assert_eq!(lock.state(), Some("unlocking"));
        assert_eq!(lock.advance(now, 0), []);
        let steps = lock.advance(now + LATER, 0);
        assert_eq!(steps, [Step::Report("unlocked"), acknowledged("a", None)]);
        assert_eq!((lock.state(), lock.due()), (Some("unlocked"), None));
    }

    #[tokio::test]
    async fn an_expired_command_moves_nothing() {
        let (mut lock, now) = (actuator(Kind::Lock), Instant::now());
        let unlock = command(Verb::Unlock, "a");
        assert_eq!(lock.command(unlock.clone(), now, 101), [Step::Expired(unlock)]);
        assert_eq!((lock.state(), lock.due()), (Some("locked"), None));
    }

    #[tokio::test]
    async fn a_command_that_expires_while_it_waits_moves_nothing() {
        let (mut lock, now) = (actuator(Kind::Lock), Instant::now());
        lock.command(command(Verb::Unlock, "a"), now, 0);
        assert_eq!(lock.command(command(Verb::Lock, "b"), now, 0), []);
        let steps = lock.advance(now + LATER, 101);
        assert_eq!(steps.last(), Some(&Step::Expired(command(Verb::Lock, "b"))));
        assert_eq!(lock.state(), Some("unlocked"));
    }

    #[tokio::test]
    async fn the_same_id_acts_once_and_is_acknowledged_again() {
        let (mut lock, now) = (actuator(Kind::Lock), Instant::now());
        let unlock = command(Verb::Unlock, "a");
        lock.command(unlock.clone(), now, 0);
        assert_eq!(lock.command(unlock.clone(), now, 0), [Step::Repeated(unlock.clone())]);
        lock.advance(now + LATER, 0);
        lock.command(command(Verb::Lock, "b"), now, 0);
        lock.advance(now + LATER, 0);
        let again = lock.command(unlock.clone(), now, 200);
        assert_eq!(again, [Step::Repeated(unlock), acknowledged("a", None)]);
        assert_eq!(lock.state(), Some("locked"));
    }

    #[tokio::test]
    async fn a_jammed_lock_says_so_until_it_is_freed() {
        let (mut lock, now) = (actuator(Kind::Lock), Instant::now());
        assert!(lock.jam());
        lock.command(command(Verb::Unlock, "a"), now, 0);
        let steps = lock.advance(now + LATER, 0);
        assert_eq!(steps, [Step::Report("jammed"), acknowledged("a", Some("jammed"))]);
        assert_eq!(lock.free(), [Step::Report("unknown")]);
        lock.command(command(Verb::Lock, "b"), now, 0);
        assert_eq!(lock.advance(now + LATER, 0).last(), Some(&acknowledged("b", None)));
        assert!(!actuator(Kind::Light).jam());
    }

    #[tokio::test]
    async fn commands_wait_for_each_other_and_too_many_are_refused() {
        let (mut lock, now) = (actuator(Kind::Lock), Instant::now());
        for number in 0..=WAITING {
            let verb = if number % 2 == 0 { Verb::Unlock } else { Verb::Lock };
            lock.command(command(verb, &number.to_string()), now, 0);
        }
        let refused = lock.command(command(Verb::Lock, "more"), now, 0);
        assert_eq!(refused, [acknowledged("more", Some("busy"))]);
        let mut done = 0;
        while lock.due().is_some() {
            let steps = lock.advance(now + LATER * (done + 1), 0);
            assert!(steps.contains(&acknowledged(&done.to_string(), None)), "{steps:?}");
            done += 1;
        }
        assert_eq!(done as usize, WAITING + 1);
    }

    #[tokio::test]
    async fn what_is_so_already_is_acknowledged_at_once() {
        let (mut light, now) = (actuator(Kind::Light), Instant::now());
        let off = command(Verb::Off, "a");
        let steps = light.command(off.clone(), now, 0);
        assert_eq!(steps, [Step::Obey(off), Step::Report("off"), acknowledged("a", None)]);
    }

    #[tokio::test]
    async fn a_verb_of_another_kind_fails() {
        let (mut camera, now) = (actuator(Kind::Camera), Instant::now());
        let steps = camera.command(command(Verb::Lock, "a"), now, 0);
        assert_eq!(steps, [acknowledged("a", Some("unsupported"))]);
    }

    #[tokio::test]
    async fn a_power_cut_in_the_middle_leaves_the_bolt_where_nobody_knows() {
        let (mut lock, now) = (actuator(Kind::Lock), Instant::now());
        lock.command(command(Verb::Unlock, "a"), now, 0);
        lock.power_cut();
        assert_eq!((lock.state(), lock.due()), (Some("unknown"), None));
    }
}
