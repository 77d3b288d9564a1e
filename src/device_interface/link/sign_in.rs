//! Who is let in to the embedded broker, and as whom.

use std::sync::Arc;

use jiff::Timestamp;
use latchlight_broker::ledger::Ledger;
use latchlight_broker::{Access as _, ConnectRequest, ReasonCode};

use super::client::{Client, device_of, is_of_app, is_of_device, owners_of};
use crate::events::Events;
use crate::identity::devices::{DeviceCredentials, Pairing};
use crate::identity::failures::Failures;
use crate::identity::{Account, Directory, KeySecret, Passwords, Permissions, ShownPassword};
use crate::state::{DeviceId, State};

/// What the embedded broker knows of those who may sign in to it.
#[derive(Clone)]
pub struct Admission {
    /// What devices show.
    pub credentials: DeviceCredentials,
    /// Whether a new one may join.
    pub pairing: Pairing,
    /// Which devices there are.
    pub state: State,
    /// Every account.
    pub directory: Directory,
    /// What accounts may see.
    pub permissions: Permissions,
    /// Where passwords are checked.
    pub passwords: Passwords,
    /// Who has failed too often.
    pub failures: Arc<Failures>,
    /// Who may do what outside the prefix.
    pub ledger: Option<Ledger>,
    /// Where it is recorded who is let in, and who is not.
    pub events: Events,
}

/// Why somebody is not let in: what it is told, and what is logged.
pub(super) struct NotLetIn {
    pub(super) reason: ReasonCode,
    pub(super) why: String,
}

/// The user name of a device that wants to join.
const JOIN: &str = "join";

/// The same for whoever is unknown and whatever is wrong.
const WRONG: ReasonCode = ReasonCode::BadUserNameOrPassword;

impl Admission {
    /// Who somebody is that connects.
    pub(super) async fn identify(
        &self,
        request: &ConnectRequest<'_>,
    ) -> Result<Arc<str>, NotLetIn> {
        if let Some(device) = self.device_of_certificate(request) {
            return identify_device(request, &device);
        }
        let (Some(name), Some(password)) = (request.username, request.password) else {
            return match &self.ledger {
                Some(ledger) => self.identify_by(ledger, request).await,
                None => Err(not_let_in(WRONG, "it shows no user name and password")),
            };
        };
        // Nobody guesses a secret, so that nobody who has one is ever throttled.
        if let Some(device) = self.credentials.device(name, password) {
            return identify_device(request, &device);
        }
        if name == JOIN {
            return self.identify_new(request, password);
        }
        if let Some(key) = self.key_of(name, password) {
            return self.identify_account(Some(key), request, password).await;
        }
        let address = request.address.map(|address| address.ip());
        let attempt = self.failures.begin(name, address);
        let attempt = attempt.map_err(|_| not_let_in(WRONG, "it has failed too often"))?;
        let identity = match (self.directory.named(name), &self.ledger) {
            (None, Some(ledger)) => self.identify_by(ledger, request).await?,
            (account, _) => self.identify_account(account, request, password).await?,
        };
        attempt.succeed();
        Ok(identity)
    }

    /// The device whose certificate the client has shown in the handshake, and
    /// no password beside it. It has to have credentials here, too: who may be
    /// let in is said in one place, and taken back there (C11).
    fn device_of_certificate(&self, request: &ConnectRequest<'_>) -> Option<DeviceId> {
        let name = request.certificate?.common_name.as_deref()?;
        let is_its_own = request.username.is_none_or(|user| user == name);
        let is_alone = request.password.is_none_or(<[u8]>::is_empty);
        let is_known = self.credentials.get(name).is_some();
        if is_its_own && is_alone && is_known { name.parse().ok() } else { None }
    }

    /// A device that shows a join code, under the id that it wants to have.
    fn identify_new(
        &self,
        request: &ConnectRequest<'_>,
        code: &[u8],
    ) -> Result<Arc<str>, NotLetIn> {
        let wrong = |why: &str| not_let_in(WRONG, why);
        let id: DeviceId =
            request.client_id.parse().map_err(|_| wrong("its client id can be no device's"))?;
        if !request.clean_start {
            return Err(wrong("whoever joins begins with a clean session"));
        }
        let address = request.address.map(|address| address.ip());
        let attempt = self.failures.begin(&format!("{JOIN} {id}"), address);
        let attempt = attempt.map_err(|_| wrong("it has failed too often"))?;
        if self.state.is_known(id.as_str()) || self.credentials.get(id.as_str()).is_some() {
            return Err(wrong("there is such a device already"));
        }
        if !self.pairing.show(code, &id) {
            return Err(wrong("a wrong join code, or pairing is not open"));
        }
        attempt.succeed();
        Ok(Client::Joining(id.as_str()).identity())
    }

    async fn identify_account(
        &self,
        account: Option<Arc<Account>>,
        request: &ConnectRequest<'_>,
        password: &[u8],
    ) -> Result<Arc<str>, NotLetIn> {
        let is_right = self.is_right(account.as_deref(), password).await?;
        let Some(account) = account.filter(|account| is_right && account.is_open(Timestamp::now()))
        else {
            return Err(not_let_in(WRONG, "a wrong user name or password"));
        };
        let name = &account.name;
        if !is_of_app(request, name) {
            let why = format!("the client ids of {name} are `{name}`, `{name}.…`, or none");
            return Err(not_let_in(ReasonCode::ClientIdentifierNotValid, why));
        }
        self.refuse_client_id_of_another(request, Some(&account))?;
        Ok(Client::App(name.as_str()).identity())
    }

    /// The API key of this name, if this is its secret.
    fn key_of(&self, name: &str, shown: &[u8]) -> Option<Arc<Account>> {
        let secret: KeySecret = std::str::from_utf8(shown).ok()?.parse().ok()?;
        let key = self.directory.of_secret(&secret)?;
        key.name.as_str().eq_ignore_ascii_case(name).then_some(key)
    }

    /// Whether this is an account's password, or its secret; to find that out
    /// takes as long where there is no such account.
    async fn is_right(&self, account: Option<&Account>, shown: &[u8]) -> Result<bool, NotLetIn> {
        let Ok(shown) = std::str::from_utf8(shown) else { return Ok(false) };
        if let Ok(secret) = shown.parse::<KeySecret>() {
            let of_secret = self.directory.of_secret(&secret);
            return Ok(of_secret.is_some_and(|own| account.is_some_and(|named| own.id == named.id)));
        }
        let hash = account.and_then(|account| account.proof.password.clone());
        let shown = ShownPassword::from(shown.to_owned());
        let verified = self.passwords.verify(hash, shown).await;
        verified.map_err(|error| not_let_in(ReasonCode::ServerBusy, error.to_string()))
    }

    async fn identify_by(
        &self,
        ledger: &Ledger,
        request: &ConnectRequest<'_>,
    ) -> Result<Arc<str>, NotLetIn> {
        let user = ledger.authenticate(request).await;
        let user = user.map_err(|reason| match reason {
            ReasonCode::ServerBusy => not_let_in(reason, "too many passwords are being checked"),
            _ => not_let_in(WRONG, "a wrong user name or password"),
        })?;
        self.refuse_client_id_of_another(request, None)?;
        Ok(Client::Ledger(&user).identity())
    }

    /// C10: nobody else takes a device's client id from it, or an account's.
    fn refuse_client_id_of_another(
        &self,
        request: &ConnectRequest<'_>,
        account: Option<&Account>,
    ) -> Result<(), NotLetIn> {
        if request.is_client_id_assigned || self.is_free_for(request.client_id, account) {
            return Ok(());
        }
        let why = "its client id is a device's, or another account's";
        Err(not_let_in(ReasonCode::ClientIdentifierNotValid, why))
    }

    /// Whether this client id is no device's, and no other account's than this
    /// one's.
    pub(super) fn is_free_for(&self, client_id: &str, account: Option<&Account>) -> bool {
        let is_of_device = self.credentials.get(device_of(client_id)).is_some();
        let owner = owners_of(client_id).find_map(|name| self.directory.named(name));
        let is_its_own = owner.is_none_or(|owner| account.is_some_and(|own| own.id == owner.id));
        !is_of_device && is_its_own
    }
}

fn identify_device(request: &ConnectRequest<'_>, device: &DeviceId) -> Result<Arc<str>, NotLetIn> {
    if !is_of_device(request.client_id, device) {
        let why = format!("the client ids of {device} are `{device}` and `{device}.…`");
        return Err(not_let_in(ReasonCode::ClientIdentifierNotValid, why));
    }
    Ok(Client::Device(device.as_str()).identity())
}

fn not_let_in(reason: ReasonCode, why: impl Into<String>) -> NotLetIn {
    NotLetIn { reason, why: why.into() }
}
