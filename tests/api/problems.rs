//! Every bad request is answered with problem details that say what was wrong.

use crate::harness::{Answer, Manner, Server};

async fn post(server: &Server, path: &str, media_type: &str, body: &'static str) -> Answer {
    let request = server.client.post(server.url(path)).header("content-type", media_type);
    server.send(request.body(body)).await
}

#[tokio::test]
async fn an_unknown_route_is_404() {
    let server = Server::start().await;
    for path in
        ["/no/such", "/lock/", "/api/v1", "/api/v2/devices", "/static/index.html", "/%2e%2fx"]
    {
        server.get(path).await.problem(404, "no-route");
    }
    server.stop().await;
}

#[tokio::test]
async fn a_wrong_method_is_405_with_allow() {
    let server = Server::start().await;
    for (method, path, allow) in [
        ("POST", "/hello", "GET, HEAD"),
        ("PUT", "/lock", "POST"),
        ("GET", "/test", "POST"),
        ("DELETE", "/api/v1/devices", "GET, HEAD"),
        ("PATCH", "/api/v1/devices/a", "GET, HEAD, DELETE"),
        ("PUT", "/api/v1/pictures", "GET, HEAD, POST"),
        ("POST", "/api/v1/broker", "GET, HEAD"),
        ("POST", "/", "GET, HEAD"),
    ] {
        let method = method.parse().unwrap();
        let answer = server.send(server.client.request(method, server.url(path))).await;
        let detail = answer.problem(405, "wrong-method");
        assert_eq!(answer.header("allow"), allow, "{path}");
        assert!(detail.contains(allow), "{detail}");
    }
    server.stop().await;
}

#[tokio::test]
async fn an_unknown_or_wrong_query_key_is_400_by_name() {
    let server = Server::start().await;
    for (path, says) in [
        ("/lock?devcie=front-door", "devcie"),
        ("/unlock?device=Front", "a-z"),
        ("/unlock?device=", "a-z"),
        ("/lock?kind=door", "door"),
        ("/lock?device=a&kind=lock", "not both"),
        ("/lock?device=a&device=b", "device"),
        ("/test?device=a", "device"),
    ] {
        let detail = server.post(path).await.problem(400, "malformed");
        assert!(detail.contains(says), "{path}: {detail}");
    }
    for (path, says) in [
        ("/api/v1/devices?page=2", "query: unknown field `page`, expected one of"),
        ("/api/v1/devices?cursor=A", "a-z"),
        ("/api/v1/devices?count=maybe", "query: count: provided string was not `true`"),
        ("/api/v1/messages?from=yesterday", "query: from: `yesterday` is no moment"),
        ("/api/v1/messages?limit=0", "query: limit: `0` is not 1 to 1000"),
        ("/api/v1/messages?cursor=x", "query: cursor: "),
        ("/api/v1/messages?topic=a%23", "query: topic: `a#` is no topic filter"),
        ("/api/v1/devices/a?x=1", "x"),
        ("/api/v1/actions?x=1", "x"),
        ("/api/v1/commands/x?y=1", "y"),
        ("/api/v1/devices/a/commands?cursor=1", "UUID"),
        ("/api/v1/pictures?stranger=true", "strangers"),
        ("/api/v1/broker?x=1", "x"),
        ("/get_pic?name=x", "name"),
    ] {
        let detail = server.get(path).await.problem(400, "malformed");
        assert!(detail.contains(says), "{path}: {detail}");
    }
    server.stop().await;
}

#[tokio::test]
async fn bad_json_is_400_and_a_wrong_field_422_by_name() {
    let server = Server::start().await;
    let door = server.lock("a", Manner::Obeys).await;
    let path = "/api/v1/devices/a/commands";
    for body in ["", "{", "lock", "{\"verb\": \"lock\"} x", "{\"verb\": \"lo"] {
        let detail = post(&server, path, "application/json", body).await.problem(400, "malformed");
        assert!(detail.contains("JSON"), "{body}: {detail}");
    }
    for (body, says) in [
        ("[]", "object"),
        (r#"["unlock"]"#, "object"),
        ("\"lock\"", "struct"),
        ("{}", "verb"),
        (r#"{"verb": 1}"#, "verb"),
        (r#"{"verb": "LOCK"}"#, "verb"),
        (r#"{"verb": "lock", "force": true}"#, "force"),
        (r#"{"verb": "lock", "issuer": "root"}"#, "issuer"),
        (r#"{"verb": "lock", "id": "1"}"#, "id"),
        (r#"{"verb": "lock", "id": "67e55044-10b1-426f-9247-bb680e5fe0c8"}"#, "version 7"),
        (r#"{"verb": "lock", "verb": "unlock"}"#, "verb"),
    ] {
        let detail = post(&server, path, "application/json", body).await.problem(422, "invalid");
        assert!(detail.contains(says), "{body}: {detail}");
    }
    post(&server, path, "text/plain", "lock").await.problem(415, "wrong-type");
    assert_eq!(door.told(), [""; 0]);
    server.stop().await;
}

#[tokio::test]
async fn a_command_that_is_not_there_is_404() {
    let server = Server::start().await;
    for id in ["x", "67e55044-10b1-426f-9247-bb680e5fe0c8", "01890a5d-ac96-774b-bcce-b302099a8057"]
    {
        server.get(&format!("/api/v1/commands/{id}")).await.problem(404, "not-found");
    }
    server.stop().await;
}
