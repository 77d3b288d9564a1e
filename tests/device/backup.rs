//! `latchlight backup` and `latchlight restore`, with a server that runs.

use std::fs;
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};
use std::time::Duration;

use reqwest::Method;
use serde_json::{Value, json};
use sqlx::ConnectOptions as _;
use sqlx::sqlite::SqliteConnectOptions;
use tempfile::TempDir;

use crate::harness::{Device, PASSWORD, Server, command_of};

fn latchlight(words: &[&str], paths: &[&Path]) -> Command {
    let mut program = Command::new(env!("CARGO_BIN_EXE_latchlight"));
    program.args(words).args(paths).stdin(Stdio::null());
    program
}

fn back_up(config: &Path, to: &Path) -> Output {
    latchlight(&["backup", "--config"], &[config, to]).output().unwrap()
}

fn restore(backup: &Path, config: &Path) -> Output {
    latchlight(&["restore", "--config"], &[config, backup]).output().unwrap()
}

#[track_caller]
fn done(output: &Output) -> String {
    let said = String::from_utf8_lossy(&output.stdout).into_owned();
    let errors = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{said}{errors}");
    said
}

#[track_caller]
fn refused(output: &Output, why: &str) {
    let errors = String::from_utf8_lossy(&output.stderr);
    assert!(!output.status.success() && errors.contains(why), "{why}: {errors}");
}

/// Every file below a folder.
fn files(folder: &Path) -> Vec<PathBuf> {
    let mut found = Vec::new();
    for entry in fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            found.extend(files(&path));
        } else {
            found.push(path);
        }
    }
    found.sort();
    found
}

fn png() -> Vec<u8> {
    let mut bytes = std::io::Cursor::new(Vec::new());
    image::RgbImage::new(8, 8).write_to(&mut bytes, image::ImageFormat::Png).unwrap();
    bytes.into_inner()
}

async fn send_picture(server: &Server) -> String {
    let request = server.request(Method::POST, "/api/v1/pictures").await;
    let sent: Value = request.body(png()).send().await.unwrap().json().await.unwrap();
    sent["link"].as_str().unwrap().to_owned()
}

/// Signs in; what was granted, or the error.
async fn token(server: &Server, form: &[(&str, &str)]) -> Value {
    let client = reqwest::Client::new();
    let asked = client.post(format!("{}/oauth/token", server.http)).form(form).send().await;
    asked.unwrap().json().await.unwrap()
}

#[tokio::test]
async fn c7_a_server_from_a_backup_knows_what_it_knew_and_emits_nothing() {
    let server = Server::start();
    let mut door = Device::join(&server, "front", "lock").await;
    door.say(r#"state locked {"battery": 80}"#).await;
    let link = send_picture(&server).await;
    let form = [("grant_type", "password"), ("username", "owner"), ("password", PASSWORD)];
    let signed_in = token(&server, &form).await;
    let refresh = signed_in["refresh_token"].as_str().unwrap();
    // Under way when the backup is made.
    let (status, answer) = server.post("/unlock?device=front&wait=0").await;
    assert_eq!(status, 202);
    let command = command_of(&answer);
    door.hear_command().await;

    let place = TempDir::new().unwrap();
    let backup = place.path().join("backup");
    let said = done(&back_up(&server.config_path(), &backup));
    assert!(said.contains("is whole: "), "{said}");
    door.say(&format!("ack {command} ok")).await;
    server.ended(&command).await;
    let user = json!({ "name": "late", "role": "guest", "password": "came too late" });
    assert_eq!(server.post_json("/api/v1/users", user).await.0, 201);
    let connect = server.device("front").await;
    drop(server.stop());

    let folder = TempDir::new().unwrap();
    let config = folder.path().join("config.json");
    done(&restore(&backup, &config));
    let server = Server::start_in(folder);
    let (status, front) = server.get("/api/v1/devices/front").await;
    assert_eq!((status, &front["state"]), (200, &json!("unknown")), "{front}");
    assert_eq!(server.get("/api/v1/users/late").await.0, 404);
    let (status, bytes) = server.bytes(&link).await;
    assert!(status == 200 && image::load_from_memory(&bytes).is_ok());
    let (_, recorded) = server.get(&format!("/api/v1/commands/{command}")).await;
    assert_eq!(recorded["outcome"], "unconfirmed", "{recorded}");
    let again = [("grant_type", "refresh_token"), ("refresh_token", refresh)];
    assert_eq!(token(&server, &again).await["error"], "invalid_grant");
    // Its own password lets it in, and nothing waits for it.
    let mut door = Device::connect(server.mqtt(), connect).await;
    door.listen(latchlight_mqtt::QoS::AtLeastOnce).await;
    door.hears_nothing_for(Duration::from_millis(500)).await;
    door.say("state locked").await;
    let unlock = server.post("/unlock?device=front&wait=0").await.1;
    assert_eq!(door.hear_command().await.1, command_of(&unlock));
}

#[tokio::test]
async fn a_backup_is_for_its_owner_alone_and_overwrites_nothing() {
    let server = Server::start();
    Device::join(&server, "front", "lock").await;
    send_picture(&server).await;
    let place = TempDir::new().unwrap();
    let backup = place.path().join("backup");
    done(&back_up(&server.config_path(), &backup));
    let mode = |path: &Path| fs::metadata(path).unwrap().permissions().mode() & 0o777;
    let made = files(&backup);
    for file in &made {
        assert_eq!((mode(file), mode(file.parent().unwrap())), (0o600, 0o700), "{file:?}");
    }
    for name in ["config.json", "manifest.json", "data/latchlight.db", "data/broker.db"] {
        assert!(made.contains(&backup.join(name)), "{name}: {made:?}");
    }
    assert!(made.iter().any(|file| file.starts_with(backup.join("data/keys"))), "{made:?}");
    assert!(made.iter().any(|file| file.starts_with(backup.join("data/pictures"))), "{made:?}");
    assert_eq!(fs::read_dir(place.path()).unwrap().count(), 1, "and nothing else");

    let empty = place.path().join("empty");
    fs::create_dir(&empty).unwrap();
    for there in [&backup, &empty] {
        refused(&back_up(&server.config_path(), there), "is there already");
    }
    refused(&restore(&backup, &server.config_path()), "config.json is there already");
    let beside = server.folder.path().join("other.json");
    refused(&restore(&backup, &beside), "is not empty");
    assert_eq!(files(&backup), made);
    let bare = place.path().join("bare");
    let output = latchlight(&["backup", "--without-keys", "--config"], &[&server.config_path()])
        .arg(&bare)
        .output();
    done(&output.unwrap());
    assert!(!bare.join("data/keys").exists());
}

#[tokio::test]
async fn a_backup_that_is_not_as_it_was_made_is_refused_and_leaves_nothing_behind() {
    let server = Server::start();
    Device::join(&server, "front", "lock").await;
    let place = TempDir::new().unwrap();
    let backup = place.path().join("backup");
    done(&back_up(&server.config_path(), &backup));
    drop(server);
    let target = place.path().join("new");
    let fails = |why: &str| {
        refused(&restore(&backup, &target.join("config.json")), why);
        assert!(!target.exists(), "{why}");
    };
    for file in files(&backup) {
        if file.ends_with("manifest.json") {
            continue;
        }
        let whole = fs::read(&file).unwrap();
        let mut other = whole.clone();
        match other.last_mut() {
            Some(last) => *last ^= 1,
            None => other.push(1),
        }
        fs::write(&file, other).unwrap();
        fails("it is not as it was made");
        fs::remove_file(&file).unwrap();
        fails("No such file");
        fs::write(&file, whole).unwrap();
    }
    let stranger = backup.join("data/stranger.db");
    fs::write(&stranger, "x").unwrap();
    fails("not in its manifest");
    fs::remove_file(stranger).unwrap();
    let manifest = backup.join("manifest.json");
    let text = fs::read_to_string(&manifest).unwrap();
    for path in ["../../etc/passwd", "/etc/passwd", "", "data"] {
        fs::write(&manifest, text.replace("data/latchlight.db", path)).unwrap();
        fails("the backup's");
    }
    fs::write(&manifest, text.replace("\"format\": 1", "\"format\": 2")).unwrap();
    fails("in a format that this one does not read");
    fs::write(&manifest, &text[..text.len() / 2]).unwrap();
    fails("read the manifest");
    fs::remove_file(&manifest).unwrap();
    fails("is no backup");
    fs::write(&manifest, text).unwrap();
    done(&restore(&backup, &target.join("config.json")));
}

#[tokio::test]
async fn a_backup_that_is_killed_is_none() {
    let server = Server::start();
    send_picture(&server).await;
    // Enough to be in the middle of.
    let pictures = server.folder.path().join("data/pictures");
    for number in 0..400 {
        fs::write(pictures.join(format!("{number}.png")), vec![7; 20_000]).unwrap();
    }
    let place = TempDir::new().unwrap();
    let config = server.config_path();
    let mut killed = 0;
    for copied in [0, 1, 2, 5, 50, 200] {
        let backup = place.path().join(format!("backup-{copied}"));
        let mut making = latchlight(&["backup", "--config"], &[&config, &backup]);
        let mut making = making.stdout(Stdio::null()).stderr(Stdio::null()).spawn().unwrap();
        while making.try_wait().unwrap().is_none() {
            let unfinished = fs::read_dir(place.path()).unwrap().filter_map(|entry| {
                let path = entry.unwrap().path();
                path.file_name()?.to_str()?.starts_with('.').then_some(path)
            });
            let begun = unfinished.last();
            let there = begun.filter(|_| !backup.exists());
            if there.is_some_and(|there| files_now(&there) > copied) {
                making.kill().unwrap();
            }
        }
        let was_killed = !making.wait().unwrap().success();
        assert_eq!(backup.exists(), !was_killed, "half a backup has no name");
        for entry in fs::read_dir(place.path()).unwrap() {
            let path = entry.unwrap().path();
            let is_half = path.file_name().unwrap().to_str().unwrap().starts_with('.');
            if is_half {
                killed += 1;
                refused(&restore(&path, &place.path().join("new.json")), "is no backup");
            }
            fs::remove_dir_all(path).unwrap();
        }
    }
    assert!(killed > 0, "none was killed in the middle");
    done(&back_up(&config, &place.path().join("whole")));
}

/// How many files there are in a folder that somebody fills.
fn files_now(folder: &Path) -> usize {
    let Ok(entries) = fs::read_dir(folder) else { return 0 };
    let paths = entries.filter_map(|entry| Some(entry.ok()?.path()));
    paths.map(|path| if path.is_dir() { files_now(&path) } else { 1 }).sum()
}

#[tokio::test]
async fn backups_of_a_busy_server_are_whole() {
    let server = Server::start_with(json!({ "commands": { "expires_in": 20 } }));
    let mut door = Device::join(&server, "front", "lock").await;
    let place = TempDir::new().unwrap();
    let config = server.config_path();
    let making = tokio::task::spawn_blocking({
        let place = place.path().to_owned();
        move || {
            for number in 0..5 {
                let backup = place.join(number.to_string());
                done(&back_up(&config, &backup));
                done(&restore(&backup, &place.join(format!("new-{number}/config.json"))));
            }
        }
    });
    let mut commands = 0;
    while !making.is_finished() {
        let (_, answer) = server.post("/lock?device=front&wait=0").await;
        let (_, command, _) = door.hear_command().await;
        assert_eq!(command, command_of(&answer));
        door.say(&format!("ack {command} ok")).await;
        // Retained, so that the broker's store is written, too.
        door.publish("latchlight/devices/front/online", "online", true).await;
        server.ended(&command).await;
        commands += 1;
    }
    making.await.unwrap();
    assert!(commands > 0);
    drop(server);
    let folder = place.path().join("new-4");
    for file in ["latchlight.db", "broker.db"] {
        let options = SqliteConnectOptions::new().filename(folder.join("data").join(file));
        let mut connection = options.connect().await.unwrap();
        let check = sqlx::query_scalar::<_, String>("PRAGMA integrity_check");
        assert_eq!(check.fetch_one(&mut connection).await.unwrap(), "ok", "{file}");
    }
}
