//! `/healthz` and `/readyz`.

use crate::harness::Server;

#[tokio::test]
async fn a_running_server_is_alive_and_ready() {
    let server = Server::start().await;
    assert_eq!(server.get("/healthz").await.status, 200);
    let ready = server.get("/readyz").await;
    assert_eq!(ready.status, 200);
    for part in ["link", "database", "state"] {
        assert_eq!(ready.json()[part], "ok", "{ready:?}");
    }
    server.stop().await;
}
