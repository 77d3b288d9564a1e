//! Refusals, gathered: the first of a source stands in the record at once, the
//! equal ones of the next ten minutes together in a second line. Who makes up
//! ever new ones gets a line a minute, with some in reserve; what goes beyond
//! is counted, and said in one line for all.

use std::collections::HashMap;
use std::time::{Duration, Instant};

use latchlight_broker::Network;

use super::lines::Lines;
use super::{Event, Kind};
use crate::identity::Through;

/// For so long equal ones are gathered.
const WINDOW: Duration = Duration::from_secs(10 * 60);

/// How many actors have lines of their own, kind by kind; yet others share theirs.
const ACTORS: usize = 1000;

/// How many sources are gathered at a time.
const SOURCES: usize = 5000;

/// What makes refusals equal; why they are refused does not.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
struct Source {
    kind: Kind,
    actor: String,
    through: Through,
    network: Option<Network>,
    device: Option<String>,
    action: String,
}

struct Gathered {
    since: Instant,
    /// The last of those that are not on record.
    last: Option<Event>,
    times: u64,
}

/// What was refused lately.
#[derive(Default)]
pub(super) struct Gathering {
    sources: HashMap<Source, Gathered>,
    lines: HashMap<(Kind, String), Lines>,
    /// Beyond what anybody has lines for: since when, and how many.
    others: Option<(Instant, u64)>,
}

impl Source {
    fn of(event: &Event) -> Self {
        Self {
            kind: event.kind,
            actor: event.actor.clone(),
            through: event.through,
            network: event.address.map(Network::from),
            device: event.device.clone(),
            action: event.action.clone(),
        }
    }
}

impl Gathering {
    /// The event, if it is to be on record now; else it is counted.
    pub(super) fn take(&mut self, event: Event, now: Instant) -> Option<Event> {
        let source = Source::of(&event);
        if let Some(gathered) = self.sources.get_mut(&source) {
            gathered.times += event.times;
            gathered.last = Some(event);
            return None;
        }
        if self.sources.len() < SOURCES && self.has_line(event.kind, &event.actor, now) {
            self.sources.insert(source, Gathered { since: now, last: None, times: 0 });
            return Some(event);
        }
        self.others.get_or_insert((now, 0)).1 += event.times;
        None
    }

    fn has_line(&mut self, kind: Kind, actor: &str, now: Instant) -> bool {
        if self.lines.len() >= ACTORS {
            self.lines.retain(|_, lines| !lines.is_full(now));
        }
        let mut key = (kind, actor.to_owned());
        if self.lines.len() >= ACTORS && !self.lines.contains_key(&key) {
            key.1.clear();
        }
        self.lines.entry(key).or_insert_with(|| Lines::new(now)).take(now)
    }

    /// What was gathered long enough; with `all`, whatever there is.
    pub(super) fn due(&mut self, now: Instant, all: bool) -> Vec<Event> {
        let over = |since: Instant| all || now.duration_since(since) >= WINDOW;
        let gathered = self.sources.extract_if(|_, gathered| over(gathered.since));
        let mut due: Vec<Event> = gathered
            .filter_map(|(_, Gathered { last, times, .. })| {
                let last = last?;
                let why = last.detail.clone().unwrap_or_default();
                let detail = format!("gathered within ten minutes, the last one: {why}");
                Some(last.detail(&detail).times(times))
            })
            .collect();
        if let Some((_, times)) = self.others.take_if(|(since, _)| over(*since)) {
            let why = "of more sources than are recorded one by one";
            let event = Event::of_nobody(Kind::Refusal, Through::Server, None, "others");
            due.push(event.refused(why).times(times));
        }
        due
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::super::lines::RESERVE;
    use super::*;

    fn wrong_password(address: &str, why: &str) -> Event {
        let address = Some(address.parse().unwrap());
        Event::of_nobody(Kind::SignIn, Through::Http, address, "token").refused(why)
    }

    #[test]
    fn equal_ones_of_a_source_are_one_line_and_one_that_counts_the_rest() {
        let mut gathering = Gathering::default();
        let began = Instant::now();
        assert!(gathering.take(wrong_password("192.0.2.1", "for ada"), began).is_some());
        for name in ["bob", "eve", "ada"] {
            let again = wrong_password("192.0.2.1", &format!("for {name}"));
            assert_eq!(gathering.take(again, began), None);
        }
        assert!(gathering.take(wrong_password("192.0.2.2", "for ada"), began).is_some());
        assert_eq!(gathering.due(began, false), []);
        let due = gathering.due(began + WINDOW, false);
        assert_eq!(due.len(), 1);
        assert_eq!((due[0].times, due[0].address), (3, "192.0.2.1".parse().ok()));
        assert!(due[0].detail.as_ref().unwrap().ends_with("for ada"), "{due:?}");
        assert!(gathering.take(wrong_password("192.0.2.1", ""), began + WINDOW).is_some());
    }

    #[test]
    fn a_network_of_version_6_is_one_source() {
        let mut gathering = Gathering::default();
        let now = Instant::now();
        assert!(gathering.take(wrong_password("2001:db8::1", ""), now).is_some());
        assert!(gathering.take(wrong_password("2001:db8::ffff:2", ""), now).is_none());
        assert!(gathering.take(wrong_password("2001:db8:0:1::1", ""), now).is_some());
    }

    #[test]
    fn a_flood_from_everywhere_is_so_many_lines_and_a_number_and_hides_nobody_who_is_known() {
        let mut gathering = Gathering::default();
        let mut now = Instant::now();
        let mut lines = 0;
        let mut refused = 0;
        let mut told = 0;
        for second in 0..3600_u32 {
            for one in 0..10 {
                let address =
                    std::net::Ipv6Addr::from(u128::from(second * 10 + one) << 64).to_string();
                refused += 1;
                let line = gathering.take(wrong_password(&address, ""), now);
                lines += usize::from(line.is_some());
                told += u64::from(line.is_some());
            }
            let due = gathering.due(now, false);
            lines += due.len();
            told += due.iter().map(|event| event.times).sum::<u64>();
            now += Duration::from_secs(1);
        }
        let due = gathering.due(now, true);
        lines += due.len();
        told += due.iter().map(|event| event.times).sum::<u64>();
        assert_eq!(told, refused, "each is told of, one by one or counted");
        assert!(lines <= RESERVE as usize + 60 + 7, "{lines}");
        let known = Event::new_for_tests("device:lamp");
        assert!(gathering.take(known, now).is_some());
    }

    #[test]
    fn actors_without_end_are_kept_no_book_of() {
        let mut gathering = Gathering::default();
        let now = Instant::now();
        for number in 0..SOURCES * 2 {
            gathering.take(Event::new_for_tests(&format!("topic:{number}")), now);
        }
        assert!(gathering.lines.len() <= ACTORS + Kind::ALL.len());
        assert!(gathering.sources.len() <= SOURCES);
    }
}
