//! How fast pictures may come of one sender, and how many bytes of a device may
//! wait: what one camera does, however fast, neither fills the disk nor holds up
//! another; and what an app sends in a camera's place takes nothing from it.

use std::collections::HashMap;
use std::num::NonZeroU32;
use std::sync::Arc;

use governor::clock::{Clock as _, DefaultClock};
use governor::{DefaultKeyedRateLimiter, Quota, RateLimiter};
use parking_lot::Mutex;

use super::PictureError;
use crate::config::PictureSettings;
use crate::identity::Principal;
use crate::state::DeviceId;

/// How many of the largest pictures may wait of one device, and of all of them.
const OF_ONE: usize = 2;
const OF_ALL: usize = 16;

/// So many senders are remembered before those are forgotten that have sent
/// nothing lately.
const REMEMBERED: usize = 10_000;

/// What comes.
pub(super) struct Arrivals {
    /// By `Principal::key`.
    rate: DefaultKeyedRateLimiter<String>,
    most: NonZeroU32,
    max_bytes: usize,
    waiting: Arc<Mutex<Waiting>>,
}

#[derive(Default)]
struct Waiting {
    bytes: usize,
    /// Of those that have any.
    by_device: HashMap<DeviceId, usize>,
}

/// The bytes of a picture that waits; given back when it is dropped.
pub struct Held {
    waiting: Arc<Mutex<Waiting>>,
    device: DeviceId,
    bytes: usize,
}

impl Arrivals {
    pub(super) fn new(settings: &PictureSettings) -> Self {
        let most = NonZeroU32::new(settings.per_minute).unwrap_or(NonZeroU32::MIN);
        Self {
            rate: RateLimiter::keyed(Quota::per_minute(most)),
            most,
            max_bytes: settings.max_bytes,
            waiting: Arc::default(),
        }
    }

    /// One more of this sender.
    pub(super) fn admit(&self, sender: &Principal) -> Result<(), PictureError> {
        if self.rate.len() > REMEMBERED {
            self.rate.retain_recent();
        }
        self.rate.check_key(&sender.key()).map_err(|not_until| PictureError::TooSoon {
            wait: not_until.wait_time_from(DefaultClock::default().now()),
            most: self.most.get(),
        })
    }

    /// One more that is to wait. A picture that is too large anyway is not
    /// counted as more than the largest.
    pub(super) fn hold(&self, device: &DeviceId, bytes: usize) -> Result<Held, PictureError> {
        let bytes = bytes.min(self.max_bytes);
        let mut waiting = self.waiting.lock();
        let of_one = waiting.by_device.get(device).copied().unwrap_or(0);
        if of_one + bytes > OF_ONE * self.max_bytes
            || waiting.bytes + bytes > OF_ALL * self.max_bytes
        {
            return Err(PictureError::Busy);
        }
        waiting.bytes += bytes;
        *waiting.by_device.entry(device.clone()).or_default() += bytes;
        drop(waiting);
        Ok(Held { waiting: self.waiting.clone(), device: device.clone(), bytes })
    }
}

impl Drop for Held {
    fn drop(&mut self) {
        let mut waiting = self.waiting.lock();
        waiting.bytes -= self.bytes;
        if let Some(of_one) = waiting.by_device.get_mut(&self.device) {
            *of_one -= self.bytes;
            if *of_one == 0 {
                waiting.by_device.remove(&self.device);
            }
        }
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;
    use crate::identity::Who;

    fn device(id: &str) -> DeviceId {
        id.parse().unwrap()
    }

    #[test]
    fn one_picture_too_many_in_a_minute_is_too_soon_and_another_senders_is_not() {
        let settings = PictureSettings { per_minute: 3, ..Default::default() };
        let arrivals = Arrivals::new(&settings);
        let [porch, yard] =
            ["porch", "yard"].map(|id| Principal::over_mqtt(Who::Device(device(id))));
        for _ in 0..3 {
            arrivals.admit(&porch).unwrap();
        }
        let error = arrivals.admit(&porch).unwrap_err();
        assert!(matches!(error, PictureError::TooSoon { most: 3, .. }), "{error}");
        arrivals.admit(&yard).unwrap();
        arrivals.admit(&Principal::operator()).unwrap();
    }

    #[test]
    fn one_byte_too_many_does_not_wait_and_room_is_given_back() {
        let settings = PictureSettings { max_bytes: 1024, ..Default::default() };
        let arrivals = Arrivals::new(&settings);
        let porch = device("porch");
        let one = arrivals.hold(&porch, 1024).unwrap();
        // Too large, and refused later by its own name.
        let other = arrivals.hold(&porch, 5000).unwrap();
        assert_eq!(arrivals.hold(&porch, 1).err(), Some(PictureError::Busy));
        drop(other);
        let held = arrivals.hold(&porch, 1023).unwrap();
        arrivals.hold(&porch, 1).unwrap();
        assert!(arrivals.hold(&porch, 2).is_err());
        let others: Vec<_> = (0..7)
            .flat_map(|n| [(); 2].map(|()| arrivals.hold(&device(&format!("d{n}")), 1024).unwrap()))
            .collect();
        assert!(arrivals.hold(&device("last"), 2).is_err(), "of all of them together");
        drop((one, held, others));
        assert!(arrivals.waiting.lock().by_device.is_empty());
        assert_eq!(arrivals.waiting.lock().bytes, 0);
    }
}
