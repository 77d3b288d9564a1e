//! `latchlight database copy`: a server moves from SQLite to PostgreSQL and
//! back, and everything is there, the next numbers, too.

use std::collections::BTreeMap;
use std::fs;
use std::io::{BufRead as _, BufReader};
use std::path::Path;
use std::process::{Command, Output, Stdio};

use latchlight_mqtt::{Connect, ProtocolVersion, QoS};
use reqwest::Method;
use serde_json::{Value, json};
use sqlx::sqlite::SqliteConnectOptions;
use sqlx::{AssertSqlSafe, ConnectOptions as _, Connection as _, SqliteConnection};
use tempfile::TempDir;

use crate::harness::{Device, PASSWORD, Server, configured, outcome_of};
use crate::identities::shows;
use crate::postgres_server::Cluster;

const ACKS: &str = "lock {\"features\": [\"ack\"]}";

fn copy_to(config: &Path, to: &str) -> Command {
    let mut program = Command::new(env!("CARGO_BIN_EXE_latchlight"));
    program.args(["database", "copy", "--to", to, "--config"]).arg(config).stdin(Stdio::null());
    program
}

#[track_caller]
fn done(mut program: Command) -> String {
    let output = program.output().unwrap();
    let said = String::from_utf8_lossy(&output.stdout).into_owned();
    assert!(output.status.success(), "{said}{}", String::from_utf8_lossy(&output.stderr));
    said
}

#[track_caller]
fn refused(mut program: Command, why: &str) -> Output {
    let output = program.output().unwrap();
    let errors = String::from_utf8_lossy(&output.stderr);
    assert!(!output.status.success() && errors.contains(why), "{why}: {errors}");
    output
}

async fn open(file: &Path) -> SqliteConnection {
    SqliteConnectOptions::new().filename(file).connect().await.unwrap()
}

/// Everything that a file of SQLite's has: what made it, and every row, byte by
/// byte, by the tables' names.
async fn everything(file: &Path) -> BTreeMap<String, Vec<String>> {
    let mut database = open(file).await;
    let schema = "SELECT type || ' ' || name || ': ' || coalesce(sql, '') FROM sqlite_master \
                  WHERE name NOT LIKE 'sqlite_autoindex%' ORDER BY 1";
    let schema: Vec<String> = sqlx::query_scalar(schema).fetch_all(&mut database).await.unwrap();
    let mut all = BTreeMap::from([("the schema".to_owned(), schema)]);
    let tables =
        "SELECT name FROM sqlite_master WHERE type = 'table' AND name <> '_sqlx_migrations'";
    let tables: Vec<String> = sqlx::query_scalar(tables).fetch_all(&mut database).await.unwrap();
    for table in tables {
        let columns = "SELECT 'typeof(\"' || name || '\") || hex(\"' || name || '\")' \
                       FROM pragma_table_info($1) ORDER BY name";
        let columns = sqlx::query_scalar(columns).bind(&table).fetch_all(&mut database).await;
        let columns: Vec<String> = columns.unwrap();
        let rows = format!("SELECT {} FROM \"{table}\" ORDER BY 1", columns.join(" || ',' || "));
        let rows = sqlx::query_scalar(AssertSqlSafe(rows)).fetch_all(&mut database).await;
        all.insert(table, rows.unwrap());
    }
    database.close().await.unwrap();
    all
}

/// Writes another database into the settings, or none.
fn use_database(folder: &TempDir, url: Option<&str>) {
    let file = folder.path().join("config.json");
    let mut config: Value = serde_json::from_slice(&fs::read(&file).unwrap()).unwrap();
    config["settings"]["database"] = json!({ "url": url });
    fs::write(file, config.to_string()).unwrap();
}

async fn tables_in(url: &str) -> i64 {
    let mut database = sqlx::PgConnection::connect(url).await.unwrap();
    let count = "SELECT count(*) FROM pg_tables WHERE schemaname = 'public'";
    let count = sqlx::query_scalar(count).fetch_one(&mut database).await.unwrap();
    database.close().await.unwrap();
    count
}

async fn form(server: &Server, path: &str, form: &[(&str, &str)]) -> (u16, Value) {
    let client = reqwest::Client::new();
    let asked = client.post(format!("{}{path}", server.http)).form(form).send().await.unwrap();
    (asked.status().as_u16(), asked.json().await.unwrap_or_default())
}

async fn picture(server: &Server) -> String {
    let mut bytes = std::io::Cursor::new(Vec::new());
    image::RgbImage::new(8, 8).write_to(&mut bytes, image::ImageFormat::Png).unwrap();
    let request = server.request(Method::POST, "/api/v1/pictures").await;
    let sent: Value = request.body(bytes.into_inner()).send().await.unwrap().json().await.unwrap();
    sent["link"].as_str().unwrap_or_else(|| panic!("{sent}")).to_owned()
}

/// What somebody has in hand that is to be good after the move.
struct InHand {
    token: String,
    refresh: String,
    key: String,
    link: String,
    /// A device whose commands are signed, and the number of the last one.
    back: Connect,
    counter: i64,
}

const SIGN_IN: [(&str, &str); 3] =
    [("grant_type", "password"), ("username", "owner"), ("password", PASSWORD)];

/// Has the server put something into each of its tables.
async fn fill(server: &Server) -> InHand {
    let mut door = Device::join(server, "front", ACKS).await;
    door.say("state locked").await;
    for n in 0..3 {
        obey_once(server, &mut door, "/unlock?device=front&wait=8", &format!("once-{n}")).await;
    }
    // Of two pictures the later one is removed: its number is used up.
    let kept = picture(server).await;
    let removed = picture(server).await;
    assert_eq!(server.delete(&removed).await, 204);
    let (_, link) = server.post(&format!("{kept}/link")).await;
    let link = link["link"].as_str().unwrap();
    let link = link[link.find("/picture/").unwrap()..].to_owned();
    let body = json!({ "kind": "lock", "signed": true });
    let (_, back) = server.post_json("/api/v1/devices/back/credentials", body).await;
    let connect = Connect::new(ProtocolVersion::V5, "back");
    let back = shows(connect, "back", back["password"].as_str().unwrap());
    let counter = next_counter(server, &back).await;
    for role in ["member", "guest"] {
        let user =
            json!({ "name": format!("Some-{role}"), "role": role, "password": "a long word" });
        let user = server.post_json("/api/v1/users", user).await;
        assert_eq!(user.0, 201, "{user:?}");
    }
    let key = json!({ "name": "hall", "scopes": "devices:read" });
    let (_, key) = server.post_json("/api/v1/api-keys", key).await;
    let (status, pin) = server.post_json("/api/v1/users/owner/pins", json!({})).await;
    assert_eq!(status, 201, "{pin}");
    for payload in ["text", "\u{1F6AA} ü\n\"quoted\" \\ '"] {
        let body = json!({ "topic": "messages/x", "payload": payload });
        let (status, sent) = server.post_json("/messaging/send", body).await;
        assert!(status < 300, "{sent}");
    }
    let (_, ended) = form(server, "/oauth/token", &SIGN_IN).await;
    let ended = [("token", ended["refresh_token"].as_str().unwrap())];
    assert_eq!(form(server, "/oauth/revoke", &ended).await.0, 200);
    let (_, signed_in) = form(server, "/oauth/token", &SIGN_IN).await;
    let text = |value: &Value| value.as_str().unwrap_or_else(|| panic!("{value}")).to_owned();
    InHand {
        token: text(&signed_in["access_token"]),
        refresh: text(&signed_in["refresh_token"]),
        key: text(&key["secret"]),
        link,
        back,
        counter,
    }
}

/// What only who looks into the file sees.
async fn fill_with_what_is_seldom(file: &Path) {
    let mut database = open(file).await;
    let long = "x".repeat(600_000);
    for (until, payload) in [(i64::MIN, ""), (-1, "\u{10FFFF}"), (0, "\t"), (i64::MAX, &*long)] {
        let insert = "INSERT INTO messages (id, state, topic, qos, retain, expires_at, is_base64, \
                      payload) SELECT max(id) + 1, 'failed', 'messages/x', 0, 0, $1, 0, $2 \
                      FROM messages";
        sqlx::query(insert).bind(until).bind(payload).execute(&mut database).await.unwrap();
    }
    // More than one page of them.
    let many = "WITH RECURSIVE n(n) AS (SELECT 1 UNION ALL SELECT n + 1 FROM n WHERE n < 1700) \
                INSERT INTO messages (id, state, topic, qos, retain, is_base64, payload) \
                SELECT m + n, 'failed', 'messages/x', 0, 0, 0, 'of ' || n \
                FROM n, (SELECT max(id) AS m FROM messages)";
    sqlx::query(many).execute(&mut database).await.unwrap();
    database.close().await.unwrap();
}

/// A server that was moved goes on from where it was.
async fn goes_on(server: &Server, in_hand: &InHand) {
    let with = async |token: &str, path: &str| {
        let request = reqwest::Client::new().get(format!("{}{path}", server.http));
        let answer = request.bearer_auth(token).send().await.unwrap();
        (answer.status().as_u16(), answer.json::<Value>().await.unwrap_or_default())
    };
    // What was in hand before the move is good.
    let (status, me) = with(&in_hand.token, "/api/v1/me").await;
    assert_eq!((status, &me["name"]), (200, &json!("owner")), "{me}");
    assert_eq!(with(&in_hand.key, "/api/v1/devices").await.0, 200);
    let picture = reqwest::get(format!("{}{}", server.http, in_hand.link)).await.unwrap();
    assert_eq!(picture.status().as_u16(), 200);
    // What was done once is not done again, and the record goes on without a gap.
    let newest = async || {
        let events = server.get("/api/v1/events?kind=command&limit=1").await.1;
        events["events"][0].clone()
    };
    let before = newest().await;
    let (status, again) = server.post_once("/unlock?device=front&wait=8", "once-1").await;
    assert_eq!((status, outcome_of(&again)), (200, "confirmed"), "{again}");
    assert_eq!(newest().await, before);
    let mut door = Device::join(server, "front", ACKS).await;
    obey_once(server, &mut door, "/unlock?device=front&wait=8", "once-more").await;
    let now = newest().await;
    assert!(now["seq"].as_i64() > before["seq"].as_i64(), "{before} {now}");
    // A door whose commands are signed gets numbers that it never had.
    assert!(next_counter(server, &in_hand.back).await > in_hand.counter);
}

/// The number of the next command that a device gets signed.
async fn next_counter(server: &Server, back: &Connect) -> i64 {
    let mut back = Device::connect(server.mqtt(), back.clone()).await;
    back.listen(QoS::AtLeastOnce).await;
    back.say("hand_shake lock {\"features\": [\"ack\", \"signed\"]}").await;
    assert_eq!(back.hear().await, "ok hand_shake");
    server.post("/unlock?device=back&wait=0").await;
    let words = back.hear().await;
    let id = words.split(' ').nth(1).unwrap();
    back.say(&format!("ack {id} ok")).await;
    server.ended(id).await;
    words.split(' ').nth(3).unwrap().parse().unwrap()
}

/// Has the device do what an app asks for.
async fn obey_once(server: &Server, door: &mut Device, path: &str, key: &str) {
    let asking = server.post_once(path, key);
    let obeying = async {
        let (_, id, _) = door.hear_command().await;
        door.say(&format!("ack {id} ok")).await;
    };
    let ((status, answer), _) = tokio::join!(asking, obeying);
    assert_eq!((status, outcome_of(&answer)), (200, "confirmed"), "{answer}");
}

/// The numbers of a table, as PostgreSQL has them.
async fn number_in(url: &str, read: &'static str) -> i64 {
    let mut database = sqlx::PgConnection::connect(url).await.unwrap();
    let number = sqlx::query_scalar(read).fetch_one(&mut database).await.unwrap();
    database.close().await.unwrap();
    number
}

#[tokio::test]
async fn a_server_moves_to_postgresql_and_back_and_nothing_is_missing() {
    let cluster = Cluster::start();
    let (first, second) = (cluster.database("first").await, cluster.database("second").await);
    // Who issued a token, and where a link leads.
    let name = json!({ "public_url": "https://home.example" });
    let server = Server::start_with(json!({ "http": name }));
    let in_hand = fill(&server).await;
    let folder = server.stop();
    let config = folder.path().join("config.json");
    let file = folder.path().join("data/latchlight.db");
    fill_with_what_is_seldom(&file).await;
    let before = everything(&file).await;
    for (table, rows) in &before {
        // PostgreSQL's own has nothing here.
        assert!(!rows.is_empty(), "{table} is to be filled by this test");
    }

    // There, from there on, and back.
    let said = done(copy_to(&config, &first));
    assert!(said.contains("rows, and the same in both"), "{said}");
    assert!(said.contains(&format!("\"database\": {{ \"url\": \"{first}\" }}")), "{said}");
    use_database(&folder, Some(&first));
    done(copy_to(&config, &second));
    use_database(&folder, Some(&second));
    refused(copy_to(&config, "sqlite"), "is not empty");
    let aside = folder.path().join("before.db");
    fs::rename(&file, &aside).unwrap();
    let said = done(copy_to(&config, "sqlite"));
    assert!(said.contains("take `database.url` out"), "{said}");
    let after = everything(&file).await;
    for (table, rows) in &before {
        assert!(rows == &after[table], "{table} is another one");
    }
    assert_eq!(before.len(), after.len());

    // The server, on each of them.
    let server = Server::start_in(folder);
    goes_on(&server, &in_hand).await;
    picture(&server).await;
    let folder = server.stop();
    let newest = "SELECT max(seq) FROM pictures";
    assert_eq!(number_in(&second, newest).await, 3, "2 was used by one that is deleted");
    let count = "SELECT CASE WHEN (SELECT count(*) FROM messages) = count THEN count ELSE -1 END \
                 FROM messages_total";
    assert_eq!(number_in(&second, count).await, 1706);
    use_database(&folder, None);
    let server = Server::start_in(folder);
    goes_on(&server, &in_hand).await;
    let again = [("grant_type", "refresh_token"), ("refresh_token", &in_hand.refresh)];
    assert_eq!(form(&server, "/oauth/token", &again).await.0, 200);
    picture(&server).await;
    let folder = server.stop();
    let mut database = open(&folder.path().join("data/latchlight.db")).await;
    let newest: i64 = sqlx::query_scalar(newest).fetch_one(&mut database).await.unwrap();
    assert_eq!(newest, 3);
    // The rules of the record are back, too.
    let change = sqlx::query("DELETE FROM events").execute(&mut database).await.unwrap_err();
    assert!(change.to_string().contains("events are kept"), "{change}");
    let mut database = sqlx::PgConnection::connect(&second).await.unwrap();
    let change = sqlx::query("DELETE FROM events").execute(&mut database).await.unwrap_err();
    assert!(change.to_string().contains("events are kept"), "{change}");
}

#[tokio::test]
async fn a_copy_that_is_killed_left_nothing_and_the_next_one_is_whole() {
    let cluster = Cluster::start();
    let url = cluster.database("latchlight").await;
    let folder = Server::start().stop();
    let config = folder.path().join("config.json");
    let mut database = open(&folder.path().join("data/latchlight.db")).await;
    let many = "WITH RECURSIVE n(n) AS (SELECT 1 UNION ALL SELECT n + 1 FROM n WHERE n < 60000) \
                INSERT INTO messages (id, state, topic, qos, retain, is_base64, payload) \
                SELECT n, 'failed', 'messages/x', 0, 0, 0, 'a\0b' || n FROM n";
    let many = many.replace("'a\0b'", "'a' || char(0) || 'b'");
    sqlx::query(AssertSqlSafe(many)).execute(&mut database).await.unwrap();
    database.close().await.unwrap();

    let file = folder.path().join("other.db");
    let other = format!("sqlite://{}", file.display());
    for to in [&url, &other] {
        let mut copying = copy_to(&config, to).stderr(Stdio::piped()).spawn().unwrap();
        let lines = BufReader::new(copying.stderr.take().unwrap()).lines();
        let mut lines = lines.map_while(Result::ok);
        assert!(lines.any(|line| line.starts_with("copy messages: ")));
        copying.kill().unwrap();
        copying.wait().unwrap();
    }
    assert_eq!(tables_in(&url).await, 0);
    let tables = everything(&file).await;
    assert!(tables.values().all(Vec::is_empty), "{tables:?}");

    let said = done(copy_to(&config, &url));
    assert!(said.contains("60000  messages\n"), "{said}");
    assert!(said.contains("60000 texts had U+0000"), "{said}");
    let replaced = "SELECT count(*) FROM messages WHERE payload = 'a' || chr(65533) || 'b' || id";
    assert_eq!(number_in(&url, replaced).await, 60_000);
    let said = done(copy_to(&config, &other));
    assert!(said.contains("60000  messages\n") && !said.contains("U+0000"), "{said}");
    let source = everything(&folder.path().join("data/latchlight.db")).await;
    assert!(source == everything(&file).await);
}

#[tokio::test]
async fn nothing_is_copied_from_or_to_what_is_not_as_it_should_be() {
    let cluster = Cluster::start();
    let url = cluster.database("latchlight").await;
    let used = cluster.database("used").await;
    let server = Server::start();
    refused(copy_to(&server.config_path(), &url), "another server uses");
    let folder = server.stop();
    let config = folder.path().join("config.json");
    for (to, why) in [
        ("mysql://localhost/x", "is not supported"),
        ("postgres://latchlight:S3cret@localhost:1/x", "Connection refused"),
        ("postgres://latchlight:S3cret@localhost:port/x", "where the records are to go"),
        ("sqlite", "is not empty"),
    ] {
        let said = refused(copy_to(&config, to), why);
        assert!(!String::from_utf8_lossy(&said.stderr).contains("S3cret"));
    }
    // Somebody else's tables are nobody's to fill.
    let mut database = sqlx::PgConnection::connect(&used).await.unwrap();
    sqlx::query("CREATE TABLE other (id BIGINT)").execute(&mut database).await.unwrap();
    refused(copy_to(&config, &used), "is not empty: there are 1 tables in it");
    // A server is on the target.
    let taken = "SELECT pg_advisory_lock(1279349571, 3)::text";
    let mut database = sqlx::PgConnection::connect(&url).await.unwrap();
    sqlx::query(taken).execute(&mut database).await.unwrap();
    refused(copy_to(&config, &url), "another server uses the database");
    database.close().await.unwrap();
    // What waits for a PostgreSQL is in no database.
    let backlog = folder.path().join("data/backlog.jsonl");
    fs::write(&backlog, "{}\n").unwrap();
    refused(copy_to(&config, &url), "records that wait for a PostgreSQL");
    fs::remove_file(backlog).unwrap();
    // An older server's, a newer one's, one with another table, and none.
    let mut database = open(&folder.path().join("data/latchlight.db")).await;
    for (change, back, why) in [
        (
            "UPDATE _sqlx_migrations SET version = 99 WHERE version = 13",
            "UPDATE _sqlx_migrations SET version = 13 WHERE version = 99",
            "is of another version of Latchlight",
        ),
        ("CREATE TABLE more (id INTEGER)", "DROP TABLE more", "the table more is not the same"),
        (
            "ALTER TABLE pins ADD COLUMN more TEXT",
            "ALTER TABLE pins DROP COLUMN more",
            "the table pins is not the same",
        ),
    ] {
        sqlx::query(change).execute(&mut database).await.unwrap();
        refused(copy_to(&config, &url), why);
        sqlx::query(back).execute(&mut database).await.unwrap();
    }
    database.close().await.unwrap();
    assert_eq!(tables_in(&url).await, 0);
    let never = configured(json!({}));
    refused(copy_to(&never.path().join("config.json"), &url), "No such file");
    fs::create_dir(never.path().join("data")).unwrap();
    refused(copy_to(&never.path().join("config.json"), &url), "has the server never run?");
    use_database(&folder, Some(&url));
    refused(copy_to(&config, "sqlite"), "is none of Latchlight's");
}
