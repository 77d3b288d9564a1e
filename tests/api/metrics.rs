//! `/metrics`: what the embedded broker counts.

use crate::harness::{Manner, Server};

#[tokio::test]
async fn the_metrics_are_those_of_the_embedded_broker() {
    let server = Server::start().await;
    let _door = server.lock("front-door", Manner::Obeys).await;
    let answer = server.get("/metrics").await;
    assert_eq!(answer.status, 200);
    assert_eq!(answer.header("content-type"), "text/plain; version=0.0.4; charset=utf-8");
    let page = String::from_utf8(answer.body.to_vec()).unwrap();
    let lines: Vec<_> = page.lines().collect();
    assert!(lines.contains(&"# TYPE mqtt_clients_connected gauge"), "{page}");
    assert!(lines.contains(&"mqtt_clients_connected 1"), "{page}");
    assert!(lines.contains(&"mqtt_store_errors_total 0"), "{page}");
    let head = server.send(server.client.head(server.url("/metrics"))).await;
    assert_eq!((head.status, head.body.len()), (200, 0));
    server.post("/metrics").await.problem(405, "wrong-method");
    server.stop().await;
}
