//! SAFETY C30: what a test makes or is given as a secret is noted here by the
//! harness, and when the test's server stops, everything that it wrote is
//! searched for it: its log, its folder, its record; and each answer that is an
//! error, or a part of the record or its export, when it comes.
//!
//! Not searched, for secrets have to be there: `keys/` in the data folder, the
//! section `settings` of config.json, which its user has written, what the
//! tests keep by themselves (`secrets-of-tests`), and the answers that hand a
//! secret out. Hashes are none.

use std::path::{Path, PathBuf};
use std::sync::Mutex;

use memchr::memmem;
use reqwest::header::{AUTHORIZATION, HeaderMap, SET_COOKIE};
use serde_json::Value;

/// Shorter ones stand in a log by chance.
const SHORTEST: usize = 8;

/// The members of requests and answers, and the fields of forms, that are
/// secrets.
const MEMBERS: [&str; 9] = [
    "password",
    "old",
    "new",
    "secret",
    "client_secret",
    "token",
    "access_token",
    "refresh_token",
    "code",
];

/// Folders of the server's in which secrets have to be, or are the tests' own.
const APART: [&str; 2] = ["keys", "secrets-of-tests"];

/// Each with the folder of its server.
static NOTED: Mutex<Vec<(PathBuf, String)>> = Mutex::new(Vec::new());

/// Notes a secret of the server in this folder.
pub(crate) fn note(folder: &Path, secret: &str) {
    // Of a refresh token, the sign-in's id is no secret.
    let secret = match secret.strip_prefix("llr_") {
        Some(token) => token.rsplit('_').next().unwrap(),
        None => secret,
    };
    let is_number = secret.bytes().all(|byte| byte.is_ascii_digit());
    let mut noted = NOTED.lock().unwrap();
    let is_new = || !noted.iter().any(|(of, known)| of == folder && known == secret);
    if secret.len() >= SHORTEST && !is_number && is_new() {
        noted.push((folder.to_owned(), secret.to_owned()));
    }
}

/// Notes the secrets in a request.
pub(crate) fn note_request(folder: &Path, request: &reqwest::Request) {
    if let Some(shown) = request.headers().get(AUTHORIZATION) {
        let shown = shown.to_str().unwrap_or_default();
        note(folder, shown.split_once(' ').map_or(shown, |(_, shown)| shown));
    }
    let Some(body) = request.body().and_then(reqwest::Body::as_bytes) else { return };
    match serde_json::from_slice::<Value>(body) {
        Ok(json) => note_members(folder, &json),
        Err(_) => {
            let form = String::from_utf8_lossy(body);
            let Ok(url) = reqwest::Url::parse(&format!("http://form/?{form}")) else { return };
            let secrets = url.query_pairs().filter(|(field, _)| MEMBERS.contains(&&**field));
            secrets.for_each(|(_, secret)| note(folder, &secret));
        }
    }
}

/// Notes the secrets in an answer; one that is an error may not have any.
#[track_caller]
pub(crate) fn note_answer(folder: &Path, status: u16, headers: &HeaderMap, body: &[u8]) {
    if status >= 400 {
        look_at(folder, &format!("an answer with {status}"), body);
        for (name, value) in headers {
            look_at(folder, name.as_str(), value.as_bytes());
        }
        return;
    }
    for cookie in headers.get_all(SET_COOKIE) {
        let pair = cookie.to_str().unwrap().split(';').next().unwrap();
        note(folder, pair.split_once('=').unwrap().1);
    }
    if let Ok(json) = serde_json::from_slice(body) {
        note_members(folder, &json);
    }
}

fn note_members(folder: &Path, json: &Value) {
    match json {
        Value::Object(members) => {
            for (name, value) in members {
                match value.as_str() {
                    Some(text) if MEMBERS.contains(&&**name) => note(folder, text),
                    _ => note_members(folder, value),
                }
            }
        }
        Value::Array(items) => items.iter().for_each(|item| note_members(folder, item)),
        _ => {}
    }
}

/// Searches everything that the server has in its folder, which it may still
/// be writing.
#[track_caller]
pub(crate) fn look_in(folder: &Path) {
    let mut folders = vec![folder.to_owned()];
    while let Some(next) = folders.pop() {
        for entry in std::fs::read_dir(next).into_iter().flatten().flatten() {
            let (path, name) = (entry.path(), entry.file_name());
            if path.is_dir() {
                if !APART.iter().any(|apart| name == *apart) {
                    folders.push(path);
                }
                continue;
            }
            let is_config = path == folder.join("config.json");
            let Ok(mut bytes) = std::fs::read(&path) else { continue };
            if let Some(config) = serde_json::from_slice::<Value>(&bytes).ok().filter(|_| is_config)
            {
                bytes = config["state"].to_string().into_bytes();
            }
            look_at(folder, &path.display().to_string(), &bytes);
        }
    }
}

/// Searches what the server of this folder has written.
#[track_caller]
pub(crate) fn look_at(folder: &Path, place: &str, bytes: &[u8]) {
    let noted = NOTED.lock().unwrap();
    let found: Vec<usize> = noted
        .iter()
        .filter(|(of, _)| of == folder)
        .filter_map(|(_, secret)| memmem::find(bytes, secret.as_bytes()))
        .collect();
    drop(noted);
    if let Some(at) = found.first() {
        let around = &bytes[at.saturating_sub(200)..bytes.len().min(at + 100)];
        panic!("a secret stands in {place}: …{}…", String::from_utf8_lossy(around));
    }
}
