//! `report [<device>]`: an app asks devices to say their state.

use async_trait::async_trait;
use latchlight_plugin_api::{ActionError, ActionInfo, Callers};

use super::{Action, Answer, Context, Request};
use crate::state::DeviceId;

pub(super) struct Report;

#[async_trait]
impl Action for Report {
    fn info(&self) -> ActionInfo {
        ActionInfo {
            name: "report".to_owned(),
            description: "Asks a device, or all, to say its state.".to_owned(),
            callers: Callers::APPS,
            secret: false,
        }
    }

    async fn perform(&self, request: Request, context: &Context) -> Result<Answer, ActionError> {
        let mut devices = context.state.devices();
        devices.retain(|device| !context.permissions.is_hidden(&request.principal, &device.id));
        if !request.rest.is_empty() {
            let id: DeviceId = request
                .rest
                .parse()
                .map_err(|error| ActionError::bad_input(format!("report: {error}")))?;
            devices.retain(|device| device.id == id);
            if devices.is_empty() {
                return Err(ActionError::not_found(format!("there is no device {id}")));
            }
        }
        let mut asked = 0_usize;
        for device in devices.iter().filter(|device| device.online) {
            let sent = context.outbox.ask_to_report(device).await;
            sent.map_err(ActionError::unavailable)?;
            asked += 1;
        }
        Ok(Answer::text(format!("asked {asked} of {}", devices.len())))
    }
}
