//! What a signature says of the library that it is for: the trusted comment,
//! which minisign signs together with the library's bytes.

use std::fmt;
use std::str::FromStr;

use latchlight_plugin_api::boundary::API;

use super::install_error::InstallError;
use super::target::Target;
use super::version::Version;
use crate::config::PluginName;

/// The words of a trusted comment, in their order:
/// `latchlight-plugin name=night_mode version=1.2.0 target=x86_64-linux api=1`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Claim {
    /// The plugin's name.
    pub(super) name: PluginName,
    /// Its version.
    pub(super) version: Version,
    /// What the library is for.
    pub(super) target: Target,
    /// The number of the boundary that it speaks.
    pub(super) api: u32,
}

impl Claim {
    /// Whether it is about this plugin, for this server.
    pub(super) fn check(&self, name: &PluginName) -> Result<(), InstallError> {
        let here = Target::here();
        if self.name != *name {
            let signed = &self.name;
            return Err(InstallError::Unfit(format!("it was signed as {signed}, not as {name}")));
        }
        if self.target != here {
            let target = &self.target;
            return Err(InstallError::Unfit(format!("it is for {target}, and this is {here}")));
        }
        if self.api != API {
            let api = self.api;
            let why = format!("it speaks API {api} and this server {API}: build it anew for it");
            return Err(InstallError::Unfit(why));
        }
        Ok(())
    }
}

impl FromStr for Claim {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let wrong = || {
            let shown: String = text.chars().take(200).flat_map(char::escape_debug).collect();
            format!(
                "its trusted comment is `{shown}`, not `latchlight-plugin name=… version=… \
                 target=… api=…`: sign it with `latchlight plugin sign`"
            )
        };
        let mut words = text.split(' ');
        let mut word = |prefix: &str| words.next()?.strip_prefix(prefix);
        let read = (|| {
            word("latchlight-plugin")?;
            Some((word("name=")?, word("version=")?, word("target=")?, word("api=")?))
        })();
        let (name, version, target, api) = read.ok_or_else(wrong)?;
        let claim = Self {
            name: name.parse()?,
            version: version.parse()?,
            target: Target::named(target),
            api: api.parse().map_err(|_| wrong())?,
        };
        // One way to write each: what was signed is what is read.
        if claim.to_string() == text { Ok(claim) } else { Err(wrong()) }
    }
}

impl fmt::Display for Claim {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { name, version, target, api } = self;
        write!(f, "latchlight-plugin name={name} version={version} target={target} api={api}")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const TEXT: &str = "latchlight-plugin name=night_mode version=1.2.0 target=x86_64-linux api=1";

    #[test]
    fn a_claim_is_read_as_it_is_written() {
        let claim: Claim = TEXT.parse().expect("a claim");
        assert_eq!(claim.to_string(), TEXT);
        assert_eq!(claim.name.as_str(), "night_mode");
    }

    #[test]
    fn what_is_written_otherwise_is_no_claim() {
        for text in [
            "timestamp:1556193335\tfile:test",
            "",
            &TEXT.replace(' ', "  "),
            &format!("{TEXT} "),
            &format!("{TEXT} api=2"),
            &TEXT.replace("api=1", "api=01"),
            &TEXT.replace("api=1", "api=+1"),
            &TEXT.replace("latchlight-plugin", "latchlight-pluginx"),
            &TEXT.replace("name=night_mode", "name=../night_mode"),
            &TEXT.replace("1.2.0", "1.2"),
            "latchlight-plugin version=1.2.0 name=night_mode target=x86_64-linux api=1",
        ] {
            assert!(text.parse::<Claim>().is_err(), "{text}");
        }
    }
}
