//! `GET /api/v1/plugins`: the plugins, and how far each came; and
//! `/api/v1/plugins/{name}`: one is installed from afar, or removed.

use actix_web::web::{Data, Path, Payload};
use actix_web::{HttpMessage as _, HttpRequest, HttpResponse};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde::Serialize;
use utoipa::ToSchema;

use crate::http::auth::Caller;
use crate::http::openapi::IfNoneMatch;
use crate::http::query::{NoQuery, Query};
use crate::http::{ApiError, Services, body, etag};
use crate::plugin_host::{Installed, PluginReport};

/// The header with the signature: the `.minisig` file in base64.
const SIGNATURE: &str = "plugin-signature";

/// The plugins.
#[derive(Serialize, ToSchema)]
#[schema(as = PluginList)]
struct List {
    /// A report on each.
    plugins: Vec<PluginReport>,
}

/// A report on each plugin: how far it came, and why not further.
///
/// First those that config.json names, in its order, then those that were
/// installed, then what else lies in the folder.
#[utoipa::path(
    get,
    path = "/api/v1/plugins",
    tag = "plugins",
    operation_id = "listPlugins",
    params(IfNoneMatch),
    responses(
        (status = 200, description = "All of them.", body = List),
    ),
)]
pub(in crate::http) async fn list(
    request: HttpRequest,
    _: Query<NoQuery>,
    services: Data<Services>,
) -> Result<HttpResponse, ApiError> {
    etag::json(&request, &List { plugins: services.plugins.reports() })
}

/// Installs a signed plugin from afar, where config.json lets it.
///
/// Or a newer version in the place of the one that runs.
#[utoipa::path(
    put,
    path = "/api/v1/plugins/{name}",
    tag = "plugins",
    operation_id = "installPlugin",
    params(("name" = String, Path, description = "The plugin.", example = "house"), ("Plugin-Signature" = String, Header, description = "The `.minisig` file in base64, in one line.", example = "dW50cnVzdGVkIGNvbW1lbnQ6IGhvdXNlCg==")),
    request_body(content = Vec<u8>, description = "The library.", content_type = "application/octet-stream"),
    responses(
        (status = 200, description = "It runs, in the place of an older version.", body = Installed),
        (status = 201, description = "It runs.", body = Installed),
    ),
)]
pub(in crate::http) async fn put(
    request: HttpRequest,
    caller: Caller,
    name: Path<String>,
    _: Query<NoQuery>,
    payload: Payload,
    services: Data<Services>,
) -> Result<HttpResponse, ApiError> {
    let plugins = &services.plugins;
    let _in_hand = plugins.admit(&caller.0, &name)?;
    let signature = signature(&request)?;
    let media_type = request.content_type().to_ascii_lowercase();
    if !["", "application/octet-stream"].contains(&media_type.as_str()) {
        return Err(ApiError::WrongType(format!(
            "Content-Type must be application/octet-stream, and is `{}`",
            media_type.escape_default()
        )));
    }
    let patience = services.settings.request_timeout();
    let library = body::read(&request, payload, plugins.max_bytes(), patience).await?;
    let installed = plugins.install(&caller.0, &name, library, signature).await?;
    let mut response = match installed.replaced {
        None => HttpResponse::Created(),
        Some(_) => HttpResponse::Ok(),
    };
    Ok(response.json(installed))
}

/// The text of the `.minisig` file.
fn signature(request: &HttpRequest) -> Result<String, ApiError> {
    let wrong = || {
        ApiError::Malformed(
            "the header Plugin-Signature has the `.minisig` file in base64, in one line".to_owned(),
        )
    };
    let mut values = request.headers().get_all(SIGNATURE);
    let (Some(value), None) = (values.next(), values.next()) else { return Err(wrong()) };
    let text = STANDARD.decode(value.as_bytes()).map_err(|_| wrong())?;
    String::from_utf8(text).map_err(|_| wrong())
}

/// Removes a plugin that was installed from afar.
#[utoipa::path(
    delete,
    path = "/api/v1/plugins/{name}",
    tag = "plugins",
    operation_id = "removePlugin",
    params(("name" = String, Path, description = "The plugin.", example = "house")),
    responses(
        (status = 204, description = "It is gone."),
    ),
)]
pub(in crate::http) async fn delete(
    caller: Caller,
    name: Path<String>,
    _: Query<NoQuery>,
    services: Data<Services>,
) -> Result<HttpResponse, ApiError> {
    services.plugins.remove(&caller.0, &name).await?;
    Ok(HttpResponse::NoContent().finish())
}
