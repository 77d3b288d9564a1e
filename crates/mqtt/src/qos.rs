//! The quality of service.

use crate::DecodeError;

/// How often a message is delivered.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default)]
#[repr(u8)]
pub enum QoS {
    /// Once or not at all.
    #[default]
    AtMostOnce = 0,
    /// Once or more often.
    AtLeastOnce = 1,
    /// Once.
    ExactlyOnce = 2,
}

impl TryFrom<u8> for QoS {
    type Error = DecodeError;

    fn try_from(bits: u8) -> Result<Self, Self::Error> {
        match bits {
            0 => Ok(Self::AtMostOnce),
            1 => Ok(Self::AtLeastOnce),
            2 => Ok(Self::ExactlyOnce),
            // [MQTT-3.3.1-4], [MQTT-3.1.2-12], [MQTT-3.8.3-5]
            _ => Err(DecodeError::Malformed("a QoS is 0, 1 or 2")),
        }
    }
}
