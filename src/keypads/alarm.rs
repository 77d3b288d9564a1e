//! The alarm: too many wrong codes.

use serde_json::json;

use super::throttle::Reached;
use crate::actions::Outbox;
use crate::timestamp;

/// The alert's name.
const WRONG_CODES: &str = "wrong_codes";

/// Tells everyone, and the log.
pub(super) async fn raise(outbox: &dyn Outbox, by: &str, reached: Reached) {
    let Reached { wrong, pause, everywhere } = reached;
    let pause_s = pause.as_secs();
    tracing::warn!(by, wrong, pause_s, everywhere, "too many wrong codes");
    let body = json!({
        "by": by,
        "wrong": wrong,
        "pause_s": pause_s,
        "everywhere": everywhere,
        "at": timestamp::now(),
    });
    if let Err(error) = outbox.alert(WRONG_CODES, body).await {
        tracing::error!(%error, "nobody is told of the wrong codes");
    }
}
