//! `/api/v1/users`: the people, and `/api/v1/users/{name}`.

pub(in crate::http) mod password;
pub(in crate::http) mod pins;

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
use crate::identity::oidc::Subject;
use crate::identity::{
    Account, AccountGrant, AccountId, AccountKind, Identity, NewPassword, Proof, Role, Scopes,
};

#[derive(Debug, Serialize, ToSchema)]
#[schema(as = UserPage)]
struct List<'a> {
    /// Each of them.
    users: Vec<AccountView<'a>>,
    /// What to show as `cursor` for the next page; none after the last.
    #[schema(example = "mia")]
    next_cursor: Option<String>,
}

#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
struct NewUser {
    /// 1 to 64 of letters, digits, `.`, `_`, `@` and `-`.
    #[schema(pattern = "^[A-Za-z0-9._@-]{1,64}$", example = "ann")]
    name: String,
    /// What they are in the house.
    #[schema(example = "member")]
    role: Role,
    /// Without one, nobody can sign in by it.
    #[schema(value_type = Option<String>, format = Password, min_length = 8, max_length = 200, example = "a word for ann")]
    password: Option<NewPassword>,
    /// Without them, what the role allows.
    scopes: Option<Scopes>,
    /// Without them, a member may do everything, and a guest nothing.
    #[serde(default)]
    grants: Option<Vec<AccountGrant>>,
    /// Who it is at the OpenID Connect provider: its issuer, a space, and the
    /// person's `sub` there; or `mailto:` and an address.
    subject: Option<Subject>,
    /// Until when the account is good; for ever without.
    #[schema(example = json!(null))]
    expires_at: Option<Timestamp>,
}

/// What is left out stays as it is.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
#[schema(as = UserChange)]
struct Change {
    /// What they are called from now on.
    #[schema(pattern = "^[A-Za-z0-9._@-]{1,64}$", example = "anna")]
    name: Option<String>,
    /// What they are in the house.
    #[schema(example = "member")]
    role: Option<Role>,
    /// What their tokens may be good for at the most.
    scopes: Option<Scopes>,
    /// All of them anew.
    #[serde(default)]
    grants: Option<Vec<AccountGrant>>,
    /// Let in by nothing, for now.
    disabled: Option<bool>,
    /// Who it is at the OpenID Connect provider; `null`: nobody.
    #[serde(default, deserialize_with = "account_view::given")]
    #[schema(value_type = Option<Subject>, example = json!(null))]
    subject: Option<Option<Subject>>,
    /// Until when the account is good; `null`: for ever.
    #[serde(default, deserialize_with = "account_view::given")]
    #[schema(value_type = Option<Timestamp>, example = json!(null))]
    expires_at: Option<Option<Timestamp>>,
}

/// A page of the people, by name.
#[utoipa::path(
    get,
    path = "/api/v1/users",
    tag = "users",
    operation_id = "listUsers",
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
    let mut users = services.directory.list();
    users.retain(|account| account.kind == AccountKind::User);
    let page = query.into_inner().page(users);
    let users = page.accounts.iter().map(|account| AccountView::of(account)).collect();
    etag::json(&request, &List { users, next_cursor: page.next_cursor })
}

/// One person.
#[utoipa::path(
    get,
    path = "/api/v1/users/{name}",
    tag = "users",
    operation_id = "getUser",
    params(("name" = String, Path, description = "The person.", example = "ann"), IfNoneMatch),
    responses(
        (status = 200, description = "The person.", body = AccountView<'_>),
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

/// Makes an account for somebody.
#[utoipa::path(
    post,
    path = "/api/v1/users",
    tag = "users",
    operation_id = "addUser",
    request_body(content = NewUser),
    responses(
        (status = 201, description = "The account is there.", body = AccountView<'_>, headers(("Location" = String, description = "Where it is."))),
        (status = 409, description = "The name or the `subject` is taken."),
    ),
)]
pub(in crate::http) async fn post(
    request: HttpRequest,
    caller: Caller,
    _: Query<NoQuery>,
    payload: Payload,
    services: Data<Services>,
) -> Result<HttpResponse, ApiError> {
    let new: NewUser = body::read_json(&request, payload, &services.settings).await?;
    let name = account_view::check_name(&new.name)?;
    check_scopes(new.role, new.scopes)?;
    account_view::check_end(new.expires_at)?;
    let grants = new.grants.unwrap_or_else(|| match new.role {
        Role::Member => vec![AccountGrant::everything()],
        Role::Owner | Role::Guest => Vec::new(),
    });
    account_view::check_grants(&grants)?;
    let password = match new.password {
        Some(password) => {
            password.check_against(&name)?;
            Some(services.passwords.hash(password).await?)
        }
        None => None,
    };
    let account = Account {
        id: AccountId::generate(),
        name,
        kind: AccountKind::User,
        role: new.role,
        scopes: new.scopes.unwrap_or_else(Scopes::all),
        grants,
        proof: Proof { password, secret: None },
        subject: new.subject,
        epoch: 0,
        disabled: false,
        created_at: Timestamp::now(),
        expires_at: new.expires_at,
    };
    let work = {
        let services = services.clone();
        async move {
            let account = services.directory.add(account).await?;
            let detail = format!("user {}, role {}", account.name, account.role);
            caller.record(&services, Kind::Account, "add", &detail).await?;
            Ok(account)
        }
    };
    let account = services.to_the_end(work).await?;
    let link = format!("/api/v1/users/{}", account.name);
    Ok(HttpResponse::Created().insert_header((LOCATION, link)).json(AccountView::of(&account)))
}

/// Changes what somebody is called, is and may; what is left out stays as it is.
///
/// What it takes away is gone at once. By another name they stay who they are:
/// tokens, codes and what they were granted go with them, and the record keeps
/// the name of then.
#[utoipa::path(
    patch,
    path = "/api/v1/users/{name}",
    tag = "users",
    operation_id = "changeUser",
    params(("name" = String, Path, description = "The person.", example = "ann")),
    request_body(content = Change),
    responses(
        (status = 200, description = "As it is now.", body = AccountView<'_>),
        (status = 409, description = "There would be no owner left, or the name or the `subject` is taken."),
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
    let account = find(&services, &name)?;
    check_scopes(change.role.unwrap_or(account.role), change.scopes)?;
    account_view::check_grants(change.grants.as_deref().unwrap_or_default())?;
    let name = change.name.as_deref().map(account_view::check_name).transpose()?;
    let change = move |account: &mut Account| {
        change.apply(account, name);
        Ok(())
    };
    let account = account_change::make(&services, caller, account.id, change).await?;
    Ok(HttpResponse::Ok().json(AccountView::of(&account)))
}

/// Removes somebody, who is let in by nothing from then on.
#[utoipa::path(
    delete,
    path = "/api/v1/users/{name}",
    tag = "users",
    operation_id = "removeUser",
    params(("name" = String, Path, description = "The person.", example = "ann")),
    responses(
        (status = 204, description = "They are let in by nothing any more."),
        (status = 409, description = "There would be no owner left."),
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
            let detail = format!("user {}", account.name);
            caller.record(&services, Kind::Account, "remove", &detail).await
        }
    };
    services.to_the_end(work).await?;
    Ok(HttpResponse::NoContent().finish())
}

impl Change {
    fn apply(self, account: &mut Account, name: Option<Identity>) {
        let before = account.subject.clone();
        if let Some(name) = name {
            account.name = name;
        }
        account.role = self.role.unwrap_or(account.role);
        account.scopes = self.scopes.unwrap_or(account.scopes);
        account.disabled = self.disabled.unwrap_or(account.disabled);
        if let Some(grants) = self.grants {
            account.grants = grants;
        }
        if let Some(subject) = self.subject {
            account.subject = subject;
        }
        if let Some(expires_at) = self.expires_at {
            account.expires_at = expires_at;
        }
        // What was closed stays closed to those who were in, also when it is
        // opened again.
        if !account.is_open(Timestamp::now()) || account.subject != before {
            account.revoke_tokens();
        }
    }
}

fn find(services: &Services, name: &str) -> Result<Arc<Account>, ApiError> {
    let found = services.directory.named(name).filter(|found| found.kind == AccountKind::User);
    found.ok_or_else(|| ApiError::NotFound("there is no such user".to_owned()))
}

fn check_scopes(role: Role, scopes: Option<Scopes>) -> Result<(), ApiError> {
    match scopes {
        Some(scopes) if !scopes.within(role.scopes()) => Err(ApiError::Invalid(format!(
            "scopes: the role {role} has no more than {}",
            role.scopes()
        ))),
        _ => Ok(()),
    }
}
