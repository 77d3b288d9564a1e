//! A file of lines to which somebody adds, and which is emptied now and then.

use std::fs::File;
use std::io::{self, Read as _};
use std::path::Path;

/// How often it is read anew that was emptied meanwhile.
const TRIES: u32 = 100;

/// The whole lines that it had at one moment; nothing where it is not there.
/// What is added meanwhile may be among them or not; half a line is not.
pub(super) fn whole(path: &Path) -> io::Result<Option<Vec<u8>>> {
    for _ in 0..TRIES {
        let Some(mut bytes) = read(path, u64::MAX)? else { return Ok(None) };
        // Where it was emptied and filled again, they do not begin alike.
        if read(path, bytes.len() as u64)?.as_ref() == Some(&bytes) {
            let end = bytes.iter().rposition(|byte| *byte == b'\n').map_or(0, |last| last + 1);
            bytes.truncate(end);
            return Ok(Some(bytes));
        }
    }
    Err(io::Error::other(format!("{} is emptied again and again: try again", path.display())))
}

fn read(path: &Path, most: u64) -> io::Result<Option<Vec<u8>>> {
    let file = match File::open(path) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
        opened => opened?,
    };
    let mut bytes = Vec::new();
    file.take(most).read_to_end(&mut bytes)?;
    Ok(Some(bytes))
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;
    use std::sync::atomic::{AtomicBool, Ordering};

    #[test]
    fn a_file_that_is_filled_and_emptied_meanwhile_is_as_it_was_at_one_moment() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("lines");
        assert_eq!(whole(&path).unwrap(), None);
        std::fs::write(&path, "half").unwrap();
        assert_eq!(whole(&path).unwrap(), Some(Vec::new()));
        let over = AtomicBool::new(false);
        std::thread::scope(|scope| {
            scope.spawn(|| {
                use std::io::{Seek as _, Write as _};
                let mut file = std::fs::OpenOptions::new().write(true).open(&path).unwrap();
                let mut number: u64 = 1_000_000;
                while !over.load(Ordering::SeqCst) {
                    file.set_len(0).unwrap();
                    file.rewind().unwrap();
                    for _ in 0..number % 50 + 1 {
                        writeln!(file, "{number}").unwrap();
                        number += 1;
                    }
                }
            });
            for _ in 0..200 {
                let Ok(found) = whole(&path) else { continue };
                let found = String::from_utf8(found.unwrap()).unwrap();
                let numbers: Vec<u64> = found.lines().map(|line| line.parse().unwrap()).collect();
                assert!(numbers.windows(2).all(|two| two[0] + 1 == two[1]), "{found}");
            }
            over.store(true, Ordering::SeqCst);
        });
    }
}
