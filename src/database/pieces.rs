//! Many rows, in statements of a bounded length: those who share the writer
//! come in between.

/// How many bytes the rows of a statement may have; a single row may have more.
const PIECE: usize = 1024 * 1024;

/// Rows, each of which is JSON, in their order, as JSON arrays with their
/// numbers of rows.
pub fn pieces(rows: impl Iterator<Item = String>) -> Vec<(String, usize)> {
    let mut pieces: Vec<(String, usize)> = Vec::new();
    for row in rows {
        match pieces.last_mut().filter(|(piece, _)| piece.len() + row.len() + 2 <= PIECE) {
            Some((piece, count)) => {
                piece.push(',');
                piece.push_str(&row);
                *count += 1;
            }
            None => pieces.push((format!("[{row}"), 1)),
        }
    }
    pieces.iter_mut().for_each(|(piece, _)| piece.push(']'));
    pieces
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    #[test]
    fn no_piece_is_longer_than_it_may_be_but_for_one_row() {
        let lengths = [10, PIECE - 20, 5, 6, 7, PIECE * 2, 1, PIECE - 4, PIECE - 3, 0];
        let rows: Vec<String> = lengths.iter().map(|n| format!("\"{}\"", "x".repeat(*n))).collect();
        let mut found: Vec<String> = Vec::new();
        for (piece, count) in pieces(rows.iter().cloned()) {
            let read: Vec<String> = serde_json::from_str(&piece).unwrap();
            assert_eq!(read.len(), count);
            assert!(piece.len() <= PIECE || count == 1, "{} bytes, {count} rows", piece.len());
            found.extend(read.iter().map(|row| format!("\"{row}\"")));
        }
        assert_eq!(found, rows);
        assert!(pieces(std::iter::empty()).is_empty());
    }
}
