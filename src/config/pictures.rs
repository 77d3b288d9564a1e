//! `pictures`: how much is taken of cameras, how much is kept, and for how
//! long a link to a picture is good.

use std::time::Duration;

use serde::Deserialize;

/// A picture that is written anew may be so many times as large as what came,
/// its thumbnail with it.
const GROWTH: u64 = 4;

/// The settings of pictures.
#[derive(Debug, Clone, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct PictureSettings {
    /// The most bytes that a picture may have that is sent in.
    pub max_bytes: usize,
    /// The most pixels that it may have.
    pub max_pixels: u64,
    /// How many pictures a sender, be it a camera or an account, may send in a minute.
    pub per_minute: u32,
    /// For how many days a picture is kept.
    pub keep_days: u32,
    /// How many are kept; the oldest give way.
    pub keep_count: u64,
    /// How many bytes all of them may have, thumbnails too; the oldest give way.
    pub keep_bytes: u64,
    /// For how many seconds a link opens a picture to whoever has it; 0: there
    /// are no such links.
    pub link_seconds: u32,
}

impl Default for PictureSettings {
    fn default() -> Self {
        Self {
            max_bytes: 8 * 1024 * 1024,
            max_pixels: 16_000_000,
            per_minute: 60,
            keep_days: 30,
            keep_count: 1000,
            keep_bytes: 1024 * 1024 * 1024,
            link_seconds: 60 * 60,
        }
    }
}

impl PictureSettings {
    /// The most bytes that a picture and its thumbnail may have on disk.
    pub fn max_kept_bytes(&self) -> u64 {
        GROWTH.saturating_mul(self.max_bytes as u64)
    }

    /// From a picture's arrival to its removal.
    pub fn kept_for(&self) -> Duration {
        Duration::from_secs(u64::from(self.keep_days) * 24 * 60 * 60)
    }

    /// How long a link is good, if there are any.
    pub fn link_lasts(&self) -> Option<Duration> {
        let seconds = u64::from(self.link_seconds);
        (seconds > 0).then(|| Duration::from_secs(seconds))
    }

    pub(super) fn check(&self) -> Result<(), String> {
        let max_bytes = self.max_bytes as u64;
        for (key, value, least, most) in [
            ("max_bytes", max_bytes, 1024, 128 * 1024 * 1024),
            ("max_pixels", self.max_pixels, 1, 100_000_000),
            ("per_minute", u64::from(self.per_minute), 1, 6000),
            ("keep_days", u64::from(self.keep_days), 1, 36_500),
            ("keep_count", self.keep_count, 1, u64::MAX),
            ("link_seconds", u64::from(self.link_seconds), 0, 30 * 24 * 60 * 60),
        ] {
            if value < least {
                return Err(format!("pictures.{key}: {value} is less than {least}"));
            }
            if value > most {
                return Err(format!("pictures.{key}: {value} is more than {most}"));
            }
        }
        // Every picture that is taken has a place.
        if self.keep_bytes < self.max_kept_bytes() {
            return Err(format!(
                "pictures.keep_bytes: {} is less than {GROWTH} times pictures.max_bytes",
                self.keep_bytes
            ));
        }
        Ok(())
    }
}
