//! Devices that are just joining. Their topics are taken before the roster has
//! them, so that it cannot say yet whose those are.

use std::collections::HashMap;
use std::sync::Arc;

use parking_lot::Mutex;

use super::topics::Topics;
use crate::state::{DeviceId, State};

/// Who is joining.
#[derive(Default)]
pub(super) struct Joins(Mutex<HashMap<DeviceId, Join>>);

#[derive(Default)]
struct Join {
    /// How often at once.
    count: usize,
    /// Somebody wanted to know meanwhile whether it is in the roster.
    is_looked_for: bool,
}

/// A device is joining until this is dropped.
pub(super) struct Joining {
    topics: Arc<Topics>,
    state: State,
    device: DeviceId,
}

impl Joins {
    /// Does something about a device that nobody is about to take in. If
    /// somebody is, nothing is done, and the device counts as changed when that
    /// is over.
    pub(super) fn unless_joining<T>(
        &self,
        device: &DeviceId,
        change: impl FnOnce() -> Option<T>,
    ) -> Option<T> {
        let mut joins = self.0.lock();
        match joins.get_mut(device) {
            Some(join) => {
                join.is_looked_for = true;
                None
            }
            None => change(),
        }
    }
}

impl Joining {
    pub(super) fn begin(topics: Arc<Topics>, state: State, device: DeviceId) -> Self {
        topics.joins.0.lock().entry(device.clone()).or_default().count += 1;
        Self { topics, state, device }
    }
}

impl Drop for Joining {
    fn drop(&mut self) {
        let mut joins = self.topics.joins.0.lock();
        let Some(join) = joins.get_mut(&self.device) else { return };
        join.count -= 1;
        if join.count == 0 && joins.remove(&self.device).is_some_and(|join| join.is_looked_for) {
            self.state.mark_changed(&self.device);
        }
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use std::time::Duration;

    use async_trait::async_trait;
    use bytes::Bytes;
    use tokio::sync::{Semaphore, watch};

    use super::*;
    use crate::actions::Outbox;
    use crate::commands::{Dispatch, Flight, FlightEnd};
    use crate::config::Settings;
    use crate::database::Database;
    use crate::device_interface::link::{Link, NotTaken, Outgoing};
    use crate::device_interface::topics::{Adopted, CommandMessage, Destination, Source};
    use crate::device_interface::{LinkOutbox, Presence, state_topics};
    use crate::events::Events;
    use crate::identity::{Directory, Permissions};
    use crate::state::{ConfigFile, Device, DeviceKind, Features};

    const UP: &str = "yard/garage/up";

    /// Listens when a test lets it, and notes what is published.
    struct Slow {
        may_listen: Semaphore,
        heard: watch::Sender<Vec<String>>,
        waiting: watch::Sender<usize>,
        published: watch::Sender<Vec<Bytes>>,
    }

    #[async_trait]
    impl Link for Slow {
        async fn subscribe(&self, filter: &str) -> anyhow::Result<()> {
            self.waiting.send_modify(|waiting| *waiting += 1);
            self.may_listen.acquire().await?.forget();
            self.heard.send_modify(|heard| heard.push(filter.to_owned()));
            Ok(())
        }

        async fn unsubscribe(&self, filter: &str) -> anyhow::Result<()> {
            self.heard.send_modify(|heard| heard.retain(|known| known != filter));
            Ok(())
        }

        async fn publish(&self, _: &Destination, payload: Bytes, _: bool) -> anyhow::Result<()> {
            self.published.send_modify(|published| published.push(payload));
            Ok(())
        }

        async fn deliver(&self, to: &Destination, message: Outgoing) -> Result<(), NotTaken> {
            let sent = self.publish(to, message.payload, message.retain).await;
            sent.map_err(|error| NotTaken::Away(error.to_string()))
        }

        async fn launch(&self, _: &Device, _: CommandMessage, _: Dispatch) -> Flight {
            Flight::ended(FlightEnd::Away("nobody is here".to_owned()))
        }

        fn adopted(&self, _: &DeviceId, _: &Adopted) {}

        fn presence(&self, _: &DeviceId) -> Option<bool> {
            None
        }

        fn is_up(&self) -> bool {
            true
        }

        async fn close(&self) {}
    }

    /// What a hand shake does.
    async fn join(outbox: LinkOutbox, device: DeviceId) {
        let _joining = outbox.joining(&device);
        outbox.adopt(&device, Some("yard/garage")).await.unwrap();
        let joining = crate::state::Joining {
            id: device,
            kind: DeviceKind::Lock,
            profile: "words".to_owned(),
            features: Features::default(),
            base_topic: Some("yard/garage".to_owned()),
        };
        outbox.state.join(joining).await.unwrap();
    }

    #[tokio::test]
    async fn a_device_that_is_removed_while_it_joins_anew_keeps_its_base_topic() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("config.json");
        std::fs::write(&path, "{}").unwrap();
        let state = State::open(ConfigFile::new(path)).unwrap();
        tokio::spawn(state.clone().run_writer(Duration::from_secs(5)));
        let topics = Arc::new(Topics::new(&Settings::default()));
        let link = Arc::new(Slow {
            may_listen: Semaphore::new(1),
            heard: watch::Sender::default(),
            waiting: watch::Sender::default(),
            published: watch::Sender::default(),
        });
        tokio::spawn(state_topics::run(state.clone(), topics.clone(), link.clone()));
        let presence = Arc::new(Presence::default());
        let settings = Settings::default();
        let database = Database::open(&settings.database, folder.path()).await.unwrap();
        let directory = Directory::open(&database).await.unwrap();
        let outbox = LinkOutbox {
            topics: topics.clone(),
            link: link.clone(),
            state: state.clone(),
            permissions: Permissions::new(directory, Default::default()),
            presence,
            events: Events::open(&database, &settings.events),
        };
        let garage: DeviceId = "garage".parse().unwrap();
        join(outbox.clone(), garage.clone()).await;

        let again = tokio::spawn(join(outbox.clone(), garage.clone()));
        link.waiting.subscribe().wait_for(|waiting| *waiting == 2).await.unwrap();
        assert!(state.remove(&garage).await.unwrap());
        let is_told = |published: &Vec<Bytes>| published.iter().any(Bytes::is_empty);
        link.published.subscribe().wait_for(is_told).await.unwrap();
        link.may_listen.add_permits(1);
        again.await.unwrap();
        assert!(state.is_known("garage"));
        assert_eq!(topics.source(UP), Some(Source::Device(garage.clone())));
        assert!(link.heard.borrow().contains(&UP.to_owned()));

        // With nobody about to join it goes as it always did.
        assert!(state.remove(&garage).await.unwrap());
        link.heard.subscribe().wait_for(Vec::is_empty).await.unwrap();
        assert_eq!(topics.source(UP), None);
        assert!(topics.joins.0.lock().is_empty());

        // What cannot be listened on is nobody's.
        link.may_listen.close();
        assert!(outbox.adopt(&garage, Some("yard/garage")).await.is_err());
        assert_eq!(topics.source(UP), None);
        let shed: DeviceId = "shed".parse().unwrap();
        assert!(topics.adopt_base(&shed, "yard/garage").is_ok());
    }
}
