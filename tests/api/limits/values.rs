//! What stands in queries and headers. Idempotency keys and request ids have
//! their limits tested where they are.

use crate::harness::{Server, png};

#[tokio::test]
async fn a_wait_beyond_its_limit_is_refused_by_name() {
    let server = Server::start().await;
    for wait in ["301", "300.001", "-1", "soon", "NaN", "inf"] {
        for path in ["/lock", "/unlock", "/test"] {
            let answer = server.post(&format!("{path}?wait={wait}")).await;
            let detail = answer.problem(400, "malformed");
            assert!(detail.contains("wait"), "{path}: {detail}");
        }
    }
    server.post("/lock?wait=300").await.problem(404, "not-found");
    server.stop().await;
}

#[tokio::test]
async fn a_page_beyond_its_limit_is_refused_by_name() {
    let server = Server::start().await;
    let _camera = server.camera("porch").await;
    for path in ["/api/v1/devices", "/api/v1/devices/porch/commands"] {
        for limit in ["0", "1001", "-1", "many"] {
            let answer = server.get(&format!("{path}?limit={limit}")).await;
            let detail = answer.problem(400, "malformed");
            assert!(detail.contains("limit"), "{path}: {detail}");
        }
        assert_eq!(server.get(&format!("{path}?limit=1000")).await.status, 200);
    }
    server.stop().await;
}

#[tokio::test]
async fn a_name_of_one_byte_too_many_is_refused() {
    let server = Server::start().await;
    let upload = async |name: &str| {
        let request = server.client.post(server.url(&format!("/api/v1/pictures?name={name}")));
        server.send(request.header("content-type", "image/png").body(png(4, 4))).await
    };
    assert_eq!(upload(&"x".repeat(128)).await.status, 201);
    let detail = upload(&"x".repeat(129)).await.problem(422, "invalid");
    assert!(detail.contains("128"), "{detail}");
    server.stop().await;
}
