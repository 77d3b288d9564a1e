//! The levels of a topic name or filter.

/// What stands between the slashes, front to back; some may be empty.
/// `str::split` looks for any pattern, and takes three times the instructions
/// for this one.
#[derive(Debug, Clone)]
pub(crate) struct Levels<'a>(Option<&'a str>);

impl<'a> Levels<'a> {
    pub(crate) fn of(topic: &'a str) -> Self {
        Self(Some(topic))
    }
}

impl<'a> Iterator for Levels<'a> {
    type Item = &'a str;

    fn next(&mut self) -> Option<&'a str> {
        let rest = self.0.take()?;
        let Some(slash) = rest.bytes().position(|byte| byte == b'/') else { return Some(rest) };
        self.0 = Some(&rest[slash + 1..]);
        Some(&rest[..slash])
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn they_are_what_split_gives() {
        for topic in ["", "/", "a", "a/b", "/a/", "a//b", "//", "ä/+/#"] {
            assert!(Levels::of(topic).eq(topic.split('/')), "{topic}");
        }
    }
}
