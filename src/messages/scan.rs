//! Pages of messages, none of which takes long however many messages there
//! are. Of what a filter asks, one thing is looked up in an index; the rest is
//! asked of each row that this gives, and of so many rows at the most: a page
//! may have fewer messages than it could, and go on all the same.

use latchlight_mqtt::TopicFilter;
use sqlx::Row as _;

use super::{
    Direction, Filter, Message, MessageError, MessageId, MessageState, Position, Total, rows,
};
use crate::database::{Pool, Statement};

/// How many rows are looked at for a page.
const LOOKED_AT: i64 = 6_000;

/// How many rows on a filter's topics are sorted for a page; where there are
/// more, they are met often enough in the order of time.
const SORTED: usize = 4_000;

/// How many of these are read for a page, and how many messages at a time.
const READ: usize = 2_000;
const CHUNK: usize = 500;

/// With so many bytes of payloads a page ends, though it could have more
/// messages. It is read by at most as many at a time, so it has less than twice
/// that.
const PAGE_BYTES: usize = 16 * 1024 * 1024;

/// How many rows are looked at to count.
const COUNTED: i64 = 100_000;

/// Messages, and after which one the next page begins.
pub(super) type Page = (Vec<Message>, Option<MessageId>);

/// What is looked up in an index.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Index {
    Topic,
    Device,
    Account,
    State,
    Sent,
    None,
}

/// A filter, and where a page of it begins.
struct Scan<'a> {
    filter: &'a Filter,
    index: Index,
    /// Ids are above the first and below the second.
    between: (i64, i64),
    descending: bool,
}

pub(super) async fn page(
    pool: &Pool,
    filter: &Filter,
    position: Position,
    limit: u32,
    largest: usize,
) -> Result<Page, MessageError> {
    let scan = Scan::new(filter, position);
    let chunk = chunk(largest);
    if let Some(ids) = scan.sorted(pool).await? {
        return scan.page_of(pool, ids, limit as usize, chunk).await;
    }
    let (ids, next) = scan.ids(pool, i64::from(limit)).await?;
    let (mut messages, mut bytes) = (Vec::new(), 0);
    for chunk in ids.chunks(chunk) {
        let mut found = rows::of_ids(pool, chunk, |_| {}).await?;
        scan.sort(&mut found);
        bytes += bytes_of(&found);
        messages.append(&mut found);
        if bytes >= PAGE_BYTES {
            let last = chunk.last().filter(|last| ids.last() != Some(last));
            return Ok((messages, last.map(|last| MessageId::of_i64(*last)).or(next)));
        }
    }
    Ok((messages, next))
}

/// How many messages are read at a time where the largest has so many bytes.
fn chunk(largest: usize) -> usize {
    (PAGE_BYTES / largest.max(1)).clamp(1, CHUNK)
}

fn bytes_of(messages: &[Message]) -> usize {
    messages.iter().map(|message| message.payload.len()).sum()
}

pub(super) async fn count(pool: &Pool, filter: &Filter) -> Result<Total, MessageError> {
    if *filter == Filter::default() {
        return Ok(Total { count: rows::total(pool).await?.0, is_exact: true });
    }
    let scan = Scan::new(filter, Position::Before(None));
    let mut query = Statement::new("SELECT topic, count(*) FROM (");
    scan.push_looked_at(&mut query, COUNTED);
    query.push(") AS looked_at WHERE true");
    scan.push_rest(&mut query);
    query.push(" GROUP BY topic");
    let mut count = 0;
    for row in query.build().fetch_all(pool).await? {
        if scan.is_on_topic(row.try_get(0)?) {
            count += row.try_get::<i64, _>(1)?;
        }
    }
    let (looked_at, _) = scan.extent(pool, COUNTED).await?;
    Ok(Total { count, is_exact: looked_at < COUNTED })
}

impl<'a> Scan<'a> {
    fn new(filter: &'a Filter, position: Position) -> Self {
        let exact = filter.topic.as_ref().is_some_and(|topic| !has_wildcards(topic));
        let index = match filter {
            _ if exact => Index::Topic,
            Filter { device: Some(_), .. } => Index::Device,
            Filter { account: Some(_), .. } => Index::Account,
            Filter { state: Some(_), .. } => Index::State,
            Filter { direction: Some(Direction::Received), .. } => Index::State,
            Filter { direction: Some(Direction::Sent), .. } => Index::Sent,
            _ => Index::None,
        };
        let first = |moment| MessageId::first_of(moment).as_i64();
        let mut between =
            (filter.from.map_or(-1, |from| first(from) - 1), filter.to.map_or(i64::MAX, first));
        match position {
            Position::Before(before) => {
                between.1 = between.1.min(before.map_or(i64::MAX, MessageId::as_i64));
            }
            Position::After(after, last) => {
                between.0 = between.0.max(after.map_or(-1, MessageId::as_i64));
                between.1 = between.1.min(last.as_i64().saturating_add(1));
            }
        }
        let descending = matches!(position, Position::Before(_));
        Self { filter, index, between, descending }
    }

    /// The state that rows must have, and the one that they must not have.
    fn states(&self) -> (Option<MessageState>, Option<MessageState>) {
        match (self.filter.state, self.filter.direction) {
            (state, Some(Direction::Sent)) => (state, Some(MessageState::Received)),
            (None, Some(Direction::Received)) => (Some(MessageState::Received), None),
            (state, Some(Direction::Received)) if state != Some(MessageState::Received) => {
                (state, state)
            }
            (state, _) => (state, None),
        }
    }

    /// The rows that are looked at, in their order.
    fn push_looked_at(&self, query: &mut Statement, most: i64) {
        query.push("SELECT id, topic, device, account, state FROM messages WHERE ");
        match self.index {
            Index::Topic => {
                let topic = self.filter.topic.as_ref().map_or("", TopicFilter::as_str);
                query.push("topic = ").bind(topic.to_owned());
            }
            Index::Device => {
                query.push("device = ").bind(self.filter.device.clone());
            }
            Index::Account => {
                query.push("account = ").bind(self.filter.account.clone());
            }
            Index::State => {
                let state = self.states().0.map(MessageState::as_str);
                query.push("state = ").bind(state);
            }
            Index::Sent => {
                query.push("state <> 'received'");
            }
            Index::None => {
                query.push("true");
            }
        }
        query.push(" AND id > ").bind(self.between.0);
        query.push(" AND id < ").bind(self.between.1);
        query.push(" ORDER BY id").push(if self.descending { " DESC" } else { "" });
        query.push(" LIMIT ").bind(most);
    }

    /// What is asked of each of them beside; false: nothing.
    fn push_rest(&self, query: &mut Statement) -> bool {
        let mut asks = false;
        let Filter { topic, device, account, .. } = self.filter;
        if let Some(topic) = topic.as_ref().filter(|_| self.index != Index::Topic) {
            asks = true;
            query.push(" AND topic LIKE ").bind(like(topic)).push(" ESCAPE '\\'");
            if !topic.as_str().ends_with('#') {
                // So that `+` is one level.
                let slashes = topic.as_str().matches('/').count();
                query.push(" AND length(topic) - length(replace(topic, '/', '')) = ");
                query.bind(i64::try_from(slashes).unwrap_or(i64::MAX));
            }
        }
        if let Some(device) = device.as_ref().filter(|_| self.index != Index::Device) {
            asks = true;
            query.push(" AND device = ").bind(device.clone());
        }
        if let Some(account) = account.as_ref().filter(|_| self.index != Index::Account) {
            asks = true;
            query.push(" AND account = ").bind(account.clone());
        }
        let (is, is_not) = self.states();
        if let Some(state) = is.filter(|_| self.index != Index::State) {
            asks = true;
            query.push(" AND state = ").bind(state.as_str());
        }
        if let Some(state) = is_not.filter(|_| self.index != Index::Sent) {
            asks = true;
            query.push(" AND state <> ").bind(state.as_str());
        }
        asks
    }

    fn is_on_topic(&self, topic: &str) -> bool {
        // LIKE knows no levels, and in SQLite no case.
        self.filter.topic.as_ref().is_none_or(|filter| filter.matches(topic))
    }

    /// The ids of a page in the order of an index, and where the next begins.
    async fn ids(
        &self,
        pool: &Pool,
        limit: i64,
    ) -> Result<(Vec<i64>, Option<MessageId>), MessageError> {
        let mut rest = Statement::new("");
        let most = if self.push_rest(&mut rest) { LOOKED_AT } else { limit + 1 };
        // Both databases give them in the order in which they are looked at; to
        // ask for that order would have them all sorted first.
        let mut query = Statement::new("SELECT id, topic FROM (");
        self.push_looked_at(&mut query, most);
        query.push(") AS looked_at WHERE true");
        self.push_rest(&mut query);
        query.push(" LIMIT ").bind(limit + 1);
        let found = query.build().fetch_all(pool).await?;
        let mut found: Vec<(i64, String)> = found
            .iter()
            .map(|row| Ok((row.try_get(0)?, row.try_get(1)?)))
            .collect::<Result<_, sqlx::Error>>()?;
        let is_full = i64::try_from(found.len()).is_ok_and(|found| found > limit);
        let next = if is_full {
            found.pop();
            found.last().map(|(id, _)| *id)
        } else {
            let (looked_at, last) = self.extent(pool, most).await?;
            last.filter(|_| looked_at == most)
        };
        found.retain(|(_, topic)| self.is_on_topic(topic));
        let ids = found.into_iter().map(|(id, _)| id).collect();
        Ok((ids, next.map(MessageId::of_i64)))
    }

    /// How many rows are looked at, and the last of them.
    async fn extent(&self, pool: &Pool, most: i64) -> Result<(i64, Option<i64>), MessageError> {
        let last = if self.descending { "min" } else { "max" };
        let mut query = Statement::new("SELECT count(*), ");
        query.push(last).push("(id) FROM (");
        self.push_looked_at(&mut query, most);
        query.push(") AS looked_at");
        let row = query.build().fetch_one(pool).await?;
        Ok((row.try_get(0)?, row.try_get(1)?))
    }

    /// The ids of all messages on the topics of a filter with wildcards, in
    /// their order; nothing where there are many, or where something else says
    /// better which are meant.
    async fn sorted(&self, pool: &Pool) -> Result<Option<Vec<i64>>, MessageError> {
        let topic = self.filter.topic.as_ref().filter(|topic| has_wildcards(topic));
        let begins = topic.map_or("", begin_of);
        if begins.is_empty() || matches!(self.index, Index::Device | Index::Account) {
            return Ok(None);
        }
        let query = sqlx::query_as(
            "SELECT id, topic FROM messages WHERE topic >= $1 AND topic < $2 LIMIT $3",
        );
        let most = i64::try_from(SORTED + 1).unwrap_or(i64::MAX);
        let query = query.bind(begins).bind(format!("{begins}{}", char::MAX)).bind(most);
        let found: Vec<(i64, String)> = query.fetch_all(pool).await?;
        if found.len() > SORTED {
            return Ok(None);
        }
        let (above, below) = self.between;
        let meant = found
            .into_iter()
            .filter(|(id, topic)| *id > above && *id < below && self.is_on_topic(topic));
        let mut ids: Vec<i64> = meant.map(|(id, _)| id).collect();
        ids.sort_unstable();
        if self.descending {
            ids.reverse();
        }
        Ok(Some(ids))
    }

    /// The first of these that are like the rest of the filter.
    async fn page_of(
        &self,
        pool: &Pool,
        ids: Vec<i64>,
        limit: usize,
        chunk: usize,
    ) -> Result<Page, MessageError> {
        let (mut page, mut bytes) = (Vec::new(), 0);
        let mut looked_at = 0;
        for chunk in ids[..ids.len().min(READ)].chunks(chunk) {
            let rest = |query: &mut Statement| {
                self.push_rest(query);
            };
            let mut found = rows::of_ids(pool, chunk, rest).await?;
            self.sort(&mut found);
            bytes += bytes_of(&found);
            page.append(&mut found);
            looked_at += chunk.len();
            if page.len() > limit {
                page.truncate(limit);
                let next = page.last().map(|message| message.id);
                return Ok((page, next));
            }
            if bytes >= PAGE_BYTES {
                break;
            }
        }
        let next = (looked_at < ids.len()).then(|| MessageId::of_i64(ids[looked_at - 1]));
        Ok((page, next))
    }

    fn sort(&self, messages: &mut [Message]) {
        messages.sort_unstable_by_key(|message| message.id);
        if self.descending {
            messages.reverse();
        }
    }
}

fn has_wildcards(topic: &TopicFilter) -> bool {
    topic.as_str().contains(['+', '#'])
}

/// How all topics of a filter begin.
fn begin_of(topic: &TopicFilter) -> &str {
    let topic = topic.as_str();
    let end = topic.find(['+', '#']).unwrap_or(topic.len());
    // `a/#` has `a` among its topics.
    if topic[end..].starts_with('#') { topic[..end].trim_end_matches('/') } else { &topic[..end] }
}

/// A pattern for LIKE that no topic of a filter lacks.
fn like(topic: &TopicFilter) -> String {
    let mut pattern = String::new();
    let topic = topic.as_str();
    let (levels, ends) = match topic.strip_suffix('#') {
        Some(levels) => (levels.strip_suffix('/').unwrap_or(levels), "%"),
        None => (topic, ""),
    };
    for c in levels.chars() {
        match c {
            '+' => pattern.push('%'),
            '%' | '_' | '\\' => pattern.extend(['\\', c]),
            _ => pattern.push(c),
        }
    }
    pattern + ends
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    #[test]
    fn a_pattern_lacks_no_topic() {
        for (filter, pattern, begins) in [
            ("#", "%", ""),
            ("a/#", "a%", "a"),
            ("a/+/b", "a/%/b", "a/"),
            ("+/b/#", "%/b%", ""),
            ("a_b/100%/+", "a\\_b/100\\%/%", "a_b/100%/"),
        ] {
            let filter = TopicFilter::try_from(filter).unwrap();
            assert_eq!((&*like(&filter), begin_of(&filter)), (pattern, begins));
        }
    }
}
