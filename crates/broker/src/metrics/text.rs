//! The Prometheus text format, which everything reads that reads metrics; the
//! encoder writes OpenMetrics, which came after it.

use prometheus_client::encoding::text::encode_registry;
use prometheus_client::registry::Registry;

/// What a registry has, in the Prometheus text format
/// ([`Metrics::CONTENT_TYPE`](super::Metrics::CONTENT_TYPE)): the metrics of a
/// program, with those of its brokers among them.
pub fn prometheus_text(registry: &Registry) -> String {
    let mut open = String::new();
    encode_registry(&mut open, registry).expect("a string takes whatever is written to it");
    from_open_metrics(&open)
}

/// There is no unit of its own, and a counter is described under the name that
/// its samples have.
fn from_open_metrics(open: &str) -> String {
    let mut text = String::with_capacity(open.len() + open.len() / 16);
    let mut lines = open.lines().peekable();
    let mut is_counter = false;
    while let Some(line) = lines.next() {
        let mut words = line.splitn(4, ' ');
        let described = (words.next(), words.next(), words.next(), words.next());
        let (kind, name, rest) = match described {
            (Some("#"), Some("UNIT"), ..) => continue,
            (Some("#"), Some(kind), Some(name), rest) => (kind, name, rest.unwrap_or_default()),
            _ => {
                text.extend([line, "\n"]);
                continue;
            }
        };
        // Its type is said in the line after its help.
        if kind == "HELP" {
            is_counter = lines.peek().is_some_and(|next| next.ends_with(" counter"));
        }
        let suffix = if is_counter { "_total" } else { "" };
        text.extend(["# ", kind, " ", name, suffix, " ", rest, "\n"]);
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_counter_is_described_by_the_name_of_its_samples() {
        let open = "# HELP a_bytes So many.\n# TYPE a_bytes gauge\n# UNIT a_bytes bytes\na_bytes 1\n\
                    # HELP b Times it came.\n# TYPE b counter\nb_total{of=\"a b\"} 2\n\
                    # HELP c Not a counter\n# TYPE c histogram\nc_sum 0.5\n";
        let text = "# HELP a_bytes So many.\n# TYPE a_bytes gauge\na_bytes 1\n\
                    # HELP b_total Times it came.\n# TYPE b_total counter\nb_total{of=\"a b\"} 2\n\
                    # HELP c Not a counter\n# TYPE c histogram\nc_sum 0.5\n";
        assert_eq!(from_open_metrics(open), text);
    }
}
