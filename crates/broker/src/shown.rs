//! Names from outside, as the log has them: they may be 64 KiB long.

/// How much of a name is shown, in characters.
const SHOWN: usize = 64;

/// The beginning of a name.
pub(crate) fn shown(name: &str) -> &str {
    name.char_indices().nth(SHOWN).map_or(name, |(end, _)| &name[..end])
}

#[cfg(test)]
mod tests {
    use super::{SHOWN, shown};

    #[test]
    fn a_long_name_is_cut_between_characters() {
        assert_eq!(shown("door"), "door");
        let whole = "ü".repeat(SHOWN);
        assert_eq!(shown(&whole), whole);
        assert_eq!(shown(&format!("{whole}more")), whole);
    }
}
