//! The index against a list that is gone through from end to end.

use std::collections::BTreeMap;
use std::sync::Arc;

use latchlight_mqtt::{QoS, TopicFilter};
use proptest::prelude::*;

use super::{Index, Subscriber, Subscription};
use crate::session_handle::Session;

fn subscription(session: &Arc<Session>, qos: QoS) -> Subscription {
    Subscription {
        subscriber: Subscriber::Session(session.clone()),
        qos,
        no_local: false,
        retain_as_published: false,
        identifier: None,
    }
}

/// Filters of few words, so that they meet.
fn filter() -> impl Strategy<Value = TopicFilter> {
    let words = ["a", "b", "ab", "", "+", "$x", "c", "d", "e", "f"];
    let level = prop::sample::select(words.to_vec());
    let levels = prop::collection::vec(level, 1..5);
    let share = prop::sample::select(vec!["", "", "$share/one/", "$share/two/"]);
    (share, levels, any::<bool>()).prop_filter_map("no filter", |(share, mut levels, below)| {
        if below {
            levels.push("#");
        }
        TopicFilter::try_from(format!("{share}{}", levels.join("/"))).ok()
    })
}

fn topic() -> impl Strategy<Value = String> {
    let words = ["a", "b", "ab", "", "$x", "c", "d", "e", "f", "g"];
    let level = prop::sample::select(words.to_vec());
    prop::collection::vec(level, 1..5).prop_map(|levels| levels.join("/"))
}

proptest! {
    /// Whatever comes and goes, a topic's route has whom the filters match, once
    /// each, and nothing stays when all have gone.
    #[test]
    fn the_index_finds_what_the_filters_match(
        steps in prop::collection::vec((filter(), 0_usize..4, any::<bool>()), 1..60),
        topics in prop::collection::vec(topic(), 1..10),
    ) {
        let index = Index::default();
        let sessions: Vec<_> = (0..4)
            .map(|number| Session::new(number.to_string().into(), "who".into(), number))
            .collect();
        sessions.iter().for_each(|session| session.note_subscriptions(2));
        let mut all = BTreeMap::new();
        for (step, (filter, who, comes)) in steps.into_iter().enumerate() {
            let session = &sessions[who];
            let key = (filter.as_str().to_owned(), who);
            if comes {
                let qos = if step % 2 == 0 { QoS::AtMostOnce } else { QoS::AtLeastOnce };
                let is_new = all.insert(key, (filter.clone(), qos)).is_none();
                prop_assert_eq!(index.add(&filter, subscription(session, qos)), is_new);
            } else {
                let was_there = all.remove(&key).is_some();
                let subscriber = Subscriber::Session(session.clone());
                prop_assert_eq!(index.remove(&filter, &subscriber), was_there);
            }
        }
        for topic in &topics {
            let route = index.route(topic);
            let found: BTreeMap<_, _> = route
                .sessions
                .iter()
                .map(|target| (target.session.client_id.to_string(), target.receiver.qos))
                .collect();
            prop_assert_eq!(found.len(), route.sessions.len(), "each once");
            let matching = |shared| {
                all.iter().filter(move |(_, (filter, _))| {
                    filter.shared().is_some() == shared && filter.matches(topic)
                })
            };
            let mut wanted = BTreeMap::new();
            for ((_, who), (_, qos)) in matching(false) {
                let most = wanted.entry(who.to_string()).or_insert(*qos);
                *most = (*most).max(*qos);
            }
            prop_assert_eq!(&found, &wanted, "{}", topic);
            let mut members: Vec<_> = route
                .groups
                .iter()
                .flat_map(|group| group.in_turn().map(move |member| (group, member)))
                .map(|(group, member)| {
                    let Subscriber::Session(session) = member.subscriber else { panic!("inline") };
                    (group.filter().to_string(), session.client_id.parse::<usize>().expect("number"))
                })
                .collect();
            members.sort();
            let wanted: Vec<_> = matching(true).map(|(key, _)| key.clone()).collect();
            prop_assert_eq!(members, wanted, "{}", topic);
        }
        for ((_, who), (filter, _)) in &all {
            prop_assert!(filter.shared().is_none() || index.group(filter).is_some());
            prop_assert!(index.remove(filter, &Subscriber::Session(sessions[*who].clone())));
        }
        prop_assert!(index.is_empty());
        prop_assert!(topics.iter().all(|topic| index.route(topic).is_empty()));
    }
}
