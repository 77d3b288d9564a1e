//! An ID token, and what is checked of it (OpenID Connect Core 1.0, 3.1.3.7).
//!
//! `openidconnect` checks the issuer, the signature, the end and the nonce, and
//! refuses whatever is also for others: nobody else's audience is trusted here.
//! It leaves to its caller whom a token was given to (`azp`), and whether the
//! access token beside it is the one that belongs to it (`at_hash`, 3.1.3.8).

use openidconnect::core::{CoreIdToken, CoreIdTokenClaims, CoreIdTokenVerifier};
use openidconnect::{AccessToken, AccessTokenHash, ClaimsVerificationError, ClientId, Nonce};

use super::{Person, ProviderError};

/// What came for a code.
pub(super) struct IdToken {
    pub(super) token: CoreIdToken,
    /// What came beside it. It is used for nothing: that it is another one than
    /// the provider gave says that somebody has mixed two answers.
    pub(super) access: AccessToken,
    /// What the sign-in began with.
    pub(super) nonce: Nonce,
}

/// Why a token vouches for nobody.
pub(super) enum Unproven {
    /// By these keys nobody has signed it; there may be newer ones.
    Signature(String),
    /// It is not to be believed, whoever signed it.
    Odd(ProviderError),
}

impl IdToken {
    /// Of whom it speaks, if all of it is in order.
    pub(super) fn person(
        &self,
        verifier: &CoreIdTokenVerifier<'_>,
        client: &ClientId,
    ) -> Result<Person, Unproven> {
        let claims = self.token.claims(verifier, &self.nonce).map_err(of_claims)?;
        check_party(claims, client).map_err(odd)?;
        self.check_access(claims, verifier)?;
        Person::of(claims).map_err(Unproven::Odd)
    }

    /// 3.1.3.8: the hash is of the access token that came with it. A provider
    /// need not say it here.
    fn check_access(
        &self,
        claims: &CoreIdTokenClaims,
        verifier: &CoreIdTokenVerifier<'_>,
    ) -> Result<(), Unproven> {
        let Some(said) = claims.access_token_hash() else { return Ok(()) };
        let unsigned = |why: openidconnect::SignatureVerificationError| odd(&why.to_string());
        let key = self.token.signing_key(verifier).map_err(unsigned)?;
        let algorithm = self.token.signing_alg().map_err(unsigned)?;
        let is = AccessTokenHash::from_token(&self.access, algorithm, key);
        if is.map_err(|why| odd(&why.to_string()))? == *said {
            Ok(())
        } else {
            Err(odd("the access token is another one (at_hash)"))
        }
    }
}

/// 3.1.3.7, 4 and 5: whom it was given to, where it says so, is this client; and
/// where it is for several, it says so.
fn check_party(claims: &CoreIdTokenClaims, client: &ClientId) -> Result<(), &'static str> {
    match claims.authorized_party() {
        Some(party) if party == client => Ok(()),
        Some(_) => Err("it was given to somebody else (azp)"),
        None if claims.audiences().len() > 1 => Err("it does not say whom it was given to (azp)"),
        None => Ok(()),
    }
}

fn odd(why: &str) -> Unproven {
    Unproven::Odd(ProviderError::Odd(why.to_owned()))
}

fn of_claims(error: ClaimsVerificationError) -> Unproven {
    match error {
        ClaimsVerificationError::SignatureVerification(why) => {
            Unproven::Signature(format!("its signature: {why}"))
        }
        // It has the nonce in it.
        ClaimsVerificationError::InvalidNonce(_) => odd("the nonce is another one"),
        error => odd(&error.to_string()),
    }
}
