//! `latchlight user`, `apikey` and `device`, as the server's own user runs
//! them beside the server.

use std::io::{BufRead as _, BufReader, Write as _};
use std::path::Path;
use std::process::{Command, Output, Stdio};

use serde_json::{Value, json};

use crate::harness::{Server, configured, program};

/// Runs the program with these words, and this on its standard input.
fn latchlight(config: &Path, words: &str, input: &str) -> Output {
    let mut program = Command::new(env!("CARGO_BIN_EXE_latchlight"));
    program.args(words.split(' ')).arg("--config").arg(config);
    program.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
    let mut child = program.spawn().unwrap();
    // It may have ended before it read anything.
    let _ = child.stdin.take().unwrap().write_all(input.as_bytes());
    child.wait_with_output().unwrap()
}

#[track_caller]
fn prints(output: &Output) -> String {
    let said = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{said}");
    String::from_utf8(output.stdout.clone()).unwrap()
}

#[track_caller]
fn says(output: &Output) -> String {
    assert!(!output.status.success(), "{output:?}");
    assert!(output.stdout.is_empty(), "{output:?}");
    String::from_utf8(output.stderr.clone()).unwrap()
}

async fn may_sign_in(server: &Server, name: &str, password: &str) -> bool {
    let form = [("grant_type", "password"), ("username", name), ("password", password)];
    let request = reqwest::Client::new().post(format!("{}/oauth/token", server.http)).form(&form);
    request.send().await.unwrap().status().is_success()
}

#[tokio::test]
async fn people_come_change_and_go_by_the_command_line() {
    let server = Server::start();
    let config = server.config_path();
    let run = |words: &str, input: &str| latchlight(&config, words, input);
    prints(&run("user add ada --role owner --password-stdin", "a door of ada's\n"));
    assert!(may_sign_in(&server, "ada", "a door of ada's").await);

    let cleaner = "user add cleaner --role guest --actions unlock --devices front-door \
        --days mon,thu --hours 08:00-12:30 --time-zone Europe/Berlin --no-password";
    let shown = prints(&run(cleaner, ""));
    assert!(shown.contains("unlock: front-door (mon, thu, 08:00-12:30, Europe/Berlin)"), "{shown}");
    let shown = prints(&run("user grant cleaner --actions none --devices *", ""));
    assert!(shown.contains("see: every device"), "{shown}");
    let list = prints(&run("user list", ""));
    let names: Vec<_> = list.lines().filter_map(|line| line.split(' ').next()).collect();
    assert_eq!(names, ["ada", "cleaner", "owner"], "{list}");
    let json: Value = serde_json::from_str(&prints(&run("user show cleaner --json", ""))).unwrap();
    assert_eq!(json["grants"].as_array().unwrap().len(), 2, "{json}");
    assert_eq!(json["grants"][1]["actions"], json!([]));
    let shown = prints(&run("user grant cleaner --nothing", ""));
    assert!(shown.contains("nothing yet"), "{shown}");

    prints(&run("user disable ada", ""));
    assert!(!may_sign_in(&server, "ada", "a door of ada's").await);
    prints(&run("user enable ada", ""));
    prints(&run("user role ada member", ""));
    assert!(may_sign_in(&server, "ada", "a door of ada's").await);
    // A lost password of the owner's is no reason to begin anew.
    prints(&run("user passwd owner --password-stdin", "found again\r\n"));
    assert!(may_sign_in(&server, "owner", "found again").await);
    assert!(
        says(&run("user rename ada owner", "")).contains("there is an account `owner` already")
    );
    let renamed = prints(&run("user rename ada adelaide", ""));
    assert!(renamed.starts_with("ada is called adelaide now; "), "{renamed}");
    assert!(may_sign_in(&server, "adelaide", "a door of ada's").await);
    // What becomes of the codes is said, and is a choice.
    prints(&run("pin add adelaide", ""));
    let set = prints(&run("user passwd adelaide --pins keep --password-stdin", "a door, again"));
    assert!(set.contains("codes for keypads that are good as before: 1"), "{set}");
    let set = prints(&run("user passwd adelaide --password-stdin", "and a door, again"));
    assert!(set.contains("good for nothing now: 1; `latchlight pin list adelaide`"), "{set}");
    let odd = says(&run("user passwd adelaide --pins void --password-stdin", "x"));
    assert!(odd.contains("[possible values: keep, disable, remove]"), "{odd}");
    assert_eq!(prints(&run("user remove adelaide", "")), "adelaide is removed\n");
    assert!(says(&run("user show ada", "")).contains("there is no such user"));
    let last = says(&run("user remove owner", ""));
    assert_eq!(last, "latchlight: the last owner who can sign in stays one\n");
}

#[tokio::test]
async fn a_keys_secret_stands_alone_on_standard_output() {
    let server = Server::start();
    let config = server.config_path();
    let made = latchlight(&config, "apikey add heating --scopes devices:read --expires 90d", "");
    let secret = prints(&made).trim_end().to_owned();
    assert!(secret.starts_with("llk_") && !secret.contains(char::is_whitespace), "{secret}");
    assert!(!String::from_utf8_lossy(&made.stderr).contains(&secret));
    let devices = format!("{}/api/v1/devices", server.http);
    let devices = reqwest::Client::new().get(devices).bearer_auth(&secret);
    assert_eq!(devices.try_clone().unwrap().send().await.unwrap().status(), 200);
    let list = prints(&latchlight(&config, "apikey list", ""));
    assert!(list.starts_with("heating  devices:read  open"), "{list}");
    let list = prints(&latchlight(&config, "apikey list --json", ""));
    assert!(!list.contains(&secret) && !list.contains("secret"), "C30: {list}");
    let run = |words: &str| prints(&latchlight(&config, words, ""));
    let shown = run("apikey change heating --scopes lights:operate --for-ever");
    assert!(shown.contains("scopes    lights:operate") && !shown.contains("until"), "{shown}");
    assert_eq!(devices.try_clone().unwrap().send().await.unwrap().status(), 403, "C23");
    let shown = run("apikey change heating --scopes devices:read --actions none --devices attic");
    assert!(shown.contains("see: attic"), "{shown}");
    assert!(run("apikey change heating --everything").contains("every device"));
    run("apikey rename heating boiler");
    run("apikey disable boiler");
    assert_eq!(devices.try_clone().unwrap().send().await.unwrap().status(), 401);
    run("apikey enable boiler");
    assert_eq!(devices.send().await.unwrap().status(), 200);
    assert!(run("apikey show boiler").contains("boiler"));
    run("apikey rename boiler heating");
    let nothing = says(&latchlight(&config, "apikey change heating", ""));
    assert!(nothing.contains("what is to change?"), "{nothing}");
    prints(&latchlight(&config, "apikey remove heating", ""));
    assert_eq!(prints(&latchlight(&config, "apikey list", "")), "there are none\n");
    // Nor is it, or a password, in the log.
    latchlight(&config, "user add bob --password-stdin", "not in the log");
    for line in server.stop_and_read_log().await {
        let line = line.to_string();
        assert!(!line.contains(&secret) && !line.contains("not in the log"), "C30: {line}");
    }
}

#[test]
fn each_configuration_has_its_own_server() {
    let one = Server::start();
    let two = Server::start();
    let (first, second) = (one.config_path(), two.config_path());
    prints(&latchlight(&first, "user add ada --no-password", ""));
    assert!(says(&latchlight(&second, "user show ada", "")).contains("there is no such user"));
    let folder = one.stop();
    let socket = folder.path().join("data/latchlight.sock");
    let said = says(&latchlight(&first, "user list", ""));
    assert!(said.contains(&format!("no server answers at {}", socket.display())), "{said}");
    assert!(said.contains(&format!("latchlight serve --config {}", first.display())), "{said}");
    prints(&latchlight(&second, "user list", ""));
}

#[test]
fn what_is_typed_wrong_is_said_before_a_password_is_asked_for() {
    let folder = configured(json!({}));
    let missing = folder.path().join("missing.json");
    let said = says(&latchlight(&missing, "user list", ""));
    assert!(said.contains(&format!("there is no {}: ", missing.display())), "{said}");
    let config = folder.path().join("config.json");
    for (words, why) in [
        ("user add b+b --password-stdin", "a name is 1 to 64"),
        ("user add bob --role king", "a role is owner, member or guest"),
        ("user add bob --password secret", "unexpected argument '--password'"),
        ("user add bob --scopes doors", "`doors` is not a scope"),
        ("user add bob --expires soon", "a moment is written as"),
        ("user grant bob --actions toggle --devices x", "`toggle` is not something a device does"),
        ("user grant bob --actions unlock", "to which devices?"),
        ("user grant bob --devices x", "what may be done?"),
        ("user grant bob", "what is granted?"),
        ("user grant bob --actions on --devices x --hours 8", "hours are written as 08:00-12:30"),
        ("user grant bob --actions on --devices x --days someday", "a day is mon"),
        ("user grant bob --actions on --devices x --time-zone Mars", "a time zone is written as"),
        ("apikey add x", "--scopes"),
        ("user passwd owner --password-stdin", "no server answers at"),
    ] {
        let said = says(&latchlight(&config, words, "never to be read"));
        assert!(said.contains(why), "{words}: {said}");
    }
}

#[test]
fn a_password_is_asked_for_twice_on_the_terminal() {
    let server = Server::start();
    let config = server.config_path();
    let passwd = |input: &str| {
        let program = env!("CARGO_BIN_EXE_latchlight");
        let command = format!("{program} user passwd owner --config {}", config.display());
        // A terminal of its own, for its own session.
        let mut script = Command::new("script");
        script.args(["-qec", &command, "/dev/null"]).stdin(Stdio::piped());
        let mut child = script.stdout(Stdio::piped()).spawn().unwrap();
        child.stdin.take().unwrap().write_all(input.as_bytes()).unwrap();
        let output = child.wait_with_output().unwrap();
        (output.status.success(), String::from_utf8_lossy(&output.stdout).into_owned())
    };
    let (done, said) = passwd("quite another one\nquite a third one\n");
    assert!(!done && said.contains("two different passwords"), "{said}");
    let (done, said) = passwd("quite another one\nquite another one\n");
    assert!(done && said.contains("owner has a new password"), "{said}");
    assert!(
        said.contains("New password for owner: ") && said.contains("The same again: "),
        "{said}"
    );
}

#[tokio::test]
async fn devices_that_have_credentials_and_never_came_are_listed_by_the_command_line() {
    let server = Server::start();
    let config = server.config_path();
    let run = |words: &str| latchlight(&config, words, "");
    let hint = |output: &Output| String::from_utf8_lossy(&output.stderr).contains("--not-joined");
    assert_eq!((prints(&run("device list")), hint(&run("device list"))), (String::new(), false));
    let password = prints(&run("device add shed --kind lock --signed"));
    let list = run("device list");
    assert_eq!((prints(&list), hint(&list)), (String::new(), true));
    let awaited = prints(&run("device list --not-joined"));
    let words: Vec<_> = awaited.split_whitespace().collect();
    assert!(matches!(words[..], ["shed", "lock", "since", _, "signed"]), "{awaited}");
    assert!(!awaited.contains(password.lines().next().unwrap()));
    let json = prints(&run("device list --not-joined --json"));
    let json: Value = serde_json::from_str(&json).unwrap();
    assert_eq!((&json[0]["device"], &json[0]["joined"]), (&json!("shed"), &json!(false)));
    prints(&run("device revoke shed"));
    let list = run("device list");
    assert_eq!((prints(&list), hint(&list)), (String::new(), false));
    assert_eq!(prints(&run("device list --not-joined")), "");
}

/// As behind `| head -1`, a moment later.
fn nobody_reads() -> std::io::PipeWriter {
    std::io::pipe().unwrap().1
}

/// What is done is done, and said to whoever listens.
#[test]
fn who_stops_reading_ends_no_command() {
    let server = Server::start();
    let run = |words: &str| {
        let mut program = Command::new(env!("CARGO_BIN_EXE_latchlight"));
        program.args(words.split(' ')).arg("--config").arg(server.config_path());
        program
    };
    let output = run("tls show").stdout(nobody_reads()).output().unwrap();
    assert!(output.status.success());
    assert_eq!(String::from_utf8(output.stderr).unwrap(), "");
    // A secret that is shown once is another matter.
    let output = run("device add shed --kind lock").stdout(nobody_reads()).output().unwrap();
    assert!(!output.status.success());
    let said = String::from_utf8(output.stderr).unwrap();
    assert!(
        said.contains("the password, shown once, which nobody has seen")
            && !said.contains("panicked"),
        "{said}"
    );
    // What stands beside it is not.
    let output = run("device add gate --kind lock").stderr(nobody_reads()).output().unwrap();
    assert_eq!(prints(&output).lines().count(), 1);
}

/// It goes on, and says how its owner gets another password.
#[test]
fn a_server_whose_first_password_nobody_reads_says_so() {
    let folder = configured(json!({}));
    let mut serve = program(&folder.path().join("config.json"));
    serve.env_remove("LATCHLIGHT_OWNER_PASSWORD").stdout(nobody_reads()).stderr(Stdio::piped());
    let mut server = serve.spawn().unwrap();
    let log = BufReader::new(server.stderr.take().unwrap());
    let (mut is_said, mut is_ready) = (false, false);
    // It is said before; at the latest, the log ends with the server.
    for line in log.lines().map(Result::unwrap) {
        is_said |= line.contains("`latchlight user passwd owner` gives another");
        is_ready = line.contains("latchlight is ready");
        if is_ready {
            break;
        }
    }
    server.kill().unwrap();
    server.wait().unwrap();
    assert!(is_said && is_ready);
}
