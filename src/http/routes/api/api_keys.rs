//! `/api/v1/api-keys`: what programs show to be let in, and
//! `/api/v1/api-keys/{name}`.

use std::sync::Arc;

use actix_web::http::header::LOCATION;
use actix_web::web::{Data, Path, Payload};
use actix_web::{HttpRequest, HttpResponse};
use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use crate::events::Kind;
use crate::http::account_change;
use crate::http::account_list::PageParameters;
use crate::http::account_view::{self, AccountView};
use crate::http::auth::Caller;
use crate::http::openapi::IfNoneMatch;
use crate::http::query::{NoQuery, Query};
use crate::http::{ApiError, Services, body, etag};
use crate::identity::{
    Account, AccountGrant, AccountId, AccountKind, Identity, KeySecret, Proof, Role, Scope, Scopes,
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

/// What is left out stays as it is; the secret does so always.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
#[schema(as = ApiKeyChange)]
struct Change {
    /// What it is called from now on.
    #[schema(pattern = "^[A-Za-z0-9._@-]{1,64}$", example = "gate-opener")]
    name: Option<String>,
    /// What it is good for.
    scopes: Option<Scopes>,
    /// All of them anew; `null`: everything that the scopes allow.
    #[serde(default, deserialize_with = "account_view::given")]
    #[schema(value_type = Option<Vec<AccountGrant>>)]
    grants: Option<Option<Vec<AccountGrant>>>,
    /// Lets nobody in, for now.
    disabled: Option<bool>,
    /// Until when it is good; `null`: for ever.
    #[serde(default, deserialize_with = "account_view::given")]
    #[schema(value_type = Option<Timestamp>, example = json!(null))]
    expires_at: Option<Option<Timestamp>>,
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
    account_view::check_end(new.expires_at)?;
    check_scopes(new.scopes, new.grants.is_some())?;
    let grants = new.grants.unwrap_or_else(|| vec![AccountGrant::everything()]);
    account_view::check_grants(&grants)?;
    let secret = KeySecret::generate()
        .map_err(|error| ApiError::Internal(anyhow::anyhow!("make a secret: {error}")))?;
    let account = Account {
        id: AccountId::generate(),
        name,
        kind: AccountKind::Key,
        role: role_of(new.scopes),
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

/// Changes a key; what is left out stays as it is.
///
/// What it takes away is gone at once, whatever token the program has. By another
/// name it stays the same key, with the same secret.
#[utoipa::path(
    patch,
    path = "/api/v1/api-keys/{name}",
    tag = "api-keys",
    operation_id = "changeApiKey",
    params(("name" = String, Path, description = "The key.", example = "garage-opener")),
    request_body(content = Change),
    responses(
        (status = 200, description = "As it is now.", body = AccountView<'_>),
        (status = 409, description = "The name is taken."),
    ),
)]
pub(in crate::http) async fn patch(
    request: HttpRequest,
    caller: Caller,
    name: Path<String>,
    _: Query<NoQuery>,
    payload: Payload,
    services: Data<Services>,
) -> Result<HttpResponse, ApiError> {
    let change: Change = body::read_json(&request, payload, &services.settings).await?;
    let key = find(&services, &name)?;
    let name = change.name.as_deref().map(account_view::check_name).transpose()?;
    let grants = change.grants.as_ref().and_then(Option::as_deref).unwrap_or_default();
    account_view::check_grants(grants)?;
    let change = move |key: &mut Account| change.apply(key, name);
    let key = account_change::make(&services, caller, key.id, change).await?;
    Ok(HttpResponse::Ok().json(AccountView::of(&key)))
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

impl Change {
    /// # Errors
    /// The key would have what does not go together.
    fn apply(self, key: &mut Account, name: Option<Identity>) -> Result<(), ApiError> {
        if let Some(name) = name {
            key.name = name;
        }
        if let Some(grants) = self.grants {
            key.grants = grants.unwrap_or_else(|| vec![AccountGrant::everything()]);
        }
        key.scopes = self.scopes.unwrap_or(key.scopes);
        key.role = role_of(key.scopes);
        let is_bound = !key.grants.iter().any(AccountGrant::is_everything);
        check_scopes(key.scopes, is_bound)?;
        key.disabled = self.disabled.unwrap_or(key.disabled);
        if let Some(expires_at) = self.expires_at {
            key.expires_at = expires_at;
        }
        // What was closed stays closed to those who were in.
        if !key.is_open(Timestamp::now()) {
            key.revoke_tokens();
        }
        Ok(())
    }
}

/// Who may manage accounts can have everything; any other key has what it is
/// granted.
fn role_of(scopes: Scopes) -> Role {
    if scopes.has(Scope::Admin) { Role::Owner } else { Role::Member }
}

/// Refuses a key that is good for nothing, and one that is bound by grants and
/// not bound all the same.
fn check_scopes(scopes: Scopes, is_bound: bool) -> Result<(), ApiError> {
    if scopes.is_empty() {
        return Err(ApiError::Invalid(format!("scopes: some of {}", Scopes::all())));
    }
    for scope in [Scope::Admin, Scope::EventsRead, Scope::MessagesRead, Scope::MetricsRead] {
        if is_bound && scopes.has(scope) {
            return Err(ApiError::Invalid(format!(
                "grants: they do not bind the scope `{scope}`, which is about every device; \
                 leave one of them out"
            )));
        }
    }
    Ok(())
}

fn find(services: &Services, name: &str) -> Result<Arc<Account>, ApiError> {
    let found = services.directory.named(name).filter(|found| found.kind == AccountKind::Key);
    found.ok_or_else(|| ApiError::NotFound("there is no such API key".to_owned()))
}
