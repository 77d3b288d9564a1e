//! `install_plugin`: an owner sends a library from afar, in pieces.

use std::sync::Weak;

use async_trait::async_trait;
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use latchlight_plugin_api::{ActionError, ActionInfo, Callers};
use serde::Deserialize;

use super::manager::Inner;
use super::transfers::{Announced, Progress};
use crate::actions::{Action, Answer, Context, Request, parse_json};
use crate::config::{PluginName, Sha256Hex};

/// Announces a library, then takes its pieces in their order.
pub(super) struct InstallPlugin(pub(super) Weak<Inner>);

/// What is said: first what is to come, then each piece of it.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Said {
    sha256: Sha256Hex,
    name: Option<PluginName>,
    size: Option<usize>,
    signature: Option<String>,
    offset: Option<usize>,
    data: Option<String>,
}

#[async_trait]
impl Action for InstallPlugin {
    fn info(&self) -> ActionInfo {
        ActionInfo {
            name: "install_plugin".to_owned(),
            description: "An owner sends a signed plugin, in pieces.".to_owned(),
            callers: Callers::APPS,
            secret: false,
        }
    }

    fn records_refusals(&self) -> bool {
        true
    }

    async fn perform(&self, request: Request, _: &Context) -> Result<Answer, ActionError> {
        let stopped = || ActionError::unavailable("the server is stopping");
        let host = self.0.upgrade().ok_or_else(stopped)?;
        // Before anything is read of what somebody sends.
        host.permit_action(&request.principal)?;
        let Said { sha256, name, size, signature, offset, data } =
            parse_json(&request.word, &request.rest)?;
        let progress = match (name, size, signature, offset, data) {
            (Some(name), Some(size), Some(signature), None, None) => {
                let announced = Announced { name, sha256, size, signature };
                host.begin_transfer(&request.principal, announced).await?
            }
            (None, None, None, Some(offset), Some(data)) => {
                let piece = STANDARD.decode(&data).map_err(|error| {
                    ActionError::bad_input(format!("install_plugin: data: no base64: {error}"))
                })?;
                host.take_piece(&request.principal, &sha256, offset, &piece).await?
            }
            _ => {
                return Err(ActionError::bad_input(
                    "install_plugin: first `name`, `size`, `sha256` and `signature`; then \
                     `sha256`, `offset` and `data` for each piece",
                ));
            }
        };
        let Progress { name, next, size } = progress;
        let rest = if next == size { ": say load_plugin" } else { "" };
        Ok(Answer::text(format!("{name} {next} of {size}{rest}")))
    }
}
