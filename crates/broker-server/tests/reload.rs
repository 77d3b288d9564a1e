//! SIGHUP (C25): what is read again, what stays as it is where any of it is
//! bad, and that who is connected stays connected.
#![allow(clippy::unwrap_used)]

mod support;

use std::path::Path;

use support::{Authority, Folder, Running, Subscriber, hash};

/// The listener that these tests use comes first.
const TLS: &str = "type: tls, address: '127.0.0.1:0', certificate: server.pem, key: server.key";

/// A broker with certificates and a ledger that lets in alice, and somebody who
/// is there while they change.
struct Served {
    folder: Folder,
    running: Running,
    held: Subscriber,
    /// Who signed the certificate that counts.
    ca: String,
    /// The hash of alice's password.
    alice: String,
}

fn config(listeners: &[&str], rest: &str) -> String {
    let listeners: String = listeners.iter().map(|one| format!("  - {{{one}}}\n")).collect();
    format!("listeners:\n{listeners}access: {{ledger: users.yaml}}\n{rest}\n")
}

/// A ledger with these users, whose hashes are these.
fn ledger(users: &[(&str, &str)]) -> String {
    let user = |(name, hash): &(&str, &str)| format!("  {name}: {{password: '{hash}'}}\n");
    let users: String = users.iter().map(user).collect();
    format!("users:\n{users}acl: [{{filters: {{'#': read-write}}}}]\n")
}

impl Served {
    fn start() -> Self {
        let folder = Folder::new();
        Authority::new(&folder).sign(&folder, "server");
        std::fs::rename(folder.path("ca.pem"), folder.path("first-ca.pem")).unwrap();
        let ca = folder.argument("first-ca.pem");
        let hash = hash("alice");
        folder.write("users.yaml", &ledger(&[("alice", &hash)]));
        let running = Running::with_config(&folder.write("broker.yaml", &config(&[TLS], "")));
        let alice = ["--cafile", &ca, "-u", "alice", "-P", "alice", "-t", "#"];
        let held = running.subscribe(&alice);
        Self { folder, running, held, ca, alice: hash }
    }

    /// Whether who is called so, and trusts this authority, may publish.
    fn lets_in(&self, name: &str, ca: &str, message: &str) -> bool {
        self.running.publish(&["--cafile", ca, "-u", name, "-P", name, "-t", "x", "-m", message])
    }

    /// Nothing has changed for anybody.
    fn is_as_before(&mut self, message: &str) {
        assert!(self.lets_in("alice", &self.ca, message));
        assert_eq!(self.held.next(), format!("x {message}"));
        assert!(!self.lets_in("bob", &self.ca, "x"));
    }

    /// Reloads, and gives the line that says why not.
    fn refuses(&mut self) -> String {
        self.running.signal("HUP");
        self.running.until("not reloaded: everything stays as it is")
    }
}

/// What is put in the place of a good file.
enum Bad<'a> {
    Text(&'a str),
    Bytes(&'a [u8]),
    Missing,
    Folder,
}

impl Bad<'_> {
    fn put(&self, path: &Path) {
        std::fs::remove_file(path).unwrap();
        match self {
            Self::Text(text) => std::fs::write(path, text).unwrap(),
            Self::Bytes(bytes) => std::fs::write(path, bytes).unwrap(),
            Self::Missing => {}
            Self::Folder => std::fs::create_dir(path).unwrap(),
        }
    }
}

/// Everything else has changed, too, and is good: none of it counts.
#[test]
fn a_bad_file_of_any_kind_keeps_all_that_there_was_and_is_named_with_what_is_wrong() {
    use Bad::{Bytes, Folder, Missing, Text};
    let mut served = Served::start();
    let folder = &served.folder;
    let other = Authority::new(folder);
    other.sign(folder, "other");
    other.sign(folder, "server");
    let users = [("alice", &*served.alice), ("bob", &hash("bob"))];
    folder.write("users.yaml", &ledger(&users));
    let twice = config(&["address: '127.0.0.1:1'", "address: '127.0.0.1:1'"], "");
    let plain = config(&["address: '0.0.0.0:0'"], "");
    let loud = config(&[TLS], "log:\n  level: loud");
    let threads = config(&[TLS], "options:\n  threads: 1025");
    let store = config(&[TLS], "store: http://127.0.0.1:6379");
    let nowhere = config(&[TLS], "store: ''");
    other.revoke_none(folder, "revoked.pem");
    std::fs::copy(folder.path("ca.pem"), folder.path("devices.pem")).unwrap();
    let more = "client_ca: devices.pem, client_certificates: optional, client_crl: revoked.pem";
    folder.write("broker.yaml", &config(&[&format!("{TLS}, {more}")], ""));
    let file = |name: &str| std::fs::read_to_string(folder.path(name)).unwrap();
    let (certificate, other_key) = (file("server.pem"), file("other.key"));
    let cut = &certificate[..certificate.len() / 2];
    let chain = format!("{certificate}-----BEGIN CERTIFICATE-----\n?\n-----END CERTIFICATE-----\n");
    let second = format!("the section at line {} is no base64", certificate.lines().count() + 1);
    let encrypted =
        "-----BEGIN ENCRYPTED PRIVATE KEY-----\nAAAA\n-----END ENCRYPTED PRIVATE KEY-----\n";
    let in_second = ["listeners[0]", &second];
    let cases: Vec<(&str, Bad<'_>, &[&str])> = vec![
        ("broker.yaml", Missing, &["cannot be read", "No such file"]),
        ("broker.yaml", Folder, &["cannot be read", "Is a directory"]),
        ("broker.yaml", Text(""), &["nothing is in it"]),
        ("broker.yaml", Text("listeners: [\n"), &["unclosed", "(line 1, column 12)"]),
        ("broker.yaml", Bytes(b"log:\n  level: \xff\n"), &["UTF-8", "(line 2, column 10)"]),
        ("broker.yaml", Text("optoins: {}"), &["optoins: unknown field", "(line 1,"]),
        ("broker.yaml", Text(&loud), &["log.level", "(line 5,"]),
        ("broker.yaml", Text(&twice), &["listeners[1].address", "(line 3,"]),
        ("broker.yaml", Text(&plain), &["listeners[0].address", "exposed", "(line 2,"]),
        ("users.yaml", Missing, &["cannot be read", "No such file"]),
        ("users.yaml", Folder, &["cannot be read", "Is a directory"]),
        ("users.yaml", Text("# all of it is gone\n"), &["nothing is in it"]),
        ("users.yaml", Text("users: {alice: {"), &["unclosed", "(line 1, column 16)"]),
        (
            "users.yaml",
            Text("users:\n  eve: {password: hunter2}"),
            &["users.eve.password", "(line 2"],
        ),
        ("users.yaml", Text("acl:\n  - filters: {}"), &["acl[0].filters", "(line 2,"]),
        ("users.yaml", Text("users: {a: {}, a: {}}"), &["users: `a` stands here twice", "(line 1"]),
        (
            "users.yaml",
            Text("users: {}\nacl: []\nusers: {}"),
            &["`users` stands here twice", "(line 3"],
        ),
        (
            "broker.yaml",
            Text("options: {}\noptions: {}"),
            &["`options` stands here twice", "(line 2"],
        ),
        ("broker.yaml", Text(&threads), &["options.threads: 1025 is more than 1024", "(line 5,"]),
        ("broker.yaml", Text(&store), &["store: it has to be a folder, redis://", "(line 4,"]),
        ("broker.yaml", Text(&nowhere), &["store: it has to be a folder", "(line 4,"]),
        (
            "users.yaml",
            Text("auth: [{remote: 1.2.3.4/33, allow: true}]"),
            &["auth[0].remote", "(line 1"],
        ),
        ("server.pem", Missing, &["listeners[0]", "cannot be read", "No such file"]),
        ("server.pem", Folder, &["listeners[0]", "cannot be read", "Is a directory"]),
        ("server.pem", Text(""), &["listeners[0]", "no certificate"]),
        ("server.pem", Text(cut), &["listeners[0]", "the section at line 1 has no end"]),
        ("server.pem", Text(&chain), &in_second),
        ("devices.pem", Missing, &["listeners[0]", "cannot be read", "No such file"]),
        ("devices.pem", Text(&other_key), &["listeners[0]", "no certificate"]),
        ("devices.pem", Text(&chain), &in_second),
        ("revoked.pem", Missing, &["listeners[0]", "cannot be read", "No such file"]),
        ("revoked.pem", Text(&certificate), &["listeners[0]", "no list of revoked"]),
        ("server.key", Missing, &["listeners[0]", "cannot be read", "No such file"]),
        ("server.key", Text(&certificate), &["listeners[0]", "no private key"]),
        ("server.key", Text(encrypted), &["listeners[0]", "passphrase"]),
        ("server.key", Text(&other_key), &["does not belong to the certificate in", "server.pem"]),
    ];
    for (number, (name, bad, expected)) in cases.into_iter().enumerate() {
        let path = served.folder.path(name);
        let good = std::fs::read(&path).unwrap();
        bad.put(&path);
        let said = served.refuses();
        for expected in [&[name], expected].concat() {
            assert!(said.contains(expected), "{number}: {expected}: {said}");
        }
        assert!(!said.contains("hunter2"), "{said}");
        served.is_as_before(&number.to_string());
        let _ = std::fs::remove_dir(&path);
        std::fs::write(&path, good).unwrap();
    }
    served.running.signal("HUP");
    assert!(served.running.until("reloaded").contains("ended_or_disconnected=0"));
    assert!(!served.running.seen.iter().any(|line| line.contains("from the next start")));
    assert!(served.lets_in("bob", &served.folder.argument("ca.pem"), "at last"));
    assert_eq!(served.held.next(), "x at last");
    assert!(!served.lets_in("alice", &served.ca, "x"));
}

#[test]
fn what_waits_for_who_is_away_outlasts_a_reload() {
    let folder = Folder::new();
    let ledger = folder.write("users.yaml", "{default: allow, auth: [{allow: true}]}");
    let mut running = Running::start(&["--port", "0", "--ledger", &ledger]);
    let session = ["-i", "reader", "-c", "-x", "600", "-q", "1", "-t", "news"];
    drop(running.subscribe(&session));
    assert!(running.publish(&["-t", "news", "-m", "waited"]));
    for text in ["{default: allow, auth: [{allow: 1}]}", "{default: allow, auth: [{allow: true}]}"]
    {
        folder.write("users.yaml", text);
        running.signal("HUP");
        running.until("reloaded");
    }
    assert_eq!(running.subscribe(&session).next(), "news waited");
}

/// Each key is named that counts from the next start, and no other is.
#[test]
fn what_counts_later_is_said() {
    let mut served = Served::start();
    let plain = "name: plain, address: '127.0.0.1:0'";
    let rest = "options: {max_in_flight: 1, when_full: disconnect}\nstore: store\n\
                log: {format: json, level: 'info,latchlight_broker=debug'}";
    served.folder.write("broker.yaml", &config(&[plain, TLS], rest));
    served.running.signal("HUP");
    served.running.until("ended_or_disconnected=0");
    let said = served.running.seen.iter().filter(|line| line.contains("from the next start"));
    let keys: Vec<_> = said.map(|line| line.split('"').nth(1).unwrap()).collect();
    let wanted =
        ["listeners[0]", "options.max_in_flight", "options.when_full", "store", "log.format"];
    assert_eq!(keys, wanted);
    // The log's level counts at once: that is said at `debug`.
    assert!(!served.lets_in("alice", "/dev/null", "x"));
    served.running.until("TLS handshake");

    // Wherever a listener stands now, it is given its certificate.
    let new = Authority::new(&served.folder);
    new.sign(&served.folder, "server");
    served.running.signal("HUP");
    served.running.until("ended_or_disconnected=0");
    assert!(served.lets_in("alice", &served.folder.argument("ca.pem"), "new"));
    assert_eq!(served.held.next(), "x new");

    served.folder.write("broker.yaml", &config(&[plain], ""));
    served.running.signal("HUP");
    served.running.until("from the next start");
}

#[test]
fn sighup_reloads_the_ledger_and_a_bad_file_keeps_the_old_one() {
    let folder = Folder::new();
    let (alice, bob) = (hash("a"), hash("b"));
    let user = |name: &str, hash: &str| format!("  {name}: {{password: '{hash}'}}\n");
    let acl = "acl: [{filters: {'#': read-write}}]\n";
    let ledger = folder.write("users.yaml", &format!("users:\n{}{acl}", user("alice", &alice)));
    let mut running = Running::start(&["--port", "0", "--ledger", &ledger]);
    let as_alice = ["-u", "alice", "-P", "a", "-t", "x"];
    let as_bob = ["-u", "bob", "-P", "b", "-t", "x", "-m", "hello"];
    let mut subscriber = running.subscribe(&as_alice);
    assert!(!running.publish(&as_bob));

    folder.write("users.yaml", "users: {bob: {password: plain}}");
    running.signal("HUP");
    let said = running.until("not reloaded");
    assert!(said.contains("users.bob.password") && !said.contains("plain"), "{said}");
    assert!(!running.publish(&as_bob));

    let both = format!("users:\n{}{}{acl}", user("alice", &alice), user("bob", &bob));
    folder.write("users.yaml", &both);
    running.signal("HUP");
    running.until("reloaded");
    assert!(running.publish(&as_bob));
    assert_eq!(subscriber.next(), "x hello");

    // C11: who is gone is disconnected.
    folder.write("users.yaml", &format!("users:\n{}{acl}", user("bob", &bob)));
    running.signal("HUP");
    assert!(running.until("reloaded").contains("ended_or_disconnected=1"));
    assert!(subscriber.rest().contains("DISCONNECT (135)"));
    assert!(!running.publish(&[&as_alice[..], &["-m", "x"]].concat()));
}

#[test]
fn sighup_reloads_the_configuration_and_says_what_counts_later() {
    let folder = Folder::new();
    folder.write("users.yaml", &format!("users: {{alice: {{password: '{}'}}}}", hash("a")));
    let config = |access: &str, rest: &str| {
        format!("{{listeners: [{{address: '127.0.0.1:0'}}], access: {{{access}}}{rest}}}")
    };
    let file = folder.write("broker.yaml", &config("allow_anonymous: true", ""));
    let mut running = Running::with_config(&file);
    let mut subscriber = running.subscribe(&["-t", "a"]);

    folder.write("broker.yaml", &config("allow_everybody: true", ""));
    running.signal("HUP");
    let said = running.until("not reloaded");
    assert!(said.contains("access.allow_everybody"), "{said}");
    assert!(running.publish(&["-t", "a", "-m", "still"]));
    assert_eq!(subscriber.next(), "a still");

    let rest = ", options: {max_in_flight: 1}, log: {level: debug}";
    folder.write("broker.yaml", &config("ledger: users.yaml", rest));
    running.signal("HUP");
    assert!(running.until("from the next start").contains("options"));
    running.until("reloaded");
    assert!(subscriber.rest().contains("DISCONNECT (135)"));
    assert!(!running.publish(&["-t", "a", "-m", "x"]));
}
