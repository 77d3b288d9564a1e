//! The MQTT 3.1, 3.1.1 and 5 packet codec: one codec, the version a parameter.
//!
//! Deliberately absent: no I/O, no clock, no runtime, no sessions. Bytes go
//! in and packets come out, and the other way round. Decoding is incremental
//! ([`frame`] says how many bytes are missing), checks every length before it
//! is used, rejects what the standards call malformed with the reason code
//! that they name, and copies no payload.
//!
//! ```
//! use latchlight_mqtt::{Framing, Packet, ProtocolVersion, Publish, frame};
//!
//! let publish = Publish::new("doors/front", "locked");
//! let mut bytes = Vec::new();
//! Packet::Publish(publish.clone()).encode(ProtocolVersion::V5, &mut bytes)?;
//!
//! assert!(matches!(frame(&bytes[..4], 1024)?, Framing::Incomplete { .. }));
//! let Framing::Complete(header) = frame(&bytes, 1024)? else { panic!("it is whole") };
//! assert_eq!(header.total_len(), bytes.len());
//! assert_eq!(Packet::decode(bytes.into(), ProtocolVersion::V5)?, Packet::Publish(publish));
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```
//!
//! A broker's hot path uses [`PublishView`] and [`AckView`], which borrow from
//! the read buffer and allocate nothing, and [`PublishParts`] and
//! [`encode_ack`], which append to a write buffer.
//!
//! What encodes also decodes: a packet with a property, a reason code or a
//! topic that it may not have is an [`EncodeError`]. Left to the session are
//! the rules that bytes alone cannot tell: who may send a packet, and when.
//! The feature `testing` adds a table of named packets, valid and malformed.

mod ack;
mod auth;
mod connack;
mod connect;
mod disconnect;
mod error;
mod framing;
mod packet;
mod packet_id;
mod properties;
mod property;
mod publish;
mod publish_parts;
mod publish_view;
mod qos;
mod reader;
mod reason_code;
mod suback;
mod subscribe;
#[cfg(feature = "testing")]
pub mod testing;
mod topic;
mod unsuback;
mod unsubscribe;
mod version;
mod writer;

pub use ack::{AckView, PubAck, PubComp, PubRec, PubRel, encode_ack};
pub use auth::Auth;
pub use connack::ConnAck;
pub use connect::{Connect, Will};
pub use disconnect::Disconnect;
pub use error::{DecodeError, EncodeError};
pub use framing::{FixedHeader, Framing, frame};
pub use packet::{Packet, PacketType};
pub use packet_id::PacketId;
pub use properties::{Properties, PropertiesView, PropertyValues};
pub use property::{PropertyId, PropertyValue};
pub use publish::Publish;
pub use publish_parts::PublishParts;
pub use publish_view::PublishView;
pub use qos::QoS;
pub use reason_code::ReasonCode;
pub use suback::SubAck;
pub use subscribe::{RetainHandling, Subscribe, SubscribeFilter, SubscriptionOptions};
pub use topic::{InvalidTopic, TopicFilter, TopicName};
pub use unsuback::UnsubAck;
pub use unsubscribe::Unsubscribe;
pub use version::ProtocolVersion;

/// The largest remaining length that four bytes can say, in bytes
/// (MQTT 5, 1.5.5).
pub const LARGEST_REMAINING_LENGTH: usize = 268_435_455;
