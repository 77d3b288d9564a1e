//! The version of a plugin that is installed from afar.

use std::fmt;
use std::str::FromStr;

/// Three numbers, `1.2.0`: no zeros before them and nothing after, so that
/// there is one way to write each, and any two can be compared.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Version([u32; 3]);

impl FromStr for Version {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let mut parts = text.split('.').map(|part| part.parse().ok());
        let numbers = [parts.next(), parts.next(), parts.next()].map(Option::flatten);
        match (numbers, parts.next()) {
            ([Some(a), Some(b), Some(c)], None) if Self([a, b, c]).to_string() == text => {
                Ok(Self([a, b, c]))
            }
            _ => {
                let shown: String = text.chars().take(40).flat_map(char::escape_debug).collect();
                Err(format!("`{shown}` is not a version of three numbers, such as 1.2.0"))
            }
        }
    }
}

impl fmt::Display for Version {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let [a, b, c] = self.0;
        write!(f, "{a}.{b}.{c}")
    }
}

#[cfg(test)]
mod tests {
    use super::Version;

    fn version(text: &str) -> Version {
        text.parse().expect(text)
    }

    #[test]
    fn versions_are_compared_as_numbers() {
        assert!(version("1.10.0") > version("1.9.9"));
        assert!(version("2.0.0") > version("1.99.99"));
        assert_eq!(version("0.1.0").to_string(), "0.1.0");
    }

    #[test]
    fn there_is_one_way_to_write_a_version() {
        for text in [
            "",
            "1",
            "1.2",
            "1.2.3.4",
            "01.2.3",
            "1.2.+3",
            "1.2.3-beta",
            " 1.2.3",
            "1.2.4294967296",
        ] {
            assert!(text.parse::<Version>().is_err(), "{text}");
        }
    }
}
