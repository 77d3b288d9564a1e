//! `find_stranger [<picture>]`: a camera saw somebody. The alert carries the
//! picture's link to everyone who is told of alerts about the camera.

use async_trait::async_trait;
use latchlight_plugin_api::{ActionError, ActionInfo, Callers};
use serde_json::json;

use super::{Action, Answer, Context, Request};
use crate::timestamp;

/// The alert. Whoever hears it may open the picture by its link, for a while.
const STRANGER: &str = "stranger";

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
        let picture = context.pictures.find(&device, reference).await?;
        context.pictures.mark_stranger(&picture.id).await?;
        let mut body = json!({
            "device": device,
            "picture": picture.id,
            "sender": picture.sender,
            "at": timestamp::now(),
        });
        let link = match context.links.signed(&picture.id) {
            Some(signed) => {
                body["thumbnail"] = signed.thumbnail.into();
                body["expires_at"] = timestamp::text(&signed.expires_at).into();
                signed.link
            }
            None => context.links.plain(&picture.id),
        };
        body["link"] = link.clone().into();
        context.outbox.alert(STRANGER, body).await.map_err(ActionError::unavailable)?;
        tracing::info!(%device, picture = %picture.id, "a stranger was seen");
        Ok(Answer::text(link))
    }
}
