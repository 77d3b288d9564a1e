//! `/api/v1/devices`.

use crate::harness::{Manner, Server};

#[tokio::test]
async fn the_list_is_sorted_and_paged_by_id() {
    let server = Server::start().await;
    for id in ["c", "a", "b"] {
        server.lock(id, Manner::Obeys).await;
    }
    let page = server.get("/api/v1/devices?limit=2&count=true").await.json();
    assert_eq!(page["devices"][0]["id"], "a");
    assert_eq!(page["devices"][1]["id"], "b");
    assert_eq!((&page["next_cursor"], &page["total"]), (&"b".into(), &3.into()));
    let page = server.get("/api/v1/devices?limit=2&cursor=b").await.json();
    assert_eq!(page["devices"][0]["id"], "c");
    assert!(page["next_cursor"].is_null() && page["total"].is_null());
    server.stop().await;
}

#[tokio::test]
async fn a_page_that_just_fits_has_no_next() {
    let server = Server::start().await;
    server.lock("a", Manner::Obeys).await;
    assert!(server.get("/api/v1/devices?limit=1").await.json()["next_cursor"].is_null());
    server.stop().await;
}

#[tokio::test]
async fn a_kind_filters_the_list() {
    let server = Server::start().await;
    server.lock("door", Manner::Obeys).await;
    server.light("hall", Manner::Obeys).await;
    let page = server.get("/api/v1/devices?kind=light&count=true").await.json();
    assert_eq!((&page["devices"][0]["id"], &page["total"]), (&"hall".into(), &1.into()));
    server.stop().await;
}

#[tokio::test]
async fn who_has_the_list_is_told_304_until_it_changes() {
    let server = Server::start().await;
    let door = server.lock("door", Manner::Obeys).await;
    let first = server.get("/api/v1/devices").await;
    let tag = first.header("etag").to_owned();
    let ask = async || {
        let request = server.client.get(server.url("/api/v1/devices"));
        server.send(request.header("if-none-match", &tag)).await
    };
    let same = ask().await;
    assert_eq!((same.status, same.body.len()), (304, 0));
    door.say("state jammed").await;
    crate::harness::until("the list to change", async || (ask().await.status == 200).then_some(()))
        .await;
    server.stop().await;
}

#[tokio::test]
async fn c8_a_device_that_has_not_spoken_yet_is_unknown() {
    let server = Server::start().await;
    let _door =
        crate::harness::Device::join(&server, "door", "lock", "unknown", Manner::Obeys).await;
    let device = server.get("/api/v1/devices/door").await.json();
    assert_eq!(device["state"], "unknown");
    assert_eq!(device["kind"], "lock");
    server.stop().await;
}

#[tokio::test]
async fn c8_a_state_changes_only_when_the_device_says_so() {
    let server = Server::start().await;
    let _door = server.lock("door", Manner::Silent).await;
    server.post("/lock?device=door&wait=0.3").await.devices(202);
    assert_eq!(server.get("/api/v1/devices/door").await.json()["state"], "unlocked");
    server.stop().await;
}

#[tokio::test]
async fn a_removed_device_is_gone_from_the_list_and_from_the_file() {
    let server = Server::start().await;
    server.lock("door", Manner::Obeys).await.leave(&server).await;
    assert_eq!(server.delete("/api/v1/devices/door").await.status, 204);
    let config = std::fs::read_to_string(server.folder().join("config.json")).unwrap();
    assert!(!config.contains("\"door\""), "{config}");
    server.get("/api/v1/devices/door").await.problem(404, "not-found");
    server.delete("/api/v1/devices/door").await.problem(404, "not-found");
    server.stop().await;
}

#[tokio::test]
async fn what_cannot_be_a_device_is_404_with_the_rule() {
    let server = Server::start().await;
    for id in ["Door", "a%20b", "..%2f..", "x%00"] {
        let detail = server.get(&format!("/api/v1/devices/{id}")).await.problem(404, "not-found");
        assert!(detail.contains("a-z"), "{id}: {detail}");
    }
    server.stop().await;
}
