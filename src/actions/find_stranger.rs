//! `find_stranger [<picture>]`: a camera saw somebody. The alert carries the
//! picture's link to everyone, and to the devices that asked for alerts.

use async_trait::async_trait;
use latchlight_plugin_api::{ActionError, ActionInfo, Callers};
use serde_json::json;

use super::{Action, Answer, Context, Request};
use crate::pictures::PictureError;
use crate::timestamp;

pub(super) struct FindStranger;

#[async_trait]
impl Action for FindStranger {
    fn info(&self) -> ActionInfo {
        ActionInfo {
            name: "find_stranger".to_owned(),
            description: "A camera saw a stranger: an alert with the picture's link.".to_owned(),
            callers: Callers::DEVICES,
            secret: false,
        }
    }

    async fn perform(&self, request: Request, context: &Context) -> Result<Answer, ActionError> {
        let device = request.device()?;
        let reference = Some(request.rest.as_str()).filter(|rest| !rest.is_empty());
        let picture = context.pictures.find(&device, reference).await.map_err(to_action_error)?;
        context.pictures.mark_stranger(&picture.id).await.map_err(to_action_error)?;
        let link = format!("{}/get_pic?id={}", context.public_url, picture.id);
        let body = json!({
            "device": device,
            "picture": picture.id,
            "link": link,
            "at": timestamp::now(),
        });
        context.outbox.alert("stranger", body).await.map_err(ActionError::unavailable)?;
        tracing::info!(%device, picture = %picture.id, "a stranger was seen");
        Ok(Answer::text(link))
    }
}

fn to_action_error(error: PictureError) -> ActionError {
    match error {
        PictureError::NotFound(_) => ActionError::not_found(error.to_string()),
        PictureError::Storage(_) => ActionError::unavailable(error.to_string()),
        _ => ActionError::bad_input(error.to_string()),
    }
}
