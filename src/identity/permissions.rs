//! Who may call an action, and who may operate or see a device. Asked each
//! time anew: what was taken away meanwhile is gone, whatever token is still
//! valid (SAFETY C23).

use std::collections::BTreeMap;
use std::sync::Arc;

use jiff::Timestamp;
use latchlight_plugin_api::ActionInfo;

use super::account::operating_scope;
use super::{Account, AccountId, Directory, Identity, Principal, Role, Scope, Scopes, View, Who};
use crate::commands::Verb;
use crate::config::DeviceSettings;
use crate::state::{Device, DeviceId};

/// What the accounts and config.json grant; cheap to clone.
#[derive(Clone)]
pub struct Permissions {
    directory: Directory,
    devices: Arc<BTreeMap<DeviceId, DeviceSettings>>,
}

impl Permissions {
    /// The grants of these accounts and these settings.
    pub fn new(directory: Directory, devices: BTreeMap<DeviceId, DeviceSettings>) -> Self {
        Self { directory, devices: Arc::new(devices) }
    }

    /// An account as it is now, for all that it is allowed; nothing: there is
    /// none of this very name that is let in.
    pub fn app(&self, name: &str) -> Option<Who> {
        let account = self.directory.named(name)?;
        let is_it = account.name.as_str() == name && account.is_open(Timestamp::now());
        is_it.then(|| Who::account(&account, account.allowed_scopes()))
    }

    /// Whether somebody is still let in for this.
    ///
    /// # Errors
    /// Not, and why.
    pub fn may(&self, principal: &Principal, scope: Scope) -> Result<(), String> {
        self.may_any(principal, Scopes::from_iter([scope]))
    }

    /// The same where one of these scopes is enough.
    ///
    /// # Errors
    /// Not, and why.
    pub fn may_any(&self, principal: &Principal, wanted: Scopes) -> Result<(), String> {
        match &principal.who {
            Who::Operator => Ok(()),
            Who::Account { id, epoch, scopes, .. } => {
                let account = self.account(*id, *epoch)?;
                has_any(*scopes, &account, wanted)
            }
            Who::Device(_) | Who::Plugin(_) | Who::Topic(_) => {
                Err(format!("{principal} has no scope {}", one_of(wanted)))
            }
        }
    }

    /// Whether this is still allowed on behalf of whoever asked for it earlier, by
    /// [`Principal::key`]: as the account is now, through whatever it was let in
    /// then.
    ///
    /// # Errors
    /// Not, and why.
    pub fn may_still(&self, key: &str, scope: Scope) -> Result<(), String> {
        if key == Principal::operator().key() {
            return Ok(());
        }
        let id = key.strip_prefix("account:").and_then(|id| id.parse().ok());
        let account = id.and_then(|id| self.directory.get(id)).ok_or("the account is gone")?;
        if !account.is_open(Timestamp::now()) {
            return Err(format!("the account {} is closed", account.name));
        }
        has(account.allowed_scopes(), &account, scope)
    }

    /// Whether somebody may call an action; `joined` tells whether a device is
    /// in the roster.
    ///
    /// # Errors
    /// Not, and why.
    pub fn may_call(
        &self,
        info: &ActionInfo,
        principal: &Principal,
        joined: bool,
    ) -> Result<(), String> {
        let name = &info.name;
        let callers = info.callers;
        match &principal.who {
            Who::Device(_) if callers.unjoined_devices => Ok(()),
            Who::Device(id) if (callers.devices || callers.granted_devices) && !joined => {
                Err(format!("`{id}` has not joined: say `hand_shake <kind>` first"))
            }
            // Whether it is granted is decided device by device, and recorded.
            Who::Device(_) if callers.devices || callers.granted_devices => Ok(()),
            Who::Device(_) => Err(format!("a device may not `{name}`")),
            Who::Operator if callers.apps => Ok(()),
            Who::Account { id, epoch, scopes, .. } if callers.apps => {
                let account = self.account(*id, *epoch)?;
                has_any(*scopes, &account, calling_scopes(name))
            }
            Who::Operator | Who::Account { .. } => Err(format!("an app may not `{name}`")),
            Who::Plugin(_) if callers.apps => Ok(()),
            Who::Plugin(_) => Err(format!("a plugin may not `{name}`")),
            Who::Topic(_) => Err(format!("`{name}` is not for whoever speaks there")),
        }
    }

    /// Whether somebody may have this done to that device (rule 7: a device
    /// operates no other unless config.json grants it).
    ///
    /// # Errors
    /// Not, and why.
    pub fn may_operate(
        &self,
        principal: &Principal,
        verb: Verb,
        device: &Device,
    ) -> Result<(), String> {
        let id = &device.id;
        match &principal.who {
            Who::Operator => Ok(()),
            // What a plugin is granted was checked where it asked.
            Who::Plugin(_) => Ok(()),
            Who::Account { id: account, epoch, scopes, name } => {
                let account = self.account(*account, *epoch)?;
                has(*scopes, &account, operating_scope(device.kind))?;
                if account.may_operate(verb, device, Timestamp::now()) {
                    Ok(())
                } else {
                    Err(format!("nothing grants {name} to `{verb}` {id} now"))
                }
            }
            Who::Device(operator) => {
                let granted = self.devices.get(operator.as_str());
                if granted.is_some_and(|settings| settings.grants(verb, id)) {
                    Ok(())
                } else {
                    Err(format!("config.json does not grant {operator} to `{verb}` {id}"))
                }
            }
            Who::Topic(_) => Err(format!("nobody known asked to `{verb}` {id}")),
        }
    }

    /// Whether config.json lets a keypad ask for this, on behalf of a person
    /// whose PIN code it shows. What the person may do is another question.
    pub fn may_ask_for(&self, keypad: &DeviceId, verb: Verb, device: &DeviceId) -> bool {
        let granted = self.devices.get(keypad.as_str());
        granted.is_some_and(|settings| settings.grants_with_pin(verb, device))
    }

    /// Whether somebody may see this device, and what becomes of it.
    pub fn may_see(&self, principal: &Principal, device: &DeviceId) -> bool {
        match &principal.who {
            Who::Operator => true,
            Who::Account { id, epoch, .. } => {
                let account = self.account(*id, *epoch);
                account.is_ok_and(|account| account.may_see(device, Timestamp::now()))
            }
            Who::Device(id) => id == device,
            Who::Plugin(_) | Who::Topic(_) => false,
        }
    }

    /// What somebody may know of what became of this device; nothing: they may
    /// not see it now.
    pub fn view(&self, principal: &Principal, device: &DeviceId) -> Option<View> {
        match &principal.who {
            Who::Account { id, epoch, .. } => {
                let account = self.account(*id, *epoch).ok()?;
                let sees = account.may_see(device, Timestamp::now());
                sees.then(|| View::of(account, device))
            }
            _ => self.may_see(principal, device).then_some(View::WHOLE),
        }
    }

    /// Whether a device is not there at all for somebody who names it. What
    /// others than accounts may not do to it is refused, and recorded.
    pub fn is_hidden(&self, principal: &Principal, device: &DeviceId) -> bool {
        matches!(principal.who, Who::Account { .. }) && !self.may_see(principal, device)
    }

    /// Whether somebody sees everything there is, whatever device it is about.
    pub fn sees_everything(&self, principal: &Principal) -> bool {
        match &principal.who {
            Who::Operator => true,
            Who::Account { id, epoch, .. } => {
                self.account(*id, *epoch).is_ok_and(|account| account.role == Role::Owner)
            }
            Who::Device(_) | Who::Plugin(_) | Who::Topic(_) => false,
        }
    }

    /// Whether somebody sees every device at this moment, also one that joins
    /// later.
    pub fn sees_every_device(&self, principal: &Principal) -> bool {
        match &principal.who {
            Who::Operator => true,
            Who::Account { id, epoch, .. } => {
                let account = self.account(*id, *epoch);
                account.is_ok_and(|account| account.sees_every_device(Timestamp::now()))
            }
            Who::Device(_) | Who::Plugin(_) | Who::Topic(_) => false,
        }
    }

    /// The accounts that are told of alerts about this device by themselves: they
    /// see it, and not every one.
    pub fn told_of_alerts_about(&self, device: &DeviceId) -> Vec<Identity> {
        let now = Timestamp::now();
        let mut accounts = self.directory.list();
        accounts.retain(|account| {
            let scopes = account.allowed_scopes();
            account.is_open(now)
                && scopes.has(Scope::DevicesRead)
                && scopes.has(Scope::PicturesRead)
                && !account.sees_every_device(now)
                && account.may_see(device, now)
        });
        accounts.iter().map(|account| account.name.clone()).collect()
    }

    /// Whether a device that asks for alerts is told of one about that device,
    /// or about none.
    pub fn is_told_of_alerts(&self, device: &DeviceId, about: Option<&DeviceId>) -> bool {
        if about == Some(device) {
            return true;
        }
        let settings = self.devices.get(device.as_str());
        settings.is_some_and(|settings| settings.hears_alerts_about(about))
    }

    /// The account, if it is still let in as it was.
    fn account(&self, id: AccountId, epoch: u32) -> Result<Arc<Account>, String> {
        let account = self.directory.get(id).ok_or("the account is gone")?;
        if !account.is_open(Timestamp::now()) {
            return Err(format!("the account {} is closed", account.name));
        }
        if account.epoch != epoch {
            return Err(format!("what let {} in was revoked", account.name));
        }
        Ok(account)
    }
}

/// The scopes of which it takes one to have an action performed.
fn calling_scopes(action: &str) -> Scopes {
    let other = Scopes::from_iter([Scope::LightsOperate]);
    // Which of the two it takes depends on each device that is meant.
    let operates = action.parse::<Verb>().is_ok();
    if operates { other.with(Scope::LocksOperate) } else { other }
}

fn has(scopes: Scopes, account: &Account, scope: Scope) -> Result<(), String> {
    has_any(scopes, account, Scopes::from_iter([scope]))
}

fn has_any(scopes: Scopes, account: &Account, wanted: Scopes) -> Result<(), String> {
    if scopes.both(account.allowed_scopes()).both(wanted).is_empty() {
        return Err(format!("{} lacks the scope {}", account.name, one_of(wanted)));
    }
    Ok(())
}

fn one_of(wanted: Scopes) -> String {
    let wanted: Vec<_> = wanted.iter().map(|scope| format!("`{scope}`")).collect();
    wanted.join(" or ")
}
