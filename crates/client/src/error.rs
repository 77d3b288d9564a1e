//! What can go wrong: on a connection, and for a request to the client.
use std::io;
use std::time::Duration;

use latchlight_mqtt::{DecodeError, EncodeError, InvalidTopic, PacketType, QoS, ReasonCode};
use thiserror::Error;

/// What ended or hindered a [`Connection`](crate::Connection).
#[derive(Debug, Error)]
pub enum ConnectionError {
    /// No connection could be opened.
    #[error("cannot connect to {address}: {source}")]
    Unreachable {
        /// Where to, as it was asked for.
        address: String,
        /// What the operating system said.
        source: io::Error,
    },
    /// The socket failed while it was in use.
    #[error("the connection failed: {0}")]
    Io(#[from] io::Error),
    /// The peer closed the connection between two packets.
    #[error("the peer closed the connection")]
    Closed,
    /// The peer closed the connection after a part of a packet.
    #[error("the peer closed the connection after {0} bytes of an unfinished packet")]
    ClosedInPacket(usize),
    /// What was waited for did not come in time.
    #[error("nothing came within {0:?}")]
    TimedOut(Duration),
    /// The peer sent bytes that are no MQTT packet.
    #[error("the peer sent a malformed packet: {0}")]
    Decode(#[from] DecodeError),
    /// A packet of ours cannot be encoded for this protocol version.
    #[error("the packet cannot be encoded: {0}")]
    Encode(#[from] EncodeError),
    /// A packet of another type came than the protocol has at this point.
    #[error("expected {expected:?}, received {received:?}")]
    Unexpected {
        /// The type that belongs here.
        expected: PacketType,
        /// The type that came.
        received: PacketType,
    },
    /// The server answered the CONNECT with a refusal.
    #[error("the server refused the connection: {0:?}")]
    Refused(ReasonCode),
    /// The server sent a DISCONNECT.
    #[error("the server ended the connection: {0:?}")]
    Disconnected(ReasonCode),
    /// No answer came to a PINGREQ: the connection is half open or the server stuck.
    #[error("the server did not answer a ping within {0:?}")]
    PingUnanswered(Duration),
    /// [`Client::drop_connection`](crate::Client::drop_connection) was called.
    #[error("the connection was dropped on request")]
    Dropped,
}

/// Why a request to a [`Client`](crate::Client) was not done.
#[derive(Debug, Error)]
pub enum ClientError {
    /// The first connection could not be made.
    #[error(transparent)]
    Connection(#[from] ConnectionError),
    /// The client was disconnected, aborted or dropped before the request was done.
    #[error("the client has stopped")]
    Stopped,
    /// The topic, filter or another field cannot stand in a packet.
    #[error("the packet cannot be encoded: {0}")]
    Encode(#[from] EncodeError),
    /// The topic or filter breaks the standard's rules.
    #[error(transparent)]
    Topic(#[from] InvalidTopic),
    /// The packet is larger than the server said it takes.
    #[error("the packet has {size} bytes, the server takes at most {maximum}")]
    PacketTooLarge {
        /// The encoded length of the packet.
        size: usize,
        /// The server's Maximum Packet Size.
        maximum: usize,
    },
    /// The QoS is higher than the server said it supports.
    #[error("the server supports at most {0:?}")]
    QosNotSupported(QoS),
    /// The server has no retained messages, and one was to be published.
    #[error("the server does not support retained messages")]
    RetainNotSupported,
    /// The server refused the message with this reason code.
    #[error("the server refused the message: {0:?}")]
    Refused(ReasonCode),
    /// The server forgot the session while a QoS 2 message was under way: it may have been
    /// delivered or not, and to send it again could deliver it twice.
    #[error("the server lost the session: the message may have been delivered or not")]
    SessionLost,
    /// The connection ended before the server answered a SUBSCRIBE or UNSUBSCRIBE.
    #[error("the connection was lost before the server answered")]
    ConnectionLost,
}
