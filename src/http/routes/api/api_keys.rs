//! `/api/v1/api-keys`: what programs show to be let in, and
//! `/api/v1/api-keys/{name}`.

use std::sync::Arc;

use actix_web::http::header::LOCATION;
use actix_web::web::{Data, Path, Payload, Query};
use actix_web::{HttpRequest, HttpResponse};
use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use crate::events::Kind;
use crate::http::account_list::PageParameters;
use crate::http::account_view::{self, AccountView};
use crate::http::auth::Caller;
use crate::http::openapi::IfNoneMatch;
use crate::http::query::NoQuery;
use crate::http::{ApiError, Services, body, etag};
use crate::identity::{
    Account, AccountGrant, AccountId, AccountKind, KeySecret, Proof, Role, Scope, Scopes,
};

#[derive(Debug, Serialize, ToSchema)]
#[schema(as = ApiKeyPage)]
struct List<'a> {
    /// Each of them.
    api_keys: Vec<AccountView<'a>>,
    /// What to show as `cursor` for the next page; none after the last.
    #[schema(example = "reader")]
    next_cursor: Option<String>,
}

#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
#[schema(as = NewApiKey)]
struct NewKey {
    /// 1 to 64 of letters, digits, `.`, `_`, `@` and `-`.
    #[schema(pattern = "^[A-Za-z0-9._@-]{1,64}$", example = "garage-opener")]
    name: String,
    /// What it is good for.
    scopes: Scopes,
    /// Without them, everything that the scopes allow.
    #[serde(default)]
    grants: Option<Vec<AccountGrant>>,
    /// Until when it is good; for ever without.
    #[schema(example = json!(null))]
    expires_at: Option<Timestamp>,
}

/// A key, and its secret this once.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = MadeApiKey)]
struct Made<'a> {
    #[serde(flatten)]
    key: AccountView<'a>,
    /// What the program shows; told here and nowhere else.
    #[schema(example = "llk_6f1d2c3b4a5968778695a4b3c2d1e0f1")]
    secret: &'a str,
}

/// A page of the keys, by name.
#[utoipa::path(
    get,
    path = "/api/v1/api-keys",
    tag = "api-keys",
    operation_id = "listApiKeys",
    params(PageParameters, IfNoneMatch),
    responses(
        (status = 200, description = "A page of them.", body = List<'_>),
    ),
)]
pub(in crate::http) async fn list(
    request: HttpRequest,
    query: Query<PageParameters>,
    services: Data<Services>,
) -> Result<HttpResponse, ApiError> {
    let mut keys = services.directory.list();
    keys.retain(|account| account.kind == AccountKind::Key);
    let page = query.into_inner().page(keys);
    let api_keys = page.accounts.iter().map(|account| AccountView::of(account)).collect();
    etag::json(&request, &List { api_keys, next_cursor: page.next_cursor })
}

/// One key, without its secret.
#[utoipa::path(
    get,
    path = "/api/v1/api-keys/{name}",
    tag = "api-keys",
    operation_id = "getApiKey",
    params(("name" = String, Path, description = "The key.", example = "garage-opener"), IfNoneMatch),
    responses(
        (status = 200, description = "The key.", body = AccountView<'_>),
    ),
)]
pub(in crate::http) async fn get(
    request: HttpRequest,
    name: Path<String>,
    _: Query<NoQuery>,
    services: Data<Services>,
) -> Result<HttpResponse, ApiError> {
    etag::json(&request, &AccountView::of(&*find(&services, &name)?))
}

/// Makes a key; this answer alone shows its secret.
#[utoipa::path(
    post,
    path = "/api/v1/api-keys",
    tag = "api-keys",
    operation_id = "addApiKey",
    request_body(content = NewKey),
    responses(
        (status = 201, description = "The key, and its secret this once.", body = Made<'_>, headers(("Location" = String, description = "Where it is."))),
        (status = 409, description = "The name is taken."),
    ),
)]
pub(in crate::http) async fn post(
    request: HttpRequest,
    caller: Caller,
    _: Query<NoQuery>,
    payload: Payload,
    services: Data<Services>,
) -> Result<HttpResponse, ApiError> {
    let new: NewKey = body::read_json(&request, payload, &services.settings).await?;
    let name = account_view::check_name(&new.name)?;
    if new.scopes.is_empty() {
        return Err(ApiError::Invalid(format!("scopes: some of {}", Scopes::all())));
    }
    account_view::check_end(new.expires_at)?;
    for scope in [Scope::Admin, Scope::EventsRead, Scope::MessagesRead, Scope::MetricsRead] {
        if new.grants.is_some() && new.scopes.has(scope) {
            return Err(ApiError::Invalid(format!(
                "grants: they do not bind the scope `{scope}`, which is about every device; \
                 leave one of them out"
            )));
        }
    }
    let grants = new.grants.unwrap_or_else(|| vec![AccountGrant::everything()]);
    account_view::check_grants(&grants)?;
    let secret = KeySecret::generate()
        .map_err(|error| ApiError::Internal(anyhow::anyhow!("make a secret: {error}")))?;
    // Who may manage accounts can have everything; any other key has what it
    // is granted.
    let role = if new.scopes.has(Scope::Admin) { Role::Owner } else { Role::Member };
    let account = Account {
        id: AccountId::generate(),
        name,
        kind: AccountKind::Key,
        role,
        scopes: new.scopes,
        grants,
        proof: Proof { password: None, secret: Some(secret.sha256()) },
        subject: None,
        epoch: 0,
        disabled: false,
        created_at: Timestamp::now(),
        expires_at: new.expires_at,
    };
    let work = {
        let services = services.clone();
        async move {
            let account = services.directory.add(account).await?;
            let detail = format!("API key {}, scopes {}", account.name, account.scopes);
            caller.record(&services, Kind::Account, "add", &detail).await?;
            Ok(account)
        }
    };
    let account = services.to_the_end(work).await?;
    let link = format!("/api/v1/api-keys/{}", account.name);
    let made = Made { key: AccountView::of(&account), secret: secret.reveal() };
    Ok(HttpResponse::Created().insert_header((LOCATION, link)).json(made))
}

/// Removes a key, which lets nobody in from then on.
#[utoipa::path(
    delete,
    path = "/api/v1/api-keys/{name}",
    tag = "api-keys",
    operation_id = "removeApiKey",
    params(("name" = String, Path, description = "The key.", example = "garage-opener")),
    responses(
        (status = 204, description = "It lets nobody in any more."),
    ),
)]
pub(in crate::http) async fn delete(
    caller: Caller,
    name: Path<String>,
    _: Query<NoQuery>,
    services: Data<Services>,
) -> Result<HttpResponse, ApiError> {
    let account = find(&services, &name)?;
    let work = {
        let services = services.clone();
        async move {
            services.directory.remove(account.id).await?;
            let detail = format!("API key {}", account.name);
            caller.record(&services, Kind::Account, "remove", &detail).await
        }
    };
    services.to_the_end(work).await?;
    Ok(HttpResponse::NoContent().finish())
}

fn find(services: &Services, name: &str) -> Result<Arc<Account>, ApiError> {
    let found = services.directory.named(name).filter(|found| found.kind == AccountKind::Key);
    found.ok_or_else(|| ApiError::NotFound("there is no such API key".to_owned()))
}
