//! A command's flight over the link to an outside broker: sent once, with its
//! expiry, and followed as far as such a broker tells.

use std::sync::Arc;

use paho_mqtt::{MessageBuilder, Properties, PropertyCode, QoS, ReasonCode};
use tokio::sync::mpsc;
use tokio::time::timeout;

use super::paho::PahoLink;
use crate::commands::{Dispatch, FlightEnd, FlightEvent, Verb};
use crate::config::MqttProtocol;
use crate::device_interface::topics::CommandMessage;

impl PahoLink {
    pub(super) async fn fly(
        self: Arc<Self>,
        message: CommandMessage,
        dispatch: Dispatch,
        events: mpsc::UnboundedSender<FlightEvent>,
    ) {
        let end = match self.send_command(&message, &dispatch, &events).await {
            Ok(()) => FlightEvent::Sent,
            Err(end) => FlightEvent::Ended(end),
        };
        let _ = events.send(end);
        // An outside broker says nothing of the device's PUBACK: the flight
        // stays open until the command's own expiry.
        events.closed().await;
    }

    async fn send_command(
        &self,
        message: &CommandMessage,
        dispatch: &Dispatch,
        events: &mpsc::UnboundedSender<FlightEvent>,
    ) -> Result<(), FlightEnd> {
        let too_late = || FlightEnd::NeverLeft("it could not be sent in time".to_owned());
        let away = || FlightEnd::Away("the broker cannot be reached".to_owned());
        let session = self.session().ok_or_else(away)?;
        let wait = dispatch.left().ok_or_else(too_late)?;
        let permit = timeout(wait, session.permit()).await.map_err(|_| too_late())?;
        let permit = permit.map_err(|_| away())?;
        let wait = dispatch.left().ok_or_else(too_late)?;
        // Whole seconds, rounded down so that it is never later. With less, the
        // broker would not have the time to answer.
        let seconds = u32::try_from(wait.as_secs()).unwrap_or(u32::MAX);
        if seconds == 0 {
            return Err(too_late());
        }
        let mut properties = Properties::new();
        if self.settings.protocol == MqttProtocol::V5 {
            let pushed = properties.push_u32(PropertyCode::MessageExpiryInterval, seconds);
            pushed.map_err(|error| FlightEnd::Refused(error.to_string()))?;
        }
        let publish = MessageBuilder::new()
            .topic(message.topic.as_str())
            .payload(message.payload.as_str())
            .qos(QoS::AtLeastOnce)
            .retained(false)
            .properties(properties)
            .finalize();
        // The device may be quicker than the broker's answer.
        let _ = events.send(FlightEvent::Leaving);
        match session.publish(publish, permit, wait).await {
            Err(paho_mqtt::Error::Timeout) => {
                // C3: it is on its way still. The broker would count the
                // expiry anew from when it comes there.
                session.cut().await;
                Err(FlightEnd::Lost("the broker did not take it in time".to_owned()))
            }
            // Said before anything is sent.
            Err(paho_mqtt::Error::Disconnected) => Err(away()),
            Err(error) => Err(FlightEnd::Lost(format!("the broker did not take it: {error}"))),
            Ok(code) => match code {
                ReasonCode::NoMatchingSubscribers => {
                    Err(FlightEnd::Away("nobody listens on the device's topic".to_owned()))
                }
                code if code as i32 >= 0x80 => {
                    Err(FlightEnd::Refused(format!("the broker refuses it: {code}")))
                }
                _ => Ok(()),
            },
        }
    }

    /// What this link does not carry, as a reason.
    pub(super) fn unfit(&self, dispatch: &Dispatch) -> Option<FlightEnd> {
        let without_expiry = self.settings.protocol == MqttProtocol::V311;
        if dispatch.verb() == Verb::Unlock && without_expiry && !self.settings.unlock_over_311 {
            return Some(FlightEnd::Refused(
                "over MQTT 3.1.1 a message does not expire, so an unlock could come late: \
                 use MQTT 5, or set mqtt.unlock_over_311"
                    .to_owned(),
            ));
        }
        if !self.is_up() {
            return Some(FlightEnd::Away("the broker cannot be reached".to_owned()));
        }
        None
    }
}
