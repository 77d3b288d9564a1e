//! `/healthz` and `/readyz`.

use crate::harness::{Manner, Server, until};

#[tokio::test]
async fn a_running_server_is_alive_and_ready() {
    let server = Server::start().await;
    assert_eq!(server.get("/healthz").await.status, 200);
    let ready = server.get("/readyz").await;
    assert_eq!(ready.status, 200);
    for part in ["link", "store", "database", "state"] {
        assert_eq!(ready.json()[part], "ok", "{ready:?}");
    }
    server.stop().await;
}

#[tokio::test]
async fn a_server_that_cannot_keep_its_state_says_so_and_takes_nothing_back_silently() {
    let server = Server::start().await;
    let _door = server.lock("front-door", Manner::Obeys).await;
    let config = server.folder().join("config.json");
    let aside = server.folder().join("aside");
    std::fs::rename(&config, &aside).unwrap();
    // Where the file was, stands a folder: it cannot be read, nor replaced.
    std::fs::create_dir(&config).unwrap();
    server.delete("/api/v1/devices/front-door").await.problem(503, "unavailable");
    assert_eq!(server.get("/api/v1/devices/front-door").await.status, 200);
    let ready = server.get("/readyz").await;
    let detail = ready.problem(503, "not-ready");
    assert!(detail.contains("state: config.json could not be written"), "{detail}");
    assert_eq!((&ready.json()["link"], &ready.json()["database"]), (&"ok".into(), &"ok".into()));
    assert_eq!(server.get("/healthz").await.status, 200);
    std::fs::remove_dir(&config).unwrap();
    std::fs::rename(&aside, &config).unwrap();
    assert_eq!(server.delete("/api/v1/devices/front-door").await.status, 204);
    assert_eq!(server.get("/readyz").await.status, 200);
    server.stop().await;
}

#[tokio::test]
async fn a_server_whose_broker_cannot_write_its_store_is_not_ready() {
    let server = Server::start().await;
    let door = server.lock("front-door", Manner::Obeys).await;
    let (data, away) = (server.folder().join("data"), server.folder().join("away"));
    std::fs::rename(&data, &away).unwrap();
    // What it says is to be kept, which shows that it cannot be.
    door.say("state jammed").await;
    let detail = until("the failure to be seen", async || {
        let ready = server.get("/readyz").await;
        (ready.status == 503).then(|| ready.problem(503, "not-ready"))
    });
    let detail = detail.await;
    assert!(detail.contains("store: the broker cannot write it"), "{detail}");
    std::fs::rename(&away, &data).unwrap();
    until("it to be well again", async || {
        (server.get("/readyz").await.status == 200).then_some(())
    })
    .await;
    server.stop().await;
}
