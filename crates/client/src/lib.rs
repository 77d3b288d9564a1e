//! A small packet-level MQTT client.
