//! Listeners, options and the log.

use std::collections::BTreeMap;
use std::net::SocketAddr;

use serde::Serialize;

use super::mochi::{Capabilities, Listener, Mochi, Options};
use super::report::Report;
use super::store::{self, OurStore};

/// Our configuration, as far as it is not the default.
#[derive(Debug, Default, Serialize)]
pub(super) struct Settings {
    pub(super) listeners: Vec<OurListener>,
    access: OurAccess,
    #[serde(skip_serializing_if = "Option::is_none")]
    store: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    store_prefix: Option<String>,
    /// It is nobody else's business.
    #[serde(skip)]
    pub(super) has_password: bool,
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    options: BTreeMap<&'static str, u64>,
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    log: BTreeMap<&'static str, String>,
}

#[derive(Debug, Serialize)]
pub(super) struct OurListener {
    #[serde(rename = "type")]
    kind: &'static str,
    address: SocketAddr,
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    exposed: bool,
}

#[derive(Debug, Default, Serialize)]
struct OurAccess {
    #[serde(skip_serializing_if = "Option::is_none")]
    allow_anonymous: Option<bool>,
    #[serde(skip_serializing_if = "Option::is_none")]
    ledger: Option<&'static str>,
}

/// From theirs to ours; `ledger` is the file that goes with it.
pub(super) fn translate(
    theirs: &Mochi,
    ledger: Option<&'static str>,
    report: &mut Report,
) -> Settings {
    let mut settings = Settings {
        access: OurAccess { allow_anonymous: ledger.is_none().then_some(true), ledger },
        ..Settings::default()
    };
    for (number, listener) in theirs.listeners.iter().flatten().enumerate() {
        let name = format!("listeners[{number}] ({})", listener.id);
        settings.listeners.extend(translate_listener(&name, listener, report));
    }
    if settings.listeners.is_empty() && theirs.is_configuration() {
        report.look_at("there is no listener to carry over: the broker does not start without one");
    }
    if let Some(options) = &theirs.options {
        translate_options(options, &mut settings.options, report);
    }
    let hooks = theirs.hooks.as_ref();
    let storage = hooks.and_then(|hooks| hooks.storage.as_ref());
    if let Some(storage) = storage {
        let OurStore { place, prefix, has_password } = store::translate(storage, report);
        (settings.store, settings.store_prefix) = (place, prefix);
        settings.has_password = has_password;
    }
    let level = theirs.logging.as_ref().and_then(|logging| logging.level.as_ref());
    if let Some(level) = level.map(|level| level.to_ascii_lowercase()) {
        if ["error", "warn", "info", "debug"].contains(&level.as_str()) {
            settings.log.insert("level", level);
        } else {
            report.left_out("logging.level: no level of ours");
        }
    }
    if hooks.and_then(|hooks| hooks.debug.as_ref()).is_some_and(|debug| debug.enable != Some(false))
    {
        report.left_out("hooks.debug: `log: {level: debug}` shows more");
    }
    settings
}

fn translate_listener(name: &str, theirs: &Listener, report: &mut Report) -> Option<OurListener> {
    let kind = match theirs.kind.to_ascii_lowercase().as_str() {
        "tcp" => "tcp",
        "ws" => "ws",
        _ => {
            report.left_out(format!("{name}: a `{}` listener is not carried over", theirs.kind));
            return None;
        }
    };
    let address = match theirs.address.strip_prefix(':') {
        Some(port) => format!("[::]:{port}"),
        None => theirs.address.replacen("localhost:", "127.0.0.1:", 1),
    };
    let Ok(address) = address.parse::<SocketAddr>() else {
        report.look_at(format!("{name}: `{}` is no address of numbers", theirs.address));
        return None;
    };
    let exposed = !address.ip().is_loopback();
    if exposed {
        report.look_at(format!(
            "{name}: {address} is reached from other machines, where passwords and messages can be \
             read on the way: `exposed: true` says that this is meant"
        ));
    }
    if kind == "ws" {
        report.changed(format!(
            "{name}: web pages from elsewhere are kept out; those of `origins` are not, and the \
             server is called by an address or by one of `hosts`"
        ));
    }
    Some(OurListener { kind, address, exposed })
}

fn translate_options(
    theirs: &Options,
    ours: &mut BTreeMap<&'static str, u64>,
    report: &mut Report,
) {
    let Options { sys_topic_resend_interval, inline_client, .. } = theirs;
    let buffers = [theirs.client_net_write_buffer_size, theirs.client_net_read_buffer_size];
    for (key, is_there) in [
        (
            "client_net_*_buffer_size: buffers grow and go as needed",
            buffers.iter().any(Option::is_some),
        ),
        (
            "inline_client: it is always there, for programs that embed the broker",
            inline_client.is_some(),
        ),
    ] {
        if is_there {
            report.left_out(format!("options.{key}"));
        }
    }
    if let Some(seconds) = sys_topic_resend_interval.and_then(|it| u64::try_from(it).ok()) {
        // Theirs takes 0 for its default, which is 1.
        ours.insert("sys_interval", seconds.max(1));
        report.changed(
            "options.sys_topic_resend_interval: the topics are Mosquitto's, below $SYS/broker, \
             and only what has changed is sent again",
        );
    }
    if let Some(capabilities) = &theirs.capabilities {
        translate_capabilities(capabilities, ours, report);
    }
}

fn translate_capabilities(
    theirs: &Capabilities,
    ours: &mut BTreeMap<&'static str, u64>,
    report: &mut Report,
) {
    // More clients than there can be is no bound.
    let clients = theirs.maximum_clients.and_then(|clients| u32::try_from(clients).ok());
    for (key, value) in [
        ("max_connections", clients.map(u64::from)),
        ("max_session_expiry", theirs.maximum_session_expiry_interval.map(u64::from)),
        ("max_packet_size", theirs.maximum_packet_size.map(u64::from)),
        ("receive_maximum", theirs.receive_maximum.map(u64::from)),
        ("topic_alias_maximum", theirs.topic_alias_maximum.map(u64::from)),
        ("max_queued_messages", theirs.maximum_inflight.map(u64::from)),
    ] {
        match value {
            Some(0) if key != "topic_alias_maximum" && key != "max_session_expiry" => {
                report.changed(format!(
                    "options.capabilities: `{key}` was 0: the default of ours is taken, which is a bound"
                ));
            }
            Some(value) => drop(ours.insert(key, value)),
            None => {}
        }
    }
    if ours.contains_key("max_queued_messages") {
        report.changed(
            "options.capabilities.maximum_inflight: it is the bound of what waits for one session, \
             `max_queued_messages`; beyond it the publisher is told so",
        );
    }
    let no_counterpart = [
        ("maximum_message_expiry_interval", theirs.maximum_message_expiry_interval.is_some()),
        ("maximum_client_writes_pending", theirs.maximum_client_writes_pending.is_some()),
        ("shared_sub_available", theirs.shared_sub_available == Some(0)),
        (
            "minimum_protocol_version",
            theirs.minimum_protocol_version.is_some_and(|least| least > 3),
        ),
        ("maximum_qos", theirs.maximum_qos.is_some_and(|most| most < 2)),
        ("retain_available", theirs.retain_available == Some(0)),
        ("wildcard_sub_available", theirs.wildcard_sub_available == Some(0)),
        ("sub_id_available", theirs.sub_id_available == Some(0)),
    ];
    for (key, _) in no_counterpart.into_iter().filter(|(_, is_there)| *is_there) {
        let what = match key {
            "maximum_message_expiry_interval" => "messages live as long as their publisher says",
            "maximum_client_writes_pending" => {
                "what waits is bounded in bytes and messages: `high_water`, `max_queued_bytes`; \
                 what is dropped then, `when_full` says: the newest, as there"
            }
            _ => "this cannot be switched off here",
        };
        report.left_out(format!("options.capabilities.{key}: {what}"));
    }
    for (key, _) in theirs.compatibilities.iter().flatten().filter(|(_, is_on)| **is_on) {
        report.left_out(format!(
            "options.capabilities.compatibilities.{key}: there is no such mode here"
        ));
    }
}
