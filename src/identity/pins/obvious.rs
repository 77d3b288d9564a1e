//! Codes that are tried first.

/// Ways over the keys of a keypad, and what else is in every list of such.
const KNOWN: [&[u8]; 12] = [
    b"0852",
    b"1379",
    b"2468",
    b"2580",
    b"1397",
    b"5683",
    b"112233",
    b"121314",
    b"147258",
    b"159753",
    b"147258369",
    b"159357",
];

/// Whether a code is among the first that anybody tries: it repeats itself
/// (0000, 1212, 123123), runs up or down (1234, 8901, 4321), is a year, or a way
/// over the keys.
pub(super) fn is_obvious(code: &[u8]) -> bool {
    repeats(code) || steps(code, 1) || steps(code, 9) || is_year(code) || KNOWN.contains(&code)
}

fn repeats(code: &[u8]) -> bool {
    (1..=code.len() / 2).any(|period| {
        code.len().is_multiple_of(period)
            && code.iter().zip(&code[period..]).all(|(one, next)| one == next)
    })
}

/// Whether each digit is so much more than the one before; 0 comes after 9.
fn steps(code: &[u8], step: u8) -> bool {
    code.windows(2).all(|pair| (pair[0] - b'0' + step) % 10 == pair[1] - b'0')
}

fn is_year(code: &[u8]) -> bool {
    code.len() == 4 && (code.starts_with(b"19") || code.starts_with(b"20"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_first_guesses_are_known_and_few_others() {
        for code in [
            "0000",
            "1111",
            "1234",
            "4321",
            "0123",
            "7890",
            "8901",
            "9876",
            "1212",
            "6969",
            "1984",
            "2026",
            "2580",
            "123456",
            "654321",
            "111111",
            "123123",
            "121212",
            "112233",
            "12345678",
            "999999999999",
            "147258",
        ] {
            assert!(is_obvious(code.as_bytes()), "{code}");
        }
        let obvious = (0..1_000_000).filter(|n| is_obvious(format!("{n:06}").as_bytes())).count();
        assert!(obvious < 1200, "{obvious}");
        let obvious = (0..10_000).filter(|n| is_obvious(format!("{n:04}").as_bytes())).count();
        assert!(obvious < 350, "{obvious}");
    }
}
