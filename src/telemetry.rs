//! The log: text or JSON on standard error, a level per module.

use tracing_subscriber::EnvFilter;
use tracing_subscriber::fmt::format::FmtSpan;

use crate::config::{LogFormat, LogSettings};

/// An error and what caused it, in one line: some causes stand in what they
/// caused already.
pub fn one_line(error: &anyhow::Error) -> String {
    error.chain().fold(String::new(), |mut line, cause| {
        let cause = cause.to_string();
        if !line.ends_with(&cause) {
            if !line.is_empty() {
                line.push_str(": ");
            }
            line.push_str(&cause);
        }
        line
    })
}

/// What a level lets through. That somebody's request was malformed, actix
/// calls an error, as all that ends a connection of HTTP/1.1 by itself: whoever
/// reaches the server could fill the log with those. At `info` actix tells each
/// step of its own at start and stop, which says nothing to who runs this
/// server, and paho that a connection is lost, by its place in memory; the link
/// says that itself.
fn filter(level: &str) -> String {
    let parts = || level.split(',').map(str::trim);
    let is = |name: &str| parts().any(|part| part.eq_ignore_ascii_case(name));
    let mut directives = Vec::new();
    // Who asks for actix' own lines gets them.
    if ["info", "warn", "error"].into_iter().any(is) && !level.contains("actix_http") {
        directives.push("actix_http::h1::dispatcher=off");
    }
    if is("info") {
        directives.push("actix_server=warn,paho_mqtt=error");
    }
    // What stands later wins, should the level name it too.
    directives.push(level);
    directives.join(",")
}

/// Begins to log as the settings say. The second call in a process changes
/// nothing.
pub fn init(settings: &LogSettings) {
    // Checked when the settings were loaded.
    let filter = EnvFilter::try_new(filter(&settings.level));
    let filter = filter.unwrap_or_else(|_| EnvFilter::new("info"));
    let builder = tracing_subscriber::fmt()
        .with_env_filter(filter)
        .with_span_events(FmtSpan::NONE)
        // A line that cannot be written, for nobody reads them any more, is
        // lost; what it was about goes on.
        .log_internal_errors(false)
        .with_writer(std::io::stderr);
    // An error means that a subscriber is there already, which tests have.
    let begun = match settings.format {
        LogFormat::Text => {
            let colours = std::io::IsTerminal::is_terminal(&std::io::stderr())
                && std::env::var_os("NO_COLOR").is_none();
            builder.with_ansi(colours).try_init()
        }
        LogFormat::Json => builder.json().flatten_event(true).try_init(),
    };
    if begun.is_ok() {
        std::panic::set_hook(Box::new(|panic| {
            tracing::error!(what = %panic, "a part of the server panicked");
        }));
    }
}

#[cfg(test)]
mod tests {
    use anyhow::Context as _;

    use super::*;

    #[test]
    fn who_asks_for_a_modules_lines_gets_them() {
        let quiet = "actix_http::h1::dispatcher=off";
        for (level, expected) in [
            ("debug", "debug".to_owned()),
            ("ERROR", format!("{quiet},ERROR")),
            ("warn", format!("{quiet},warn")),
            ("info", format!("{quiet},actix_server=warn,paho_mqtt=error,info")),
            (
                "latchlight=debug, info",
                format!("{quiet},actix_server=warn,paho_mqtt=error,latchlight=debug, info"),
            ),
            ("error,actix_http=debug", "error,actix_http=debug".to_owned()),
        ] {
            assert_eq!(filter(level), expected);
            assert!(EnvFilter::try_new(expected).is_ok());
        }
    }

    #[test]
    fn what_a_cause_says_again_is_said_once() {
        let missing = std::io::Error::other("no such file");
        let error = Err::<(), _>(missing).context("read a: no such file").context("start");
        let error = error.expect_err("an error");
        assert_eq!(one_line(&error), "start: read a: no such file");
        let error = Err::<(), _>(std::io::Error::other("why")).context("what");
        assert_eq!(one_line(&error.expect_err("an error")), "what: why");
    }
}
