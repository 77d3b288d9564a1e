//! A change of an account: made, and on record with what is another than before.

use std::sync::Arc;

use actix_web::web::Data;
use jiff::Timestamp;

use super::auth::Caller;
use super::{ApiError, Services};
use crate::config::GrantedDevice;
use crate::events::Kind;
use crate::identity::oidc::Subject;
use crate::identity::{Account, AccountGrant, AccountId, AccountKind, Window};

/// Changes an account, as a whole or not at all.
pub(super) async fn make(
    services: &Data<Services>,
    caller: Caller,
    id: AccountId,
    change: impl FnOnce(&mut Account) -> Result<(), ApiError> + Send + 'static,
) -> Result<Arc<Account>, ApiError> {
    let own = services.clone();
    let work = async move {
        let (mut before, mut refused) = (None, None);
        let change = |account: &mut Account| {
            let was = account.clone();
            if let Err(error) = change(account) {
                account.clone_from(&was);
                refused = Some(error);
            }
            before = Some(was);
        };
        let account = own.directory.change(id, change).await?;
        if let Some(error) = refused {
            return Err(error);
        }
        let before = before.as_ref().unwrap_or(&account);
        let action = if before.name == account.name { "change" } else { "rename" };
        caller.record(&own, Kind::Account, action, &described(before, &account)).await?;
        Ok(account)
    };
    services.to_the_end(work).await
}

/// What is another than before, and what it was.
fn described(before: &Account, after: &Account) -> String {
    let kind = match after.kind {
        AccountKind::User => "user",
        AccountKind::Key => "API key",
    };
    let of = |account: &Account| {
        let Account { name, role, scopes, subject, disabled, expires_at, grants, .. } = account;
        [
            ("name", name.to_string()),
            ("role", role.to_string()),
            ("scopes", scopes.to_string()),
            ("subject", subject.as_ref().map_or("nobody", Subject::as_str).to_owned()),
            ("state", if *disabled { "disabled" } else { "enabled" }.to_owned()),
            ("until", expires_at.map_or_else(|| "for ever".to_owned(), at)),
            ("grants", grants_of(grants)),
        ]
    };
    let both = of(before).into_iter().zip(of(after));
    let changes = both.filter(|((_, was), (_, is))| was != is);
    let changes: Vec<String> =
        changes.map(|((what, was), (_, is))| format!("{what} {was} → {is}")).collect();
    let what = if changes.is_empty() { "as it was".to_owned() } else { changes.join(", ") };
    format!("{kind} {}: {what}", before.name)
}

fn at(moment: Timestamp) -> String {
    format!("{moment:.0}")
}

fn grants_of(grants: &[AccountGrant]) -> String {
    let of = |grant: &AccountGrant| {
        let actions: Vec<_> = grant.actions.iter().map(|verb| verb.as_str()).collect();
        let actions = if actions.is_empty() { "see".to_owned() } else { actions.join("+") };
        let devices = grant.devices.iter().map(|device| match device {
            GrantedDevice::Every => "*".to_owned(),
            GrantedDevice::One(id) => id.to_string(),
        });
        let devices = devices.collect::<Vec<_>>().join("+");
        let window = serde_json::to_string(&grant.window).unwrap_or_default();
        let window = if grant.window == Window::default() { String::new() } else { window };
        format!("{actions} {devices}{window}")
    };
    format!("[{}]", grants.iter().map(of).collect::<Vec<_>>().join("; "))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::identity::{Proof, Role, Scopes};

    fn ann() -> Account {
        Account {
            id: AccountId::generate(),
            name: "ann".parse().expect("a name"),
            kind: AccountKind::User,
            role: Role::Guest,
            scopes: Scopes::all(),
            grants: Vec::new(),
            proof: Proof::default(),
            subject: None,
            epoch: 0,
            disabled: false,
            created_at: Timestamp::UNIX_EPOCH,
            expires_at: None,
        }
    }

    #[test]
    fn what_has_changed_is_said_with_what_it_was_and_nothing_else_is() {
        let before = ann();
        assert_eq!(described(&before, &before), "user ann: as it was");
        let mut after = before.clone();
        after.name = "anna".parse().expect("a name");
        after.role = Role::Member;
        after.subject = "https://id.example 1234".parse().ok();
        after.grants = vec![AccountGrant::everything()];
        after.proof.password = Some("$argon2id$…".to_owned());
        assert_eq!(
            described(&before, &after),
            "user ann: name ann → anna, role guest → member, subject nobody → https://id.example \
             1234, grants [] → [lock+unlock+on+off *]"
        );
        let mut closed = after.clone();
        closed.disabled = true;
        closed.expires_at = Some(Timestamp::UNIX_EPOCH);
        assert_eq!(
            described(&after, &closed),
            "user anna: state enabled → disabled, until for ever → 1970-01-01T00:00:00Z"
        );
    }
}
