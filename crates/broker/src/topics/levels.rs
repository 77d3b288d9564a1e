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

    /// The first of them, and what is behind it.
    pub(crate) fn split(topic: &'a str) -> (&'a str, Option<&'a str>) {
        match topic.bytes().position(|byte| byte == b'/') {
            Some(slash) => (&topic[..slash], Some(&topic[slash + 1..])),
            None => (topic, None),
        }
    }
}

impl<'a> Iterator for Levels<'a> {
    type Item = &'a str;

    fn next(&mut self) -> Option<&'a str> {
        let (level, behind) = Self::split(self.0.take()?);
        self.0 = behind;
        Some(level)
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
