//! The first start: there is nobody yet who could let others in, and there are
//! no default credentials (SAFETY C22).

use anyhow::Context as _;
use data_encoding::BASE32_NOPAD;
use jiff::Timestamp;

use super::{
    Account, AccountId, AccountKind, Directory, NewPassword, Passwords, Proof, Role, Scopes,
};

/// The variable of the environment that has the first owner's password.
pub const PASSWORD_VARIABLE: &str = "LATCHLIGHT_OWNER_PASSWORD";

/// The name of the first owner.
const NAME: &str = "owner";

/// How many random bytes a password has that is made up: 120 bits.
const BYTES: usize = 15;

/// What became of the first owner.
pub enum FirstOwner {
    /// There is one already.
    IsThere,
    /// One was made, with the password that was given.
    Made,
    /// One was made with this password, which nobody else knows.
    MadeUp {
        /// The name.
        name: &'static str,
        /// To be shown once.
        password: String,
    },
}

/// Makes the first owner where there is none.
///
/// # Errors
/// Their password cannot be one, or they could not be saved.
pub async fn ensure_owner(
    directory: &Directory,
    passwords: &Passwords,
    given: Option<String>,
) -> anyhow::Result<FirstOwner> {
    if directory.has_owner() {
        return Ok(FirstOwner::IsThere);
    }
    let made_up = match &given {
        Some(_) => None,
        None => Some(make_up().context("make up the owner's password")?),
    };
    let password = given.as_ref().or(made_up.as_ref()).expect("one of the two is there");
    let password: NewPassword =
        password.parse().with_context(|| format!("read {PASSWORD_VARIABLE}"))?;
    let name = NAME.parse().context("name the owner")?;
    password.check_against(&name).with_context(|| format!("read {PASSWORD_VARIABLE}"))?;
    let hash = passwords.hash(password).await?;
    let account = Account {
        id: AccountId::generate(),
        name,
        kind: AccountKind::User,
        role: Role::Owner,
        scopes: Scopes::all(),
        grants: Vec::new(),
        proof: Proof { password: Some(hash), secret: None },
        subject: None,
        epoch: 0,
        disabled: false,
        created_at: Timestamp::now(),
        expires_at: None,
    };
    directory.add(account).await.context("make the first owner")?;
    tracing::info!(name = NAME, "there was no owner: one was made");
    Ok(made_up.map_or(FirstOwner::Made, |password| FirstOwner::MadeUp { name: NAME, password }))
}

/// Four groups of six letters and digits.
fn make_up() -> Result<String, getrandom::Error> {
    let mut bytes = [0; BYTES];
    getrandom::fill(&mut bytes)?;
    let text = BASE32_NOPAD.encode(&bytes).to_ascii_lowercase();
    let groups: Vec<_> = (0..4).map(|group| &text[group * 6..group * 6 + 6]).collect();
    Ok(groups.join("-"))
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;
    use crate::config::DatabaseSettings;
    use crate::database::Database;
    use crate::identity::ShownPassword;

    async fn directory(folder: &tempfile::TempDir) -> Directory {
        let database = Database::open(&DatabaseSettings::default(), folder.path()).await.unwrap();
        Directory::open(&database).await.unwrap()
    }

    #[tokio::test]
    async fn c22_a_password_that_is_made_up_is_never_the_same_and_told_once() {
        let folder = tempfile::tempdir().unwrap();
        let directory = directory(&folder).await;
        let passwords = Passwords::default();
        let made = ensure_owner(&directory, &passwords, None).await.unwrap();
        let FirstOwner::MadeUp { name, password } = made else { panic!("it was made up") };
        assert_eq!((name, password.len()), ("owner", 27));
        assert_ne!(password, make_up().unwrap());
        let hash = directory.named("owner").unwrap().proof.password.clone();
        assert!(passwords.verify(hash, ShownPassword::from(password)).await.unwrap());
        let again = ensure_owner(&directory, &passwords, Some("another one".to_owned())).await;
        assert!(matches!(again, Ok(FirstOwner::IsThere)));
    }

    #[tokio::test]
    async fn c22_a_given_password_that_anybody_would_guess_stops_the_start() {
        let folder = tempfile::tempdir().unwrap();
        let directory = directory(&folder).await;
        let passwords = Passwords::default();
        for (given, why) in [("short", "8 to 200"), ("sunshine", "tries"), ("owner2026", "name")] {
            let made = ensure_owner(&directory, &passwords, Some(given.to_owned()));
            let error = format!("{:#}", made.await.err().unwrap());
            assert!(error.starts_with("read LATCHLIGHT_OWNER_PASSWORD: "), "{error}");
            assert!(error.contains(why) && !error.contains(given), "{error}");
        }
        assert!(!directory.has_owner());
    }
}
