//! The provider: what is known of it, and the two steps of a sign-in.

use std::sync::Arc;
use std::time::{Duration, Instant};

use anyhow::Context as _;
use data_encoding::BASE32_NOPAD;
use openidconnect::core::{
    CoreAuthDisplay, CoreAuthenticationFlow, CoreClaimName, CoreClaimType, CoreClient,
    CoreClientAuthMethod, CoreGrantType, CoreJsonWebKey, CoreJweContentEncryptionAlgorithm,
    CoreJweKeyManagementAlgorithm, CoreJwsSigningAlgorithm, CoreResponseMode, CoreResponseType,
    CoreSubjectIdentifierType,
};
use openidconnect::{
    AdditionalProviderMetadata, AuthType, AuthorizationCode, ClientId, ClientSecret, CsrfToken,
    EndpointMaybeSet, EndpointNotSet, EndpointSet, IssuerUrl, Nonce, OAuth2TokenResponse as _,
    PkceCodeChallenge, ProviderMetadata, RedirectUrl, RequestTokenError, Scope, TokenResponse as _,
};
use serde::{Deserialize, Serialize};
use tokio::sync::{Mutex, Semaphore};
use utoipa::IntoParams;

use super::https::Https;
use super::id_token::{IdToken, Unproven};
use super::pending::{self, Pending, Way};
use super::{Person, ProviderError};
use crate::config::OidcSettings;

/// How long what is known of the provider counts.
const KNOWN_FOR: Duration = Duration::from_secs(60 * 60);

/// How long it takes at least until its keys are asked for again, because one
/// is shown that is not among them.
const KEYS_EVERY: Duration = Duration::from_secs(30);

/// How long a provider that gave no answer is not asked again.
const AWAY_FOR: Duration = Duration::from_secs(5);

/// How many may be waiting for the provider at once; one more is told so.
const AT_ONCE: usize = 16;

/// Keys that only the provider has. With a shared secret (HS256) or none, others
/// could make tokens.
const ALGORITHMS: [CoreJwsSigningAlgorithm; 9] = [
    CoreJwsSigningAlgorithm::RsaSsaPkcs1V15Sha256,
    CoreJwsSigningAlgorithm::RsaSsaPkcs1V15Sha384,
    CoreJwsSigningAlgorithm::RsaSsaPkcs1V15Sha512,
    CoreJwsSigningAlgorithm::RsaSsaPssSha256,
    CoreJwsSigningAlgorithm::RsaSsaPssSha384,
    CoreJwsSigningAlgorithm::RsaSsaPssSha512,
    CoreJwsSigningAlgorithm::EcdsaP256Sha256,
    CoreJwsSigningAlgorithm::EcdsaP384Sha384,
    CoreJwsSigningAlgorithm::EdDsa,
];

/// A provider; cheap to clone.
#[derive(Clone)]
pub struct Provider(Arc<Inner>);

struct Inner {
    issuer: IssuerUrl,
    client_id: ClientId,
    client_secret: Option<ClientSecret>,
    scopes: Vec<Scope>,
    button: String,
    match_email: bool,
    https: Https,
    known: Mutex<Known>,
    at_once: Semaphore,
    pending: Pending,
}

/// What the provider has said of itself.
#[derive(Default)]
struct Known {
    metadata: Option<(Arc<Metadata>, Instant)>,
    /// When it was asked for newer keys last.
    renewed: Option<Instant>,
    away: Option<(String, Instant)>,
}

/// What is read of a provider beside the usual (RFC 9207, 3).
#[derive(Debug, Clone, Serialize, Deserialize)]
struct Additional {
    #[serde(default)]
    authorization_response_iss_parameter_supported: bool,
}

impl AdditionalProviderMetadata for Additional {}

type Metadata = ProviderMetadata<
    Additional,
    CoreAuthDisplay,
    CoreClientAuthMethod,
    CoreClaimName,
    CoreClaimType,
    CoreGrantType,
    CoreJweContentEncryptionAlgorithm,
    CoreJweKeyManagementAlgorithm,
    CoreJsonWebKey,
    CoreResponseMode,
    CoreResponseType,
    CoreSubjectIdentifierType,
>;

type Client = CoreClient<
    EndpointSet,
    EndpointNotSet,
    EndpointNotSet,
    EndpointNotSet,
    EndpointMaybeSet,
    EndpointMaybeSet,
>;

/// A sign-in that has begun.
#[derive(Debug)]
pub struct Begun {
    /// Where the person goes now.
    pub url: String,
    /// What their browser has to show when they come back.
    pub browser: String,
    /// How long they may take.
    pub lifetime: Duration,
}

/// What somebody comes back with from the provider.
#[derive(Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
pub struct Answer {
    /// By which the server knows that it sent them there.
    state: Option<String>,
    /// Good once, for who they are.
    code: Option<String>,
    /// Why there is none.
    error: Option<String>,
    /// Who has sent them back (RFC 9207).
    iss: Option<String>,
}

impl Provider {
    /// The provider of these settings, if there is one. It is not asked for
    /// anything before somebody wants to sign in there.
    ///
    /// # Errors
    /// A file cannot be read.
    pub fn open(settings: &OidcSettings) -> anyhow::Result<Option<Self>> {
        let (Some(issuer), Some(client_id)) = (&settings.issuer, &settings.client_id) else {
            return Ok(None);
        };
        let issuer = IssuerUrl::new(issuer.clone()).context("read oidc.issuer")?;
        let client_secret = match &settings.client_secret_file {
            Some(file) => {
                let what = || format!("read oidc.client_secret_file {}", file.display());
                Some(std::fs::read_to_string(file).with_context(what)?.trim().to_owned())
            }
            None => settings.client_secret.clone(),
        };
        let host = || issuer.url().host_str().unwrap_or_default().to_owned();
        Ok(Some(Self(Arc::new(Inner {
            client_id: ClientId::new(client_id.clone()),
            client_secret: client_secret.map(ClientSecret::new),
            scopes: settings.scopes.iter().cloned().map(Scope::new).collect(),
            button: settings.button.clone().unwrap_or_else(host),
            match_email: settings.match_email,
            https: Https::new(settings)?,
            known: Mutex::default(),
            at_once: Semaphore::new(AT_ONCE),
            pending: Pending::default(),
            issuer,
        }))))
    }

    /// What the board calls it.
    pub fn button(&self) -> &str {
        &self.0.button
    }

    /// Whether a verified address finds an account, the first time.
    pub(in crate::identity) fn matches_email(&self) -> bool {
        self.0.match_email
    }

    /// Somebody wants to sign in; the provider sends them to `back`.
    pub(in crate::identity) async fn begin(&self, back: String) -> Result<Begun, ProviderError> {
        let Self(inner) = self;
        let _turn = inner.at_once.try_acquire().map_err(|_| ProviderError::Busy)?;
        let metadata = inner.metadata(None).await?;
        let back = RedirectUrl::new(back).map_err(|error| ProviderError::Odd(error.to_string()))?;
        let (challenge, verifier) = PkceCodeChallenge::new_random_sha256();
        let client = inner.client(&metadata).set_redirect_uri(back.clone());
        let flow = CoreAuthenticationFlow::AuthorizationCode;
        let (url, state, nonce) = client
            .authorize_url(flow, CsrfToken::new_random, Nonce::new_random)
            .add_scopes(inner.scopes.iter().cloned())
            .set_pkce_challenge(challenge)
            .url();
        let mut bytes = [0; 20];
        getrandom::fill(&mut bytes).map_err(|error| ProviderError::Odd(error.to_string()))?;
        let browser = BASE32_NOPAD.encode(&bytes).to_ascii_lowercase();
        let way = Way { browser: pending::digest(&browser), nonce, verifier, back };
        inner.pending.add(state.secret(), way, Instant::now());
        Ok(Begun { url: url.into(), browser, lifetime: pending::LIFETIME })
    }

    /// Somebody comes back, and shows what the browser was given that began.
    pub(in crate::identity) async fn finish(
        &self,
        answer: Answer,
        browser: Option<String>,
    ) -> Result<Person, ProviderError> {
        let Self(inner) = self;
        let state = answer.state.as_deref().ok_or(ProviderError::Stale)?;
        let way = inner.pending.take(state, &browser.unwrap_or_default(), Instant::now());
        let way = way.ok_or(ProviderError::Stale)?;
        let _turn = inner.at_once.try_acquire().map_err(|_| ProviderError::Busy)?;
        let asked_at = Instant::now();
        let metadata = inner.metadata(None).await?;
        inner.check_sender(&metadata, answer.iss.as_deref())?;
        if let Some(error) = answer.error {
            return Err(ProviderError::Denied(plain(&error)));
        }
        let code = answer.code.ok_or_else(|| ProviderError::Odd("it has no code".to_owned()))?;
        let token = inner.exchange(&metadata, way, code).await?;
        match inner.person(&metadata, &token) {
            Ok(person) => Ok(person),
            // The provider may have a new key by now.
            Err(Unproven::Signature(why)) => {
                let newer = inner.metadata(Some(asked_at)).await?;
                if newer.jwks() == metadata.jwks() {
                    return Err(ProviderError::Odd(why));
                }
                inner.person(&newer, &token).map_err(|unproven| match unproven {
                    Unproven::Signature(why) => ProviderError::Odd(why),
                    Unproven::Odd(error) => error,
                })
            }
            Err(Unproven::Odd(error)) => Err(error),
        }
    }
}

impl Inner {
    /// What is known of the provider; asked of it anew when that is old, or not
    /// as new as `newer_than`, though not all the time.
    async fn metadata(&self, newer_than: Option<Instant>) -> Result<Arc<Metadata>, ProviderError> {
        // Who waits here is one of AT_ONCE.
        let mut known = self.known.lock().await;
        if let Some((metadata, since)) = &known.metadata {
            let was_just_asked = known.renewed.is_some_and(|at| at.elapsed() < KEYS_EVERY);
            let is_new = match newer_than {
                Some(moment) => *since > moment || was_just_asked,
                None => since.elapsed() < KNOWN_FOR,
            };
            if is_new {
                return Ok(metadata.clone());
            }
        }
        known.renewed = newer_than.map(|_| Instant::now()).or(known.renewed);
        let old = known.metadata.as_ref().map(|(metadata, _)| metadata.clone());
        if let Some((why, since)) = &known.away
            && since.elapsed() < AWAY_FOR
        {
            return old.ok_or_else(|| ProviderError::Away(why.clone()));
        }
        match Metadata::discover_async(self.issuer.clone(), &self.https).await {
            Ok(metadata) => {
                let metadata = Arc::new(metadata);
                known.metadata = Some((metadata.clone(), Instant::now()));
                known.away = None;
                Ok(metadata)
            }
            Err(error) => {
                let why = crate::telemetry::one_line(&anyhow::Error::new(error));
                tracing::warn!(%why, "the OpenID Connect provider does not say what it is");
                known.away = Some((why.clone(), Instant::now()));
                old.ok_or(ProviderError::Away(why))
            }
        }
    }

    fn client(&self, metadata: &Metadata) -> Client {
        let (id, secret) = (self.client_id.clone(), self.client_secret.clone());
        let client = CoreClient::from_provider_metadata(metadata.clone(), id, secret);
        let methods = metadata.token_endpoint_auth_methods_supported();
        let takes_basic = methods
            .is_none_or(|methods| methods.contains(&CoreClientAuthMethod::ClientSecretBasic));
        let shown = if takes_basic { AuthType::BasicAuth } else { AuthType::RequestBody };
        client.set_auth_type(shown)
    }

    /// Another provider may have sent them here (RFC 9207, 2.4).
    fn check_sender(&self, metadata: &Metadata, sender: Option<&str>) -> Result<(), ProviderError> {
        let must = metadata.additional_metadata().authorization_response_iss_parameter_supported;
        match sender {
            Some(sender) if sender == self.issuer.as_str() => Ok(()),
            None if !must => Ok(()),
            _ => Err(ProviderError::Odd("it comes from another provider (iss)".to_owned())),
        }
    }

    /// Of whom the token speaks, by the keys that are known.
    fn person(&self, metadata: &Metadata, token: &IdToken) -> Result<Person, Unproven> {
        let client = self.client(metadata);
        let verifier = client.id_token_verifier().set_allowed_algs(ALGORITHMS);
        token.person(&verifier, &self.client_id)
    }

    /// The code for what the provider says of the person.
    async fn exchange(
        &self,
        metadata: &Metadata,
        way: Way,
        code: String,
    ) -> Result<IdToken, ProviderError> {
        let client = self.client(metadata).set_redirect_uri(way.back);
        let request = client.exchange_code(AuthorizationCode::new(code));
        let request =
            request.map_err(|_| ProviderError::Odd("it has no token endpoint".to_owned()))?;
        let answer = request.set_pkce_verifier(way.verifier).request_async(&self.https).await;
        let tokens = answer.map_err(|error| match error {
            RequestTokenError::Request(error) => ProviderError::Away(error.to_string()),
            RequestTokenError::ServerResponse(error) => {
                ProviderError::Odd(format!("the code: {}", plain(error.error().as_ref())))
            }
            RequestTokenError::Parse(..) | RequestTokenError::Other(_) => {
                ProviderError::Odd("its tokens cannot be read".to_owned())
            }
        })?;
        let token = tokens.id_token().cloned();
        let token = token.ok_or_else(|| ProviderError::Odd("it has no ID token".to_owned()))?;
        Ok(IdToken { token, access: tokens.access_token().clone(), nonce: way.nonce })
    }
}

/// A word of the provider's, as errors have them.
fn plain(error: &str) -> String {
    let fits = |char: &char| char.is_ascii_alphanumeric() || "_-.".contains(*char);
    error.chars().filter(fits).take(60).collect()
}
