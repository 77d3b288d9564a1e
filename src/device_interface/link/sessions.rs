//! Which connected clients listen where commands for a device go.

use std::collections::{HashMap, HashSet};
use std::sync::Arc;

use latchlight_broker::{ClientInfo, Interests, Observer, QoS, ReasonCode};
use parking_lot::Mutex;
use tokio::sync::mpsc;

use super::client::Client;
use crate::device_interface::topics::Topics;
use crate::state::DeviceId;

/// Clients by their client id.
type Clients = HashMap<Arc<str>, Arc<ClientInfo>>;

/// Which connected clients listen where commands for a device go.
pub(super) struct Sessions {
    topics: Arc<Topics>,
    events: mpsc::UnboundedSender<DeviceId>,
    listeners: Mutex<Listeners>,
}

#[derive(Default)]
struct Listeners {
    of_devices: HashMap<DeviceId, Clients>,
    /// The same the other way round: a client that goes is looked for where it
    /// is, and nowhere else.
    of_clients: HashMap<Arc<str>, Vec<DeviceId>>,
}

impl Listeners {
    fn add(&mut self, device: &DeviceId, client: &Arc<ClientInfo>) {
        let theirs = self.of_devices.entry(device.clone()).or_default();
        theirs.insert(client.client_id.clone(), client.clone());
        let devices = self.of_clients.entry(client.client_id.clone()).or_default();
        if !devices.contains(device) {
            devices.push(device.clone());
        }
    }

    fn remove(&mut self, device: &DeviceId, client_id: &str) {
        if let Some(theirs) = self.of_devices.get_mut(device.as_str()) {
            theirs.remove(client_id);
            if theirs.is_empty() {
                self.of_devices.remove(device.as_str());
            }
        }
        if let Some(devices) = self.of_clients.get_mut(client_id) {
            devices.retain(|listed| listed != device);
            if devices.is_empty() {
                self.of_clients.remove(client_id);
            }
        }
    }

    /// Removes a connection; gives the devices for which it listened.
    fn remove_all(&mut self, client: &Arc<ClientInfo>) -> Vec<DeviceId> {
        let mut gone = self.of_clients.get(&client.client_id).cloned().unwrap_or_default();
        // A newer connection of the same client has told of itself already.
        gone.retain(|device| {
            let theirs = self.of_devices.get(device.as_str());
            let listed = theirs.and_then(|theirs| theirs.get(&client.client_id));
            listed.is_some_and(|listed| Arc::ptr_eq(listed, client))
        });
        for device in &gone {
            self.remove(device, &client.client_id);
        }
        gone
    }
}

impl Sessions {
    pub(super) fn new(topics: Arc<Topics>, events: mpsc::UnboundedSender<DeviceId>) -> Self {
        Self { topics, events, listeners: Mutex::default() }
    }

    /// The client ids of those who listen for a device.
    pub(super) fn of(&self, device: &DeviceId) -> HashSet<Arc<str>> {
        let listeners = self.listeners.lock();
        let theirs = listeners.of_devices.get(device.as_str());
        theirs.map(|theirs| theirs.keys().cloned().collect()).unwrap_or_default()
    }

    /// Whether anybody listens for a device.
    pub(super) fn is_there(&self, device: &DeviceId) -> bool {
        self.listeners.lock().of_devices.contains_key(device.as_str())
    }

    pub(super) fn add(&self, device: DeviceId, client: &Arc<ClientInfo>) {
        self.listeners.lock().add(&device, client);
        self.tell(device);
    }

    fn tell(&self, device: DeviceId) {
        // Nobody listens any more: the server is stopping.
        let _ = self.events.send(device);
    }
}

/// Sees which clients listen where a device does.
pub(super) struct Watch(pub(super) Arc<Sessions>);

impl Observer for Watch {
    fn interests(&self) -> Interests {
        Interests::NONE
    }

    fn subscribed(&self, client: &Arc<ClientInfo>, filter: &str, _: QoS) {
        let Some(device) = self.0.topics.listener(filter) else { return };
        // Others may watch: they are not the device.
        if Client::of(&client.identity) == Some(Client::Device(device.as_str())) {
            self.0.add(device, client);
        }
    }

    fn unsubscribed(&self, client: &Arc<ClientInfo>, filter: &str) {
        let Some(device) = self.0.topics.listener(filter) else { return };
        self.0.listeners.lock().remove(&device, &client.client_id);
        self.0.tell(device);
    }

    fn disconnected(&self, client: &Arc<ClientInfo>, _: ReasonCode, _: bool) {
        let gone = self.0.listeners.lock().remove_all(client);
        for device in gone {
            self.0.tell(device);
        }
    }
}
