//! What is not taken, in the log: who said it and why, for some of it hears
//! no answer. Who makes the same mistake again and again fills no log.

use std::collections::HashMap;
use std::time::{Duration, Instant};

use parking_lot::Mutex;

/// For so long mistakes are counted together.
const WINDOW: Duration = Duration::from_secs(60);

/// How many lines one speaker gets in that time.
const LINES: u32 = 5;

/// How many speakers get any.
const SPEAKERS: usize = 100;

/// The mistakes of the last minute, by who made them.
pub struct Mistakes {
    window: Mutex<Window>,
}

struct Window {
    began: Instant,
    lines: HashMap<String, u32>,
    /// That there are too many speakers, has been said.
    crowded: bool,
}

#[derive(Debug, PartialEq, Eq)]
enum Line {
    Logged,
    /// The speaker's last one for now.
    Last,
    /// The first one of a speaker too many.
    Crowded,
    LeftOut,
}

impl Default for Mistakes {
    fn default() -> Self {
        Self { window: Mutex::new(Window::begin(Instant::now())) }
    }
}

impl Mistakes {
    /// Logs that a message of this speaker is not taken, and why.
    pub(super) fn log(&self, speaker: &str, why: &str) {
        let line = self.window.lock().count(speaker, Instant::now());
        let (speaker, why) = (printable(speaker), printable(why));
        match line {
            Line::Logged => tracing::warn!(%speaker, %why, "not taken"),
            Line::Last => {
                tracing::warn!(%speaker, %why, "not taken; its further mistakes of this minute are not logged");
            }
            Line::Crowded => {
                tracing::warn!(%speaker, %why, "not taken; mistakes of yet others are not logged in this minute");
            }
            Line::LeftOut => tracing::debug!(%speaker, %why, "not taken"),
        }
    }
}

impl Window {
    fn begin(now: Instant) -> Self {
        Self { began: now, lines: HashMap::new(), crowded: false }
    }

    fn count(&mut self, speaker: &str, now: Instant) -> Line {
        if now.duration_since(self.began) >= WINDOW {
            *self = Self::begin(now);
        }
        let full = self.lines.len() >= SPEAKERS;
        let lines = match self.lines.get_mut(speaker) {
            Some(lines) => lines,
            None if full => {
                let said = std::mem::replace(&mut self.crowded, true);
                return if said { Line::LeftOut } else { Line::Crowded };
            }
            None => self.lines.entry(speaker.to_owned()).or_default(),
        };
        *lines = lines.saturating_add(1);
        match (*lines).cmp(&LINES) {
            std::cmp::Ordering::Less => Line::Logged,
            std::cmp::Ordering::Equal => Line::Last,
            std::cmp::Ordering::Greater => Line::LeftOut,
        }
    }
}

/// What a stranger sent, fit for one line of the log.
fn printable(text: &str) -> String {
    let mut printable = String::with_capacity(text.len());
    for char in text.chars() {
        match char {
            '\'' | '"' | '\\' => printable.push(char),
            _ => printable.extend(char.escape_debug()),
        }
    }
    printable
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_speaker_gets_so_many_lines_a_minute_and_hides_no_other() {
        let began = Instant::now();
        let mut window = Window::begin(began);
        for _ in 1..LINES {
            assert_eq!(window.count("a", began), Line::Logged);
        }
        assert_eq!(window.count("a", began), Line::Last);
        assert_eq!(window.count("a", began), Line::LeftOut);
        assert_eq!(window.count("b", began), Line::Logged);
        assert_eq!(window.count("a", began + WINDOW), Line::Logged);
    }

    #[test]
    fn what_a_stranger_sent_stays_on_one_line() {
        assert_eq!(printable("a 'lock'\nWARN \u{1b}[31m"), "a 'lock'\\nWARN \\u{1b}[31m");
    }

    #[test]
    fn so_many_speakers_get_lines_and_the_others_none() {
        let began = Instant::now();
        let mut window = Window::begin(began);
        for number in 0..SPEAKERS {
            assert_eq!(window.count(&number.to_string(), began), Line::Logged);
        }
        assert_eq!(window.count("one more", began), Line::Crowded);
        assert_eq!(window.count("one more", began), Line::LeftOut);
        assert_eq!(window.count("7", began), Line::Logged);
        assert_eq!(window.lines.len(), SPEAKERS);
    }
}
