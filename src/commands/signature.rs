//! How a command is signed, for devices that check what they are told: by a
//! key that the device and the server alone know, and with a number that no
//! other command of the device has.

use super::Dispatch;
use super::counter::Counter;
use crate::database::Database;
use crate::identity::devices::{CommandKey, DeviceCredentials};
use crate::state::Device;

/// What follows the expiry of a signed command.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Signature {
    /// Higher than that of every command before it.
    pub(super) counter: i64,
    /// HMAC-SHA-256 of all that stands before it, in hexadecimal.
    pub(super) hmac: String,
}

/// Signs the commands of those devices that have a key.
pub(super) struct Signer {
    credentials: DeviceCredentials,
    counter: Counter,
}

impl Signer {
    pub(super) fn new(database: &Database, credentials: DeviceCredentials) -> Self {
        Self { credentials, counter: Counter::new(database.pool.clone()) }
    }

    /// A command as it leaves. Whoever has a key gets it signed, whatever was
    /// said in its name: nobody on the broker can talk it out of that.
    ///
    /// # Errors
    /// It wants it signed and cannot have that; and why.
    pub(super) async fn sign(
        &self,
        device: &Device,
        mut dispatch: Dispatch,
    ) -> Result<Dispatch, String> {
        let Some(key) = self.credentials.command_key(&device.id) else {
            if device.features.signed {
                return Err(format!(
                    "{} takes signed commands only, and has no key: give it new credentials",
                    device.id
                ));
            }
            return Ok(dispatch);
        };
        let counter = self.counter.next().await;
        let counter = counter.map_err(|error| format!("it could not be signed: {error}"))?;
        dispatch.signature = Some(Signature::of(&dispatch, counter, &key));
        Ok(dispatch)
    }
}

impl Signature {
    fn of(dispatch: &Dispatch, counter: i64, key: &CommandKey) -> Self {
        let hmac = key.sign(format!("{dispatch} {counter}").as_bytes());
        Self { counter, hmac }
    }
}
