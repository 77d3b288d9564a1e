//! The subscriptions that the server has granted, to ask for them again.
use latchlight_mqtt::{ReasonCode, SubscribeFilter, TopicFilter};

/// How many filters one SUBSCRIBE that renews them carries.
const FILTERS_PER_PACKET: usize = 100;

/// What is subscribed to, in the order in which it was asked for.
#[derive(Debug, Default)]
pub(crate) struct Subscriptions {
    granted: Vec<SubscribeFilter>,
}

impl Subscriptions {
    /// Keeps what the server granted and forgets what it refused; returns the refused.
    pub(crate) fn answered(
        &mut self,
        filters: Vec<SubscribeFilter>,
        reasons: &[ReasonCode],
    ) -> Vec<(TopicFilter, ReasonCode)> {
        let mut refused = Vec::new();
        for (asked, reason) in filters.into_iter().zip(reasons) {
            self.granted.retain(|known| known.filter != asked.filter);
            match reason.is_error() {
                false => self.granted.push(asked),
                true => refused.push((asked.filter, *reason)),
            }
        }
        refused
    }

    /// Forgets what was unsubscribed.
    pub(crate) fn removed(&mut self, filters: &[TopicFilter]) {
        self.granted.retain(|known| !filters.contains(&known.filter));
    }

    /// The filters to ask for again, a packet's worth each.
    pub(crate) fn renewals(&self) -> impl Iterator<Item = Vec<SubscribeFilter>> {
        self.granted.chunks(FILTERS_PER_PACKET).map(<[_]>::to_vec)
    }
}
