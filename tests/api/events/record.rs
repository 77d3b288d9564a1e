//! Nobody takes back what is on record, by whichever statement; and what is
//! not kept any longer goes, and is told of.

use serde_json::json;

use super::Table;
use crate::harness::{Server, until};

const DAY: i64 = 24 * 60 * 60 * 1000;

/// Events that happened so many milliseconds ago.
async fn add(table: &mut Table, events: u32, ago: i64) {
    let at = jiff::Timestamp::now().as_millisecond() - ago;
    let add = format!(
        "WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < {events}) \
         INSERT INTO events (at, kind, actor, through, action, result) \
         SELECT {at}, 'account', 'app:x', 'http', 'add', 'ok' FROM n"
    );
    assert_eq!(table.execute(&add).await, Ok(u64::from(events)));
}

#[tokio::test]
async fn c27_the_database_refuses_to_change_or_delete_an_event() {
    let server = Server::start().await;
    let folder = server.stop_and_keep().await;
    let mut table = Table::of(folder.path()).await;
    add(&mut table, 3, 400 * DAY).await;
    let sum = "SELECT cast(sum(seq * length(actor || result)) AS BIGINT) FROM events";
    let before = table.number(sum).await;
    let columns = "(seq, at, kind, actor, through, action, result)";
    let replace = format!("{columns} VALUES (2, 1, 'a', 'b', 'c', 'd', 'e')");
    let of_sqlite = [
        "UPDATE OR REPLACE events SET seq = 1 WHERE seq = 2".to_owned(),
        "UPDATE OR IGNORE events SET actor = 'app:eve'".to_owned(),
        format!("REPLACE INTO events {replace}"),
        format!("INSERT OR REPLACE INTO events {replace}"),
        format!(
            "REPLACE INTO events {columns} SELECT max(seq), 1, 'a', 'b', 'c', 'd', 'e' FROM events"
        ),
    ];
    let of_postgres = [
        "TRUNCATE events".to_owned(),
        "TRUNCATE events CASCADE".to_owned(),
        format!("INSERT INTO events {replace} ON CONFLICT (seq) DO NOTHING"),
        "WITH gone AS (DELETE FROM events RETURNING *) SELECT count(*) FROM gone".to_owned(),
        "MERGE INTO events USING (VALUES (2)) AS x (seq) ON events.seq = x.seq \
         WHEN MATCHED THEN DELETE"
            .to_owned(),
    ];
    let of_one = if table.is_postgres() { of_postgres } else { of_sqlite };
    let of_both = [
        "UPDATE events SET result = 'ok'",
        "UPDATE events SET detail = 'nothing' WHERE seq = 2",
        "UPDATE events SET seq = 99999 WHERE seq = 2",
        "DELETE FROM events",
        "DELETE FROM events WHERE seq = 1",
        "DELETE FROM events WHERE at > 0",
        &format!(
            "INSERT INTO events {columns} VALUES (1, 1, 'a', 'b', 'c', 'd', 'e') \
             ON CONFLICT (seq) DO UPDATE SET actor = 'app:eve'"
        ),
        // Nor is there a place between them, before them or far behind them.
        &format!("INSERT INTO events {columns} VALUES (0, 1, 'a', 'b', 'c', 'd', 'e')"),
        &format!("INSERT INTO events {columns} VALUES (-7, 1, 'a', 'b', 'c', 'd', 'e')"),
        &format!("INSERT INTO events {columns} VALUES (99999, 1, 'a', 'b', 'c', 'd', 'e')"),
    ];
    for statement in of_one.iter().map(String::as_str).chain(of_both) {
        let said = table.execute(statement).await;
        assert!(said.as_ref().is_err_and(|said| said.contains("event")), "{statement}: {said:?}");
        assert_eq!(table.number(sum).await, before, "{statement}");
    }
    assert_eq!(table.number("SELECT max(seq) - count(*) FROM events").await, 0, "without gaps");
}

#[tokio::test]
async fn c27_the_mark_before_which_events_are_deleted_moves_over_nothing_that_is_kept() {
    let server = Server::start().await;
    let folder = server.stop_and_keep().await;
    let mut table = Table::of(folder.path()).await;
    add(&mut table, 2000, DAY / 2).await;
    let newest = table.number("SELECT max(seq) FROM events").await;
    let year = 365 * DAY;
    for statement in [
        "DELETE FROM events_kept",
        "INSERT INTO events_kept VALUES (2, 9, 86400000, 1000)",
        if table.is_postgres() {
            "TRUNCATE events_kept"
        } else {
            "REPLACE INTO events_kept VALUES (1, 9, 86400000, 1000)"
        },
        // What is younger than is said, and not beyond the number that is said.
        &format!("UPDATE events_kept SET from_seq = 9, age_ms = {year}, most = 100000"),
        &format!("UPDATE events_kept SET from_seq = {newest}, age_ms = {year}, most = 1000"),
        // Less than a day, or fewer than a thousand, are no limits.
        "UPDATE events_kept SET from_seq = 9, age_ms = 1",
        "UPDATE events_kept SET from_seq = 9, most = 1",
        "UPDATE events_kept SET from_seq = 1",
        "UPDATE events_kept SET id = 2, from_seq = 9, most = 1000",
        &format!("UPDATE events_kept SET from_seq = {newest} + 1, most = 1000"),
    ] {
        let said = table.execute(statement).await;
        assert!(said.is_err(), "{statement}: {said:?}");
    }
    assert_eq!(table.number("SELECT count(*) FROM events").await, newest);
    // What is beyond the limits may go: but the record itself tells of it.
    let move_on = "UPDATE events_kept SET from_seq = 501, age_ms = 86400000, most = 1000";
    // The first ones are of this very hour.
    assert!(table.execute(move_on).await.is_err());
    assert_eq!(table.events("record").await, []);
}

/// Has all that is on record happen so much earlier, as no statement could but
/// for one that takes the trigger away.
async fn make_older(table: &mut Table, milliseconds: i64) {
    let older = format!("UPDATE events SET at = at - {milliseconds}");
    if table.is_postgres() {
        let switch = async |table: &mut Table, on| {
            let switch = format!("ALTER TABLE events {on} TRIGGER events_stay_as_they_are");
            table.execute(&switch).await.unwrap();
        };
        switch(table, "DISABLE").await;
        table.execute(&older).await.unwrap();
        return switch(table, "ENABLE").await;
    }
    let trigger = "SELECT sql FROM sqlite_master WHERE name = 'events_stay_as_they_are'";
    let trigger: String = sqlx::query_scalar(trigger).fetch_one(&mut table.0).await.unwrap();
    table.execute("DROP TRIGGER events_stay_as_they_are").await.unwrap();
    table.execute(&older).await.unwrap();
    table.execute(&trigger).await.unwrap();
}

/// Waits until the record begins with this event, and checks that it has no
/// gaps and that the rest is kept.
async fn begins_with(table: &mut Table, seq: i64) {
    until("the old ones to be gone", async || {
        (table.number("SELECT min(seq) FROM events").await == seq).then_some(())
    })
    .await;
    assert_eq!(table.number("SELECT max(seq) - min(seq) + 1 - count(*) FROM events").await, 0);
    assert!(table.execute("DELETE FROM events").await.is_err());
}

#[tokio::test]
async fn what_is_older_than_the_settings_keep_goes_and_the_record_tells_of_it() {
    let settings = json!({ "events": { "kept_days": 30 } });
    let folder = Server::start_with(settings).await.stop_and_keep().await;
    let mut table = Table::of(folder.path()).await;
    make_older(&mut table, 40 * DAY).await;
    add(&mut table, 700, 31 * DAY).await;
    let last = table.number("SELECT max(seq) FROM events").await;
    add(&mut table, 5, 29 * DAY).await;
    let server = Server::start_in(folder).await;
    let told = table.events_when("record", 1).await;
    assert_eq!((told[0].times, &*told[0].action), (last, "remove"));
    begins_with(&mut table, last + 1).await;
    assert_eq!(table.events("account").await.len(), 5);
    server.stop().await;
}

#[tokio::test]
async fn of_too_many_the_oldest_go_but_none_of_the_last_hour() {
    let settings = json!({ "events": { "kept": 1000 } });
    let folder = Server::start_with(settings).await.stop_and_keep().await;
    let mut table = Table::of(folder.path()).await;
    make_older(&mut table, DAY).await;
    add(&mut table, 2500, DAY / 4).await;
    let last = table.number("SELECT max(seq) FROM events").await;
    // More than are kept, and all of the last hour.
    add(&mut table, 1200, DAY / 100).await;
    let server = Server::start_in(folder).await;
    let told = table.events_when("record", 1).await;
    assert_eq!((told[0].action.as_str(), told[0].result.as_str()), ("remove", "ok"));
    assert_eq!((told[0].actor.as_str(), told[0].times), ("server", last));
    let detail = told[0].detail.as_deref().unwrap();
    assert!(detail.starts_with(&format!("events 1 to {last}, the last of 20")), "{detail}");
    assert!(detail.ends_with("kept are 365 days and 1000 events"), "{detail}");
    begins_with(&mut table, last + 1).await;
    server.stop().await;
}
