//! TLS to others: 1.2 or newer, their certificate and its name verified.

use std::path::Path;

use anyhow::{Context as _, anyhow};
use openssl::error::ErrorStack;
use openssl::ssl::{SslConnector, SslConnectorBuilder, SslMethod, SslVersion};
use openssl::x509::store::X509StoreBuilder;

/// Trusts the authorities in this file, which the setting `key` names, and no
/// others; without it, the system's.
///
/// # Errors
/// The file cannot be read, or has no certificate in it.
pub fn connector(key: &str, ca_file: Option<&Path>) -> anyhow::Result<SslConnectorBuilder> {
    let mut builder = SslConnector::builder(SslMethod::tls_client())?;
    builder.set_min_proto_version(Some(SslVersion::TLS1_2))?;
    if let Some(file) = ca_file {
        let what = || format!("{key} {}", file.display());
        std::fs::read(file).with_context(what)?;
        builder.set_cert_store(X509StoreBuilder::new()?.build());
        builder.set_ca_file(file).map_err(plainly).with_context(what)?;
    }
    Ok(builder)
}

/// What OpenSSL says, without where in its sources it says it.
pub fn reasons(stack: &ErrorStack) -> String {
    let reasons: Vec<_> = stack.errors().iter().filter_map(|error| error.reason()).collect();
    if reasons.is_empty() { "it failed".to_owned() } else { reasons.join(", ") }
}

/// The same as an error.
pub fn plainly(stack: ErrorStack) -> anyhow::Error {
    anyhow!("{}", reasons(&stack))
}
