//! `GET /readyz`: everything that is needed to operate a device is there.

use std::time::Duration;

use actix_web::web::{Data, Json};
use serde_json::{Map, Value, json};

use crate::database::Database;
use crate::http::{ApiError, Services};
use crate::tls::Status;

/// How long the database may take.
const PATIENCE: Duration = Duration::from_secs(2);

/// Whether everything is there that is needed to operate a device.
#[utoipa::path(
    get,
    path = "/readyz",
    tag = "server",
    operation_id = "getReadiness",
    responses(
        (status = 200, description = "Everything answers.", body = Object, example = json!({"status": "ready", "link": "ok", "store": "ok", "database": "ok", "state": "ok"})),
        (status = 503, description = "Something does not, and which: a problem with a member for each part, `ok` or what is wrong."),
    ),
)]
pub(in crate::http) async fn get(services: Data<Services>) -> Result<Json<Value>, ApiError> {
    let link =
        if services.handle.link_up() { Ok(()) } else { Err("the broker is away".to_owned()) };
    let database = database(&services.database).await;
    let state = services.state.writable().map_err(|error| {
        tracing::warn!(%error, "the state file could not be written");
        "config.json could not be written".to_owned()
    });
    let store = match services.handle.is_store_failing() {
        true => Err("the broker cannot write it".to_owned()),
        false => Ok(()),
    };
    let parts = [("link", link), ("store", store), ("database", database), ("state", state)];
    let ready = parts.iter().all(|(_, part)| part.is_ok());
    let said =
        |part: Result<(), String>| Value::from(part.err().unwrap_or_else(|| "ok".to_owned()));
    let mut parts: Map<String, Value> =
        parts.into_iter().map(|(name, part)| (name.to_owned(), said(part))).collect();
    // Nothing that a restart would help, so it is said and no more.
    if let Some(certificates) = &services.certificates {
        parts.insert("tls".to_owned(), said(certificate(&certificates.status())));
    }
    if ready {
        let mut body = json!({ "status": "ready" });
        body.as_object_mut().expect("an object").extend(parts);
        Ok(Json(body))
    } else {
        Err(ApiError::NotReady(parts))
    }
}

/// What is wrong with the database. One that is known to be away is not asked.
async fn database(database: &Database) -> Result<(), String> {
    if let Some(why) = database.writer.why_away() {
        let waiting = database.writer.waiting();
        let wait = format!("{waiting} bytes of records wait for it in the data folder");
        return Err(format!("{why}, and {wait}"));
    }
    match tokio::time::timeout(PATIENCE, database.ping()).await {
        Ok(Ok(())) => Ok(()),
        Ok(Err(error)) => {
            tracing::warn!(%error, "the database does not answer");
            Err("it does not answer".to_owned())
        }
        Err(_) => Err("it does not answer in time".to_owned()),
    }
}

/// What is wrong with the certificate; its files are named in the log.
fn certificate(status: &Status) -> Result<(), String> {
    let days = status.days_left();
    if days <= 0.0 {
        Err("the certificate has expired".to_owned())
    } else if status.refused.is_some() {
        Err("the files have changed and cannot be used; the certificate from before counts"
            .to_owned())
    } else {
        Ok(())
    }
}
