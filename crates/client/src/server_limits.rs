//! What the server said in its CONNACK that it takes.
use std::time::Duration;

use latchlight_mqtt::{ConnAck, Packet, PacketId, ProtocolVersion, Publish, QoS};

use crate::error::ClientError;

/// The limits of one connection. MQTT 3.1.1 and 3.1 know none.
#[derive(Debug)]
pub(crate) struct ServerLimits {
    pub(crate) keep_alive: Option<Duration>,
    pub(crate) receive_maximum: usize,
    maximum_packet_size: Option<usize>,
    maximum_qos: QoS,
    retain_available: bool,
}

impl ServerLimits {
    pub(crate) fn from_connack(connack: &ConnAck) -> Self {
        let properties = &connack.properties;
        Self {
            keep_alive: properties
                .server_keep_alive
                .map(|seconds| Duration::from_secs(seconds.into())),
            // Where it is not said, it is the most that there can be [MQTT-3.3.4-7].
            receive_maximum: properties.receive_maximum.unwrap_or(u16::MAX).into(),
            maximum_packet_size: properties
                .maximum_packet_size
                .map(|bytes| usize::try_from(bytes).unwrap_or(usize::MAX)),
            maximum_qos: properties.maximum_qos.unwrap_or(QoS::ExactlyOnce),
            retain_available: properties.retain_available.unwrap_or(true),
        }
    }

    /// Refuses what the server would end the connection for.
    pub(crate) fn check(
        &self,
        publish: &Publish,
        version: ProtocolVersion,
    ) -> Result<(), ClientError> {
        // [MQTT-3.2.2-11]
        if publish.qos > self.maximum_qos {
            return Err(ClientError::QosNotSupported(self.maximum_qos));
        }
        // [MQTT-3.2.2-14]
        if publish.retain && !self.retain_available {
            return Err(ClientError::RetainNotSupported);
        }
        // [MQTT-3.2.2-15]
        if let Some(maximum) = self.maximum_packet_size {
            let mut numbered = publish.clone();
            numbered.packet_id = (publish.qos > QoS::AtMostOnce)
                .then(|| PacketId::new(1).expect("1 is a packet id"));
            let size = Packet::Publish(numbered).encoded_len(version)?;
            if size > maximum {
                return Err(ClientError::PacketTooLarge { size, maximum });
            }
        }
        Ok(())
    }
}
