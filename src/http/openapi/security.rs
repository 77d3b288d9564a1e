//! Who may ask, as the page of routes has it.

use serde_json::{Map, Value, json};

use crate::http::Needs;
use crate::identity::{Scope, Scopes};

/// How somebody shows who they are.
pub(super) fn schemes() -> Value {
    let scopes = Scope::ALL.into_iter();
    let scopes: Map<_, _> =
        scopes.map(|scope| (scope.as_str().to_owned(), meaning(scope).into())).collect();
    json!({
        "oauth2": {
            "type": "oauth2",
            "description": "Name and password for an access token. Without a scope, it is good \
                for all that the account may.",
            "flows": { "password": {
                "tokenUrl": "/oauth/token",
                "refreshUrl": "/oauth/token",
                "scopes": scopes,
            }},
        },
        "bearer": {
            "type": "http",
            "scheme": "bearer",
            "description": "An API key (`llk_…`), or an access token from elsewhere.",
        },
        "device": {
            "type": "http",
            "scheme": "basic",
            "description": "A device's id and its password, as over MQTT.",
        },
    })
}

/// What a token is good for that has this scope.
fn meaning(scope: Scope) -> &'static str {
    match scope {
        Scope::DevicesRead => "See devices, their states and commands",
        Scope::LocksOperate => "Lock and unlock",
        Scope::LightsOperate => "Switch lights and whatever is no lock, and perform other actions",
        Scope::MessagesSend => "Send messages, and see what became of them",
        Scope::MessagesRead => "See every message that was sent or received",
        Scope::PicturesRead => "See what cameras saw",
        Scope::PicturesWrite => "Send pictures in",
        Scope::EventsRead => "See what happened, and who did it",
        Scope::MetricsRead => "See what the server counts",
        Scope::Admin => "Everything else: accounts, devices, plugins",
    }
}

/// What an operation needs, for programs, and in a sentence for people.
pub(super) fn add(operation: &mut Value, needs: Needs) {
    let (security, sentence) = match needs {
        Needs::Nothing => (json!([]), "Needs nothing.".to_owned()),
        Needs::Device => (json!([{ "device": [] }]), "Needs a device's password.".to_owned()),
        Needs::AnyOf(scopes) if scopes == Scopes::all() => {
            (json!([{ "oauth2": [] }, { "bearer": [] }]), "Needs any scope.".to_owned())
        }
        Needs::AnyOf(scopes) | Needs::DeviceOr(scopes) => {
            let with = |scheme: &'static str| {
                scopes.iter().map(move |scope| json!({ (scheme): [scope.as_str()] }))
            };
            let names: Vec<_> = scopes.iter().map(|scope| format!("`{scope}`")).collect();
            let device = (needs == Needs::DeviceOr(scopes)).then(|| json!({ "device": [] }));
            let or_device = if device.is_some() { ", or a device's password" } else { "" };
            let security = with("oauth2").chain(with("bearer")).chain(device).collect();
            (security, format!("Needs the scope {}{or_device}.", names.join(" or ")))
        }
    };
    operation["security"] = security;
    let said = operation["description"].as_str().unwrap_or_default();
    operation["description"] = format!("{said}\n\n{sentence}").trim_start().into();
}
