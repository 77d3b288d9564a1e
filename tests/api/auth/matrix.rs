//! Every route, and everybody (C18, C19). The routes are the server's own list:
//! a new one is in it, and its ids are `front`'s unless a line here says
//! otherwise.

use latchlight::http::{Needs, RouteInfo, routes};
use latchlight::identity::{Role, Scope, Scopes};
use reqwest::{Method, RequestBuilder};
use serde_json::json;

use crate::harness::{Manner, Server, png};

/// Somebody who asks, and what they may be let in for.
struct Somebody {
    name: &'static str,
    shows: Shows,
    scopes: Scopes,
    /// Whether they may see `front`.
    sees_front: bool,
}

enum Shows {
    Nothing,
    Bearer(String),
    Device(String),
}

/// What there is of `front`.
struct Front {
    command: String,
    picture: String,
}

impl Somebody {
    fn asks(&self, server: &Server, route: &RouteInfo, front: &Front) -> RequestBuilder {
        let id = match route.path {
            path if path.contains("/commands/{id}") => &front.command,
            path if path.contains("/pictures/{id}") => &front.picture,
            _ => "front",
        };
        let name = if route.path.contains("/actions/") { "unlock" } else { "front" };
        let mut path = route.path.replace("{id}", id).replace("{name}", name).replace("{seq}", "1");
        if ["/lock", "/unlock"].contains(&route.path) {
            path.push_str("?device=front");
        }
        let method = Method::from_bytes(route.method.as_str().as_bytes()).unwrap();
        let mut request = server.stranger.request(method.clone(), server.url(&path));
        if method == Method::POST {
            let body = match route.path {
                "/test" => json!({ "action": "unlock", "device": "front" }),
                "/api/v1/actions/{name}" => json!({ "device": "front" }),
                "/api/v1/devices/{id}/commands" => json!({ "verb": "unlock" }),
                _ => json!({}),
            };
            request = request.json(&body);
        }
        match &self.shows {
            Shows::Nothing => request,
            Shows::Bearer(token) => request.bearer_auth(token),
            Shows::Device(secret) => request.basic_auth("spare", Some(secret)),
        }
    }

    /// Asks, and gives the status and the type of the problem.
    async fn ask(&self, server: &Server, route: &RouteInfo, front: &Front) -> (u16, String) {
        let request = self.asks(server, route, front);
        if route.path == "/api/v1/events/stream" {
            // Whoever is let in gets an answer without an end.
            let response = request.try_clone().unwrap().send().await.unwrap();
            if response.status() == 200 {
                return (200, String::new());
            }
        }
        let answer = server.send(request).await;
        let problem = serde_json::from_slice::<serde_json::Value>(&answer.body).ok();
        let kind = problem.and_then(|problem| Some(problem["type"].as_str()?.to_owned()));
        let kind = kind.unwrap_or_default().replace("urn:latchlight:problem:", "");
        (answer.status, kind)
    }

    /// Whether what the route says that it needs is what it takes.
    async fn check(&self, server: &Server, route: &RouteInfo, front: &Front) {
        let (status, kind) = self.ask(server, route, front).await;
        let what = format!("{} {} {}: {status} {kind}", self.name, route.method, route.path);
        let let_in = match (&self.shows, route.needs) {
            (_, Needs::Nothing) => {
                assert_ne!(kind, "unknown-caller", "{what}");
                return;
            }
            (Shows::Nothing, _) => {
                assert_eq!((status, &*kind), (401, "unknown-caller"), "{what}");
                return;
            }
            (Shows::Device(_), Needs::DeviceOr(_)) => true,
            (_, Needs::AnyOf(scopes) | Needs::DeviceOr(scopes)) => {
                !self.scopes.both(scopes).is_empty()
            }
            (shows, _) => matches!(shows, Shows::Device(_)),
        };
        if !let_in {
            assert_eq!(status, 403, "{what}");
        } else {
            assert!(status != 401 && kind != "insufficient-scope", "{what}");
            let is_fronts = route.path.contains('{') || route.path == "/test";
            let is_fronts = is_fronts || ["/lock", "/unlock"].contains(&route.path);
            if is_fronts && !self.sees_front {
                assert!([403, 404, 405].contains(&status), "what is not theirs: {what}");
            }
        }
    }
}

#[tokio::test]
async fn c19_every_route_lets_in_whom_it_says_and_shows_nobody_what_is_anothers() {
    let server = Server::start().await;
    let door = server.lock("front", Manner::Obeys).await;
    let command = server.post("/lock?device=front&wait=5").await.devices(200).remove(0);
    let upload = server.client.post(server.url("/api/v1/pictures?device=front")).body(png(8, 8));
    let picture = server.send(upload).await.json();
    let front = Front {
        command: command["command"].as_str().unwrap().to_owned(),
        picture: picture["id"].as_str().unwrap().to_owned(),
    };
    let grant = json!({ "actions": ["lock", "unlock"], "devices": ["back"] });
    let password = "a word for the guest";
    for user in [
        json!({ "name": "gus", "role": "guest", "password": password, "grants": [grant] }),
        json!({ "name": "mia", "role": "member", "password": password }),
    ] {
        assert_eq!(server.post_json("/api/v1/users", &user).await.status, 201);
    }
    let key = json!({ "name": "reader", "scopes": "devices:read" });
    let key = server.post_json("/api/v1/api-keys", &key).await.json();
    let token = async |name: &str| {
        let granted = server.sign_in_as(name, password).await;
        Shows::Bearer(granted["access_token"].as_str().unwrap().to_owned())
    };
    let scopes = |role: Role| role.scopes();
    let before = door.told().len();
    let no = Scopes::default();
    let some = |name, shows, scopes, sees_front| Somebody { name, shows, scopes, sees_front };
    let device = server.device_secret("spare").await;
    let key = Shows::Bearer(key["secret"].as_str().unwrap().to_owned());
    let reader = Scopes::from_iter([Scope::DevicesRead]);
    for somebody in [
        some("nobody", Shows::Nothing, no, false),
        some("a guest", token("gus").await, scopes(Role::Guest), false),
        some("a key", key, reader, true),
        some("a device", Shows::Device(device), no, false),
    ] {
        for route in routes() {
            somebody.check(&server, &route, &front).await;
        }
    }
    assert_eq!(door.told().len(), before, "none of it had an effect");
    assert_eq!(server.get("/api/v1/devices/front").await.status, 200, "and it is still there");
    let picture = format!("/api/v1/pictures/{}", front.picture);
    assert_eq!(server.get(&picture).await.status, 200);
    let member = some("a member", token("mia").await, scopes(Role::Member), true);
    let owner = Shows::Bearer(server.token.clone());
    let owner = some("the owner", owner, Scopes::all(), true);
    for somebody in [member, owner] {
        for route in routes() {
            somebody.check(&server, &route, &front).await;
        }
    }
    server.stop().await;
}

#[test]
fn c19_nothing_but_what_everybody_may_know_needs_nothing() {
    let open = routes().into_iter().filter(|route| route.needs == Needs::Nothing);
    let open: Vec<_> = open.map(|route| format!("{} {}", route.method, route.path)).collect();
    let known = [
        "GET /hello",
        "GET /picture/{id}",
        "GET /healthz",
        "GET /readyz",
        "POST /oauth/token",
        "POST /oauth/revoke",
        "GET /oauth/oidc",
        "GET /oauth/oidc/start",
        "GET /oauth/oidc/callback",
        "GET /.well-known/security.txt",
        "GET /api-docs/openapi.json",
        "GET /docs",
        "GET /docs/start.js",
        "GET /docs/swagger-ui.js",
        "GET /docs/swagger-ui.css",
        "GET /",
        "GET /board.css",
        "GET /board.js",
        "GET /live.js",
        "GET /session.js",
        "GET /words.js",
        "GET /favicon.svg",
    ];
    assert_eq!(open, known);
}
