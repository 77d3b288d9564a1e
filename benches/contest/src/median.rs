//! The middle of a few values.

/// The median; the mean of the middle two where their number is even, NaN where there are none.
pub fn median(mut values: Vec<f64>) -> f64 {
    values.sort_by(f64::total_cmp);
    match (values.len(), values.len() / 2) {
        (0, _) => f64::NAN,
        (length, middle) if length % 2 == 1 => values[middle],
        (_, middle) => (values[middle - 1] + values[middle]) / 2.0,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_value_that_stands_out_does_not_count() {
        assert_eq!(median(vec![3.0, 100.0, 2.0]), 3.0);
        assert_eq!(median(vec![4.0, 2.0, 100.0, 1.0]), 3.0);
        assert!(median(vec![]).is_nan());
    }
}
