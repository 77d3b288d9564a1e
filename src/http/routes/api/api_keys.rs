//! `/api/v1/api-keys`: what programs show to be let in, and
//! `/api/v1/api-keys/{name}`.

use std::sync::Arc;

use actix_web::http::header::LOCATION;
use actix_web::web::{Data, Path, Payload, Query};
use actix_web::{HttpRequest, HttpResponse};
use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use crate::events::Kind;
use crate::http::account_list::PageParameters;
use crate::http::account_view::{self, AccountView};
use crate::http::auth::Caller;
use crate::http::query::NoQuery;
use crate::http::{ApiError, Services, body, etag};
use crate::identity::{
    Account, AccountGrant, AccountId, AccountKind, KeySecret, Proof, Role, Scope, Scopes,
};

#[derive(Debug, Serialize)]
struct List<'a> {
    api_keys: Vec<AccountView<'a>>,
    next_cursor: Option<String>,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct NewKey {
    name: String,
    scopes: Scopes,
    /// Without them, everything that the scopes allow.
    grants: Option<Vec<AccountGrant>>,
    expires_at: Option<Timestamp>,
}

/// A key, and its secret this once.
#[derive(Debug, Serialize)]
struct Made<'a> {
    #[serde(flatten)]
    key: AccountView<'a>,
    secret: &'a str,
}

/// A page of the keys, by name.
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

/// One of them, without its secret.
pub(in crate::http) async fn get(
    request: HttpRequest,
    name: Path<String>,
    _: Query<NoQuery>,
    services: Data<Services>,
) -> Result<HttpResponse, ApiError> {
    etag::json(&request, &AccountView::of(&*find(&services, &name)?))
}

/// Makes a key; the answer alone shows its secret.
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
    for scope in [Scope::Admin, Scope::EventsRead, Scope::MetricsRead] {
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
