//! `GET /api/v1/events/stream`.

use serde_json::json;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpSocket;

use super::Table;
use crate::harness::{EventStream, Manner, Server, raw_request, raw_response, until};

async fn add(table: &mut Table, count: usize, actor: &str) {
    let at = jiff::Timestamp::now().as_millisecond();
    let add = format!(
        "WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < {count}) \
         INSERT INTO events (at, kind, actor, through, action, result, detail) \
         SELECT {at}, 'account', '{actor}', 'http', 'add', 'ok', CAST(i AS TEXT) FROM n"
    );
    table.execute(&add).await.unwrap();
}

#[tokio::test]
async fn what_happens_comes_at_once_as_the_list_has_it() {
    let server = Server::start().await;
    let _hall = server.light("hall", Manner::Obeys).await;
    let mut stream = server.stream("?kind=command").await;
    let headers = stream.response().headers();
    assert_eq!(headers["content-type"], "text/event-stream");
    assert_eq!(headers["cache-control"], "no-store");
    assert_eq!(headers["x-accel-buffering"], "no");
    assert!(!headers.contains_key("content-length"));
    for verb in ["on", "off"] {
        let body = json!({ "verb": verb });
        server.post_json("/api/v1/devices/hall/commands", &body).await.devices(200);
        let issued = stream.event().await;
        assert_eq!((&*issued.event, &issued.json()["result"]), ("command", &json!("issued")));
        let event = stream.event().await;
        assert_eq!((&*event.event, &event.json()["action"]), ("command", &json!(verb)));
        assert_eq!(event.json()["command"], issued.json()["command"]);
        assert_eq!(event.json()["result"], "confirmed");
        let listed = server.get(&format!("/api/v1/events/{}", event.seq())).await.json();
        assert_eq!(event.json(), listed);
    }
    server.stop().await;
}

#[tokio::test]
async fn nothing_is_missing_and_nothing_comes_twice_whenever_somebody_comes_back() {
    let server = Server::start().await;
    let mut table = Table::of(server.folder()).await;
    let first = server.get("/api/v1/events?limit=1").await.json();
    let first = first["events"][0]["seq"].as_i64().unwrap();
    let token = server.token.clone();
    let mut writer = Table::of(server.folder()).await;
    // Beside the server, and without a word to it.
    let writing = tokio::spawn(async move {
        for _ in 0..60 {
            add(&mut writer, 25, "app:x").await;
            tokio::time::sleep(std::time::Duration::from_millis(5)).await;
        }
    });
    let mut last = first;
    let mut seen = 0;
    while seen < 1500 {
        let url = server.url("/api/v1/events/stream?kind=account");
        let request = server.stranger.get(url).bearer_auth(&token);
        let mut stream = EventStream::open(request.header("Last-Event-ID", last)).await;
        for _ in 0..(seen % 97 + 1).min(1500 - seen) {
            let event = stream.event().await;
            assert!(event.seq() > last, "{event:?} after {last}");
            seen += 1;
            let number: usize = event.json()["detail"].as_str().unwrap().parse().unwrap();
            assert_eq!(number, (seen - 1) % 25 + 1, "each in its order");
            last = event.seq();
        }
    }
    writing.await.unwrap();
    assert_eq!(table.number("SELECT count(*) FROM events WHERE actor = 'app:x'").await, 1500);
    server.stop().await;
}

#[tokio::test]
async fn who_asks_for_what_is_not_kept_is_told_what_is_missing() {
    let server = Server::start().await;
    let mut table = Table::of(server.folder()).await;
    table.events_when("server", 1).await;
    let old = "WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 50) \
               INSERT INTO events (at, kind, actor, through, action, result) \
               SELECT 0, 'account', 'app:x', 'http', 'add', 'ok' FROM n";
    table.execute(old).await.unwrap();
    let of = if table.is_postgres() { "ON events" } else { "" };
    table.execute(&format!("DROP TRIGGER events_are_kept {of}")).await.unwrap();
    table.execute("DELETE FROM events WHERE seq <= 20").await.unwrap();
    let mut stream = server.stream("?after=5").await;
    let gap = stream.event().await;
    assert_eq!((&*gap.event, gap.seq()), ("gap", 20));
    let why = "what lies between is not kept any longer";
    assert_eq!(gap.json(), json!({ "after": 5, "next": 21, "why": why }));
    assert_eq!(stream.event().await.seq(), 21);
    // The number is of a record that is no more.
    let mut stream = server.stream("?after=5000").await;
    let gap = stream.event().await.json();
    assert_eq!(gap, json!({ "after": 5000, "next": 21, "why": "the record has begun anew" }));
    assert_eq!(stream.event().await.seq(), 21);
    let mut stream = server.stream("?after=20").await;
    assert_eq!(stream.event().await.seq(), 21, "and no gap");
    server.stop().await;
}

#[tokio::test]
async fn a_stream_has_the_kinds_and_devices_that_it_names() {
    let server = Server::start().await;
    let _hall = server.light("hall", Manner::Obeys).await;
    let _attic = server.light("attic", Manner::Obeys).await;
    let _front = server.lock("front", Manner::Obeys).await;
    let mut some = server.stream("?kind=command,account&device=hall&device=front").await;
    let mut two = server.stream("?kind=command&kind=account&after=0").await;
    for device in ["hall", "attic", "front"] {
        let verb = if device == "front" { "lock" } else { "on" };
        let path = format!("/api/v1/devices/{device}/commands");
        server.post_json(&path, &json!({ "verb": verb })).await.devices(200);
    }
    let user = json!({ "name": "mia", "role": "member", "password": "a word of hers" });
    assert_eq!(server.post_json("/api/v1/users", &user).await.status, 201);
    let path = "/api/v1/devices/hall/commands";
    server.post_json(path, &json!({ "verb": "off" })).await.devices(200);
    let mut seen = Vec::new();
    for _ in 0..3 {
        let event = some.end_of_command().await;
        seen.push(format!("{} {}", event["device"].as_str().unwrap(), event["action"]));
    }
    assert_eq!(seen, ["hall \"on\"", "front \"lock\"", "hall \"off\""]);
    let mut kinds = Vec::new();
    while kinds.len() < 9 {
        kinds.push(two.event().await.event);
    }
    // That a command was issued, and its end.
    let commands = ["command"; 6];
    assert_eq!(kinds, [&commands[..], &["account", "command", "command"]].concat());
    server.stop().await;
}

#[tokio::test]
async fn what_cannot_be_asked_for_is_said() {
    let server = Server::start().await;
    for query in [
        "kind=nothing",
        "kind=",
        "device=No%20id",
        "device=",
        "after=x",
        "after=-1",
        "from=2020",
        "after=99999999999999999999",
    ] {
        let path = format!("/api/v1/events/stream?{query}");
        server.get(&path).await.problem(400, "malformed");
    }
    let many = vec!["hall"; 101].join(",");
    let path = format!("/api/v1/events/stream?device={many}");
    server.get(&path).await.problem(400, "malformed");
    for id in ["x", "-3", "1, 2"] {
        let request = server.client.get(server.url("/api/v1/events/stream"));
        let answer = server.send(request.header("Last-Event-ID", id)).await;
        answer.problem(400, "malformed");
    }
    let head = server.client.head(server.url("/api/v1/events/stream"));
    let head = server.send(head).await;
    assert_eq!((head.status, head.header("content-type")), (200, "text/event-stream"));
    server.stop().await;
}

#[tokio::test]
async fn c23a_a_page_from_elsewhere_reads_no_stream() {
    let server = Server::start().await;
    for (name, value) in [
        ("Origin", "http://evil.example"),
        ("Sec-Fetch-Site", "cross-site"),
        ("Host", "evil.example"),
    ] {
        let request = server.client.get(server.url("/api/v1/events/stream"));
        server.send(request.header(name, value)).await.problem(403, "foreign");
    }
    server.stop().await;
}

#[tokio::test]
async fn c19_a_guest_follows_the_devices_that_they_may_see_and_nothing_else() {
    let server = Server::start().await;
    let _front = server.lock("front", Manner::Obeys).await;
    let _back = server.lock("back", Manner::Obeys).await;
    let grant = json!({ "actions": ["lock", "unlock"], "devices": ["back"] });
    let password = "a word for the guest";
    let guest = json!({ "name": "gus", "role": "guest", "password": password, "grants": [grant] });
    assert_eq!(server.post_json("/api/v1/users", &guest).await.status, 201);
    let token = server.sign_in_as("gus", password).await["access_token"].clone();
    let token = token.as_str().unwrap();
    let mut live = server.stream_as(token, "").await;
    for device in ["front", "back"] {
        let path = format!("/api/v1/devices/{device}/commands");
        server.post_json(&path, &json!({ "verb": "lock" })).await.devices(200);
    }
    // What was is no more to them than what comes.
    let mut all = server.stream_as(token, "?after=0").await;
    for stream in [&mut live, &mut all] {
        // The state, and the end of the command that brought it about, in no order.
        let (mut command, mut locked) = (None, false);
        while command.is_none() || !locked {
            let event = stream.event().await;
            assert_eq!(event.json()["device"], "back", "{event:?}");
            locked |= event.event == "state" && event.json()["action"] == "locked";
            let is_end = event.event == "command" && event.json()["result"] != "issued";
            command = command.or(Some(event.json()).filter(|_| is_end));
        }
        let event = command.unwrap();
        assert_eq!((&event["action"], &event["result"]), (&json!("lock"), &json!("confirmed")));
        // As the device's commands have it: neither who, nor from where, nor through what.
        assert_eq!(event["actor"], "app");
        assert!(event.get("address").is_none() && event.get("through").is_none(), "{event}");
    }
    let path = "/api/v1/events/stream?kind=command,account";
    server.get_as(token, path).await.problem(403, "insufficient-scope");
    // What is taken away is gone, while the stream goes on.
    let nothing = json!({ "grants": [] });
    let patch = server.client.patch(server.url("/api/v1/users/gus")).json(&nothing);
    assert_eq!(server.send(patch).await.status, 200);
    server.post("/lock?device=back&wait=5").await.devices(200);
    let patch =
        server.client.patch(server.url("/api/v1/users/gus")).json(&json!({"disabled": true}));
    assert_eq!(server.send(patch).await.status, 200);
    assert_eq!(live.end().await, "not let in any more");
    assert_eq!(all.end().await, "not let in any more");
    server.stop().await;
}

#[tokio::test]
async fn c23_a_stream_ends_with_the_sign_in_that_it_came_from() {
    let server = Server::start().await;
    let granted = server.sign_in().await;
    let token = granted["access_token"].as_str().unwrap();
    let mut stream = server.stream_as(token, "").await;
    let form = [("token", token)];
    assert_eq!(server.post_form("/oauth/revoke", &form).await.status, 200);
    assert_eq!(stream.end().await, "the sign-in is over");
    server.get_as(token, "/api/v1/events/stream").await.problem(401, "unknown-caller");

    let key = json!({ "name": "follower", "scopes": "events:read" });
    let key = server.post_json("/api/v1/api-keys", &key).await.json();
    let mut stream = server.stream_as(key["secret"].as_str().unwrap(), "").await;
    assert_eq!(server.delete("/api/v1/api-keys/follower").await.status, 204);
    let mut said = stream.event().await;
    while said.event != "end" {
        said = stream.event().await;
    }
    assert_eq!(said.json()["why"], "not let in any more");
    server.stop().await;
}

#[tokio::test]
async fn the_stop_ends_the_streams_and_waits_for_none() {
    let server = Server::start().await;
    let mut streams = Vec::new();
    for _ in 0..5 {
        streams.push(server.stream("").await);
    }
    server.begin_to_stop();
    for stream in &mut streams {
        assert_eq!(stream.end().await, "the server stops");
    }
    server.stopped().await;
}

#[tokio::test]
async fn an_account_has_so_many_streams_and_so_has_the_server_and_who_leaves_makes_room() {
    let settings = json!({ "http": { "streams": 3, "streams_per_account": 2 } });
    let server = Server::start_with(settings).await;
    let first = server.stream("").await;
    let _second = server.stream("").await;
    let why = server.get("/api/v1/events/stream").await.problem(429, "too-many");
    assert!(why.contains("the setting http.streams_per_account"), "{why}");
    let key = async |name: &str| {
        let key = json!({ "name": name, "scopes": "events:read" });
        let key = server.post_json("/api/v1/api-keys", &key).await.json();
        key["secret"].as_str().unwrap().to_owned()
    };
    let (one, two) = (key("one").await, key("two").await);
    let _third = server.stream_as(&one, "").await;
    let why = server.get_as(&two, "/api/v1/events/stream").await.problem(503, "busy");
    assert!(why.contains("the setting http.streams allows"), "{why}");
    let metrics = async || String::from_utf8(server.get("/metrics").await.body.to_vec()).unwrap();
    let text = metrics().await;
    assert!(text.contains("latchlight_event_streams 3\n"), "{text}");
    assert!(text.contains("latchlight_event_streams_refused_total 2\n"), "{text}");
    // A client that has gone is noticed without an event for it.
    drop(first);
    until("the place of who has gone", async || {
        metrics().await.contains("latchlight_event_streams 2\n").then_some(())
    })
    .await;
    let _fourth = server.stream("").await;
    server.stop().await;
}

#[tokio::test]
async fn a_stream_outlives_the_time_that_silent_connections_have() {
    let times = json!({ "http": { "keep_alive_ms": 1, "request_timeout_ms": 1000 } });
    let server = Server::start_with(times).await;
    let head = "GET /api/v1/events/stream HTTP/1.1\r\nHost: localhost\r\n\r\n";
    let stream = raw_request(&server, head).await;
    // Longer than they have: another connection is made and ended meanwhile.
    for _ in 0..3 {
        raw_response(raw_request(&server, "GET /hello HTTP/1.1\r\nHost: localhost\r\n\r\n").await)
            .await;
    }
    server.begin_to_stop();
    let said = raw_response(stream).await;
    assert!(said.contains("transfer-encoding: chunked"), "{said}");
    assert!(said.contains("event: end\ndata: {\"why\":\"the server stops\"}\n\n"), "{said}");
    assert!(said.ends_with("0\r\n\r\n"), "{said}");
    server.stopped().await;
}

#[tokio::test]
async fn a_stream_gives_way_to_what_its_client_asks_next() {
    let server = Server::start().await;
    let head = "GET /api/v1/events/stream HTTP/1.1\r\nHost: localhost\r\n\r\n";
    let mut stream = raw_request(&server, head).await;
    let mut hello = [0; 1024];
    assert!(stream.read(&mut hello).await.unwrap() > 0);
    let next = "GET /hello HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n";
    stream.write_all(next.as_bytes()).await.unwrap();
    let said = raw_response(stream).await;
    assert!(said.contains("0\r\n\r\nHTTP/1.1 200 OK\r\n"), "{said}");
    server.stop().await;
}

#[tokio::test]
async fn c16_a_reader_who_takes_nothing_is_cut_off_and_the_others_miss_nothing() {
    let server = Server::start().await;
    let mut table = Table::of(server.folder()).await;
    let slow = TcpSocket::new_v4().unwrap();
    slow.set_recv_buffer_size(4096).unwrap();
    let mut slow = slow.connect(server.http).await.unwrap();
    let head = format!(
        "GET /api/v1/events/stream HTTP/1.1\r\nHost: localhost\r\nAuthorization: Bearer {}\r\n\r\n",
        server.token
    );
    slow.write_all(head.as_bytes()).await.unwrap();
    let mut other = server.stream("?kind=account").await;
    // More than the system keeps for a connection.
    let mut last = 0;
    for _ in 0..15 {
        add(&mut table, 1000, &"x".repeat(300)).await;
        for number in 1..=1000 {
            let event = other.event().await;
            assert_eq!(event.json()["detail"], number.to_string());
            assert!(last == 0 || event.seq() == last + 1);
            last = event.seq();
        }
    }
    until("the slow one to be cut off", async || {
        let text = server.get("/metrics").await.body;
        let text = std::str::from_utf8(&text).unwrap();
        (text.contains("latchlight_event_streams 1\n")
            && text.contains("latchlight_event_streams_cut_off_total 1\n"))
        .then_some(())
    })
    .await;
    server.stop().await;
}

#[tokio::test]
async fn a_thousand_streams_each_have_every_event() {
    let server = Server::start().await;
    let _hall = server.light("hall", Manner::Obeys).await;
    let mut streams = Vec::new();
    for number in 0..20 {
        let key = json!({ "name": format!("screen-{number}"), "scopes": "events:read" });
        let key = server.post_json("/api/v1/api-keys", &key).await.json();
        let secret = key["secret"].as_str().unwrap();
        let opening = (0..50).map(|_| server.stream_as(secret, "?kind=command"));
        streams.extend(futures_util::future::join_all(opening).await);
        server.get_as(secret, "/api/v1/events/stream").await.problem(429, "too-many");
    }
    for verb in ["on", "off", "on"] {
        let body = json!({ "verb": verb });
        let path = "/api/v1/devices/hall/commands?wait=10";
        server.post_json(path, &body).await.devices(200);
    }
    for stream in &mut streams {
        for verb in ["on", "off", "on"] {
            assert_eq!(stream.end_of_command().await["action"], verb);
        }
    }
    assert_eq!(server.get("/hello").await.status, 200, "and there is room for others");
    server.stop().await;
}
