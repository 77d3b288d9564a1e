//! Access tokens: JWTs as RFC 9068 has them, signed by Ed25519.

use std::sync::Arc;
use std::time::Duration;

use jiff::Timestamp;
use jsonwebtoken::{Algorithm, Header, Validation};
use quick_cache::sync::Cache;
use serde::{Deserialize, Serialize};
use sha2::{Digest as _, Sha256};
use uuid::Uuid;

use super::SigningKeys;
use crate::identity::{AccountId, Scopes};

/// How long a token is good.
pub(in crate::identity) const LIFETIME: Duration = Duration::from_secs(10 * 60);

/// For whom the tokens are.
const AUDIENCE: &str = "latchlight";

/// What a token says of itself that it is.
const TYPE: &str = "at+jwt";

/// The longest that is looked at.
const LONGEST: usize = 2048;

/// How many genuine tokens are remembered; another one is verified anew.
const REMEMBERED: usize = 1024;

/// Makes access tokens, and finds out whether one is genuine.
pub(in crate::identity) struct AccessTokens {
    keys: SigningKeys,
    issuer: String,
    validation: Validation,
    /// By their SHA-256: how long it takes to look one up tells nothing of the
    /// others.
    genuine: Cache<[u8; 32], Arc<Claims>>,
}

/// What a token says; when it is genuine, whatever it is still worth.
#[derive(Debug, Serialize, Deserialize)]
pub(in crate::identity) struct Claims {
    iss: String,
    aud: String,
    /// Who.
    pub(in crate::identity) sub: AccountId,
    iat: i64,
    /// Until when, in Unix seconds.
    pub(in crate::identity) exp: i64,
    /// Which token this is.
    pub(in crate::identity) jti: Uuid,
    /// For what.
    pub(in crate::identity) scope: Scopes,
    /// The account's epoch when it signed in.
    pub(in crate::identity) epoch: u32,
    /// The sign-in that it comes from, where there is one to revoke.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(in crate::identity) sid: Option<Uuid>,
}

impl Claims {
    /// Whether its time is over.
    pub(in crate::identity) fn has_ended(&self) -> bool {
        Timestamp::now().as_second() >= self.exp
    }
}

impl AccessTokens {
    /// `issuer` is the URL of this server.
    pub(in crate::identity) fn new(keys: SigningKeys, issuer: String) -> Self {
        // No other algorithm is taken, whatever the token says.
        let mut validation = Validation::new(Algorithm::EdDSA);
        validation.leeway = 0;
        validation.set_audience(&[AUDIENCE]);
        validation.set_issuer(&[&issuer]);
        validation.set_required_spec_claims(&["exp", "iss", "aud", "sub"]);
        Self { keys, issuer, validation, genuine: Cache::new(REMEMBERED) }
    }

    /// A new token.
    ///
    /// # Errors
    /// It cannot be signed.
    pub(in crate::identity) fn issue(
        &self,
        account: AccountId,
        epoch: u32,
        scopes: Scopes,
        family: Option<Uuid>,
    ) -> anyhow::Result<String> {
        let now = Timestamp::now().as_second();
        let claims = Claims {
            iss: self.issuer.clone(),
            aud: AUDIENCE.to_owned(),
            sub: account,
            iat: now,
            exp: now + LIFETIME.as_secs().cast_signed(),
            jti: Uuid::now_v7(),
            scope: scopes,
            epoch,
            sid: family,
        };
        let key = self.keys.newest();
        let mut header = Header::new(Algorithm::EdDSA);
        header.typ = Some(TYPE.to_owned());
        header.kid = Some(key.name());
        Ok(jsonwebtoken::encode(&header, &claims, &key.signs)?)
    }

    /// What a token says, if it is genuine and has not ended.
    pub(in crate::identity) fn verify(&self, token: &str) -> Option<Arc<Claims>> {
        if token.len() > LONGEST {
            return None;
        }
        let hash: [u8; 32] = Sha256::digest(token).into();
        let verified = match self.genuine.get(&hash) {
            Some(verified) => verified,
            None => {
                let verified = Arc::new(self.verify_signature(token)?);
                self.genuine.insert(hash, verified.clone());
                verified
            }
        };
        (!verified.has_ended()).then_some(verified)
    }

    fn verify_signature(&self, token: &str) -> Option<Claims> {
        let header = jsonwebtoken::decode_header(token).ok()?;
        if header.typ.as_deref() != Some(TYPE) {
            return None;
        }
        let key = self.keys.get(header.kid.as_deref()?)?;
        Some(jsonwebtoken::decode(token, &key.verifies, &self.validation).ok()?.claims)
    }

    /// Changes the keys when it is time.
    ///
    /// # Errors
    /// They cannot be kept.
    pub(in crate::identity) fn rotate_keys(&self) -> anyhow::Result<()> {
        self.keys.rotate(Timestamp::now())
    }
}
