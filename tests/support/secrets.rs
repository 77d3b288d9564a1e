//! What devices and apps of the tests show to be let in: made by the server
//! when they are first needed, and kept in its data folder, for a server that
//! comes back there.

use std::path::{Path, PathBuf};

use latchlight::console::Console;
use serde_json::{Value, json};

use crate::leaks;

/// The password of a device of the server that runs on this config.json.
pub(crate) async fn of_device(config: &Path, id: &str) -> String {
    let path = format!("/api/v1/devices/{id}/credentials");
    kept_or_made(config, &path, &path, &json!({}), "password").await
}

/// The secret of an app, which may do everything that there is.
pub(crate) async fn of_app(config: &Path, name: &str) -> String {
    let scopes = "devices:read locks:operate lights:operate messages:send messages:read \
                  pictures:read pictures:write events:read metrics:read admin";
    let body = json!({ "name": name, "scopes": scopes });
    let path = format!("/api/v1/api-keys/{name}");
    kept_or_made(config, &path, "/api/v1/api-keys", &body, "secret").await
}

async fn kept_or_made(config: &Path, path: &str, make: &str, body: &Value, member: &str) -> String {
    let console = Console::connect(config).await.unwrap();
    let file = file(config, path);
    // The server may have forgotten it.
    if console.get(path).await.is_ok()
        && let Ok(kept) = std::fs::read_to_string(&file)
    {
        leaks::note(config.parent().unwrap(), &kept);
        return kept;
    }
    let made = console.post(make, body).await.unwrap();
    let secret = made[member].as_str().unwrap_or_else(|| panic!("{made}")).to_owned();
    leaks::note(config.parent().unwrap(), &secret);
    std::fs::create_dir_all(file.parent().unwrap()).unwrap();
    std::fs::write(file, &secret).unwrap();
    secret
}

fn file(config: &Path, path: &str) -> PathBuf {
    config.parent().unwrap().join("data/secrets-of-tests").join(path.replace('/', "_"))
}
