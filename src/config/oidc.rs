//! `oidc`: signing in through an OpenID Connect provider.

use std::fmt;
use std::net::IpAddr;
use std::path::{Path, PathBuf};

use openidconnect::url::{Host, Url};
use serde::Deserialize;

use super::value;

/// The provider at which people sign in, if there is one.
#[derive(Clone, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct OidcSettings {
    /// The URL by which the provider calls itself; nothing: there is none.
    pub issuer: Option<String>,
    /// What this server is called there.
    pub client_id: Option<String>,
    /// What it shows there, beside PKCE, where the provider wants a secret.
    pub client_secret: Option<String>,
    /// The file with that secret, below the folder of config.json where it is
    /// relative.
    pub client_secret_file: Option<PathBuf>,
    /// What is asked for of a person, beside `openid`.
    #[serde(deserialize_with = "value::list")]
    pub scopes: Vec<String>,
    /// What the board calls the provider; without it, by its host.
    pub button: Option<String>,
    /// Whether a verified address binds a person to the account that the owner
    /// has made for that address, the first time.
    pub match_email: bool,
    /// The authority that signed the provider's certificate, as PEM; without
    /// it, the system's.
    pub ca_file: Option<PathBuf>,
}

impl Default for OidcSettings {
    fn default() -> Self {
        Self {
            issuer: None,
            client_id: None,
            client_secret: None,
            client_secret_file: None,
            scopes: vec!["email".to_owned()],
            button: None,
            match_email: true,
            ca_file: None,
        }
    }
}

impl fmt::Debug for OidcSettings {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("OidcSettings")
            .field("issuer", &self.issuer)
            .field("client_id", &self.client_id)
            .field("client_secret", &self.client_secret.is_some())
            .field("client_secret_file", &self.client_secret_file)
            .field("scopes", &self.scopes)
            .field("button", &self.button)
            .field("match_email", &self.match_email)
            .field("ca_file", &self.ca_file)
            .finish()
    }
}

impl OidcSettings {
    /// Puts the files that are relative below the folder of config.json.
    pub fn place_files(&mut self, folder: &Path) {
        for file in [&mut self.client_secret_file, &mut self.ca_file] {
            *file = file.take().map(|file| folder.join(file));
        }
    }

    pub(super) fn check(&self) -> Result<(), String> {
        let Some(issuer) = &self.issuer else {
            return match (&self.client_id, &self.client_secret, &self.client_secret_file) {
                (None, None, None) => Ok(()),
                _ => Err("oidc.issuer: it is missing, and the rest of oidc needs it".to_owned()),
            };
        };
        if !is_issuer(issuer) {
            return Err(format!(
                "oidc.issuer: `{}` is not an https:// URL without a query, such as \
                 https://accounts.google.com (http:// on this machine alone)",
                issuer.escape_default()
            ));
        }
        if self.client_id.as_ref().is_none_or(String::is_empty) {
            return Err("oidc.client_id: it is missing; the provider gives one".to_owned());
        }
        if self.client_secret.is_some() && self.client_secret_file.is_some() {
            return Err("oidc.client_secret and oidc.client_secret_file: one is enough".to_owned());
        }
        let odd = |scope: &String| scope.is_empty() || !scope.bytes().all(|b| b.is_ascii_graphic());
        if let Some(scope) = self.scopes.iter().find(|scope| odd(scope)) {
            return Err(format!("oidc.scopes: `{}` is no scope", scope.escape_default()));
        }
        match &self.button {
            Some(button) if button.trim().is_empty() || button.chars().count() > 40 => {
                Err("oidc.button: it has 1 to 40 characters, such as Google".to_owned())
            }
            _ => Ok(()),
        }
    }
}

fn is_issuer(text: &str) -> bool {
    let Ok(url) = text.parse::<Url>() else { return false };
    let is_bare = url.query().is_none()
        && url.fragment().is_none()
        && url.username().is_empty()
        && url.password().is_none();
    // What goes there without TLS stays on this machine.
    let is_here = match url.host() {
        Some(Host::Domain(name)) => name == "localhost",
        Some(Host::Ipv4(address)) => IpAddr::from(address).is_loopback(),
        Some(Host::Ipv6(address)) => IpAddr::from(address).is_loopback(),
        None => false,
    };
    is_bare && (url.scheme() == "https" && url.has_host() || url.scheme() == "http" && is_here)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_provider_is_spoken_to_by_tls_unless_it_is_on_this_machine() {
        for issuer in [
            "https://accounts.google.com",
            "https://sso.example/realms/house",
            "http://localhost:8081/realms/house",
            "http://127.0.0.1:1",
            "http://[::1]:1/",
        ] {
            assert!(is_issuer(issuer), "{issuer}");
        }
        for issuer in [
            "",
            "google",
            "http://sso.example",
            "http://localhost.example",
            "http://192.168.1.2",
            "ftp://localhost",
            "https://sso.example?x=1",
            "https://sso.example#x",
            "https://me@sso.example",
        ] {
            assert!(!is_issuer(issuer), "{issuer}");
        }
    }

    #[test]
    fn c30_the_secret_is_not_shown() {
        let settings =
            OidcSettings { client_secret: Some("sesame".to_owned()), ..OidcSettings::default() };
        assert!(!format!("{settings:?}").contains("sesame"));
    }
}
