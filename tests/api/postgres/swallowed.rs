//! A database that is there, and does not answer any more.

use serde_json::json;

use super::away::{are_on_record, unlock, until_ready};
use super::proxy::Proxy;
use crate::events::Table;
use crate::harness::{Manner, Server, until};
use crate::postgres_server::Cluster;

async fn behind(proxy: &Proxy, cluster: &Cluster) -> Server {
    cluster.database("latchlight").await;
    let url = proxy.url("latchlight");
    Server::start_with(json!({ "database": { "url": url } })).await
}

#[tokio::test]
async fn a_network_that_swallows_everything_holds_up_nobody_without_end() {
    let cluster = Cluster::start();
    let proxy = Proxy::before(&cluster);
    let server = behind(&proxy, &cluster).await;
    let _door = server.lock("front", Manner::Obeys).await;
    let mut commands = vec![unlock(&server).await];
    let reads = [
        "/api/v1/events",
        "/api/v1/events?count=true",
        "/api/v1/pictures",
        "/api/v1/messages?count=true",
        "/api/v1/messages/19ab3f0c6d2a41c7",
        "/reporting/all",
        "/api/v1/devices/front/commands",
    ];
    for read in reads {
        assert!([200, 404].contains(&server.get(read).await.status), "{read}");
    }
    proxy.swallow();
    let asked = reads.map(|read| server.get(read));
    for (read, answer) in reads.iter().zip(futures_util::future::join_all(asked).await) {
        let said = answer.problem(503, "unavailable");
        assert!(!said.is_empty(), "{read}");
    }
    commands.push(unlock(&server).await);
    let request = server.client.post(server.url("/unlock?device=front"));
    let answer = server.send(request.header("idempotency-key", "k1")).await;
    answer.problem(503, "unavailable");
    let user = json!({ "name": "Ann", "role": "member", "password": "another-long-password" });
    server.post_json("/api/v1/users", &user).await.problem(503, "unavailable");
    let message = json!({ "topic": "messages/x", "payload": 1, "queue": true });
    server.post_json("/messaging/send", &message).await.problem(503, "unavailable");
    server.get("/readyz").await.problem(503, "not-ready");
    commands.push(unlock(&server).await);

    // What was cut is not used again.
    proxy.flow();
    until_ready(&server).await;
    for read in reads {
        assert!([200, 404].contains(&server.get(read).await.status), "{read}");
    }
    commands.push(unlock(&server).await);
    are_on_record(&mut Table::of(server.folder()).await, &commands).await;
    proxy.swallow();
    server.stop().await;
}

#[tokio::test]
async fn what_the_database_does_not_take_for_now_waits_and_is_not_put_aside() {
    let cluster = Cluster::start();
    let proxy = Proxy::before(&cluster);
    let server = behind(&proxy, &cluster).await;
    let door = server.lock("front", Manner::Obeys).await;
    let mut commands = vec![unlock(&server).await];
    proxy.swallow();
    commands.push(unlock(&server).await);
    // Somebody is at work on its tables.
    let direct = json!({ "settings": { "database": { "url": cluster.url("latchlight") } } });
    let beside = tempfile::tempdir().unwrap();
    std::fs::write(beside.path().join("config.json"), direct.to_string()).unwrap();
    let mut table = Table::of(beside.path()).await;
    table.execute("ALTER TABLE events RENAME TO moved").await.unwrap();
    proxy.flow();
    until("the database to refuse", async || {
        let ready = server.get("/readyz").await;
        let detail = ready.problem(503, "not-ready");
        detail.contains("does not take what waits for it").then_some(())
    })
    .await;
    commands.push(unlock(&server).await);
    assert!(!server.folder().join("data/backlog.refused.jsonl").exists());
    table.execute("ALTER TABLE moved RENAME TO events").await.unwrap();
    until_ready(&server).await;
    assert_eq!(door.count("unlock"), 3);
    are_on_record(&mut table, &commands).await;
    assert!(!server.folder().join("data/backlog.refused.jsonl").exists());
    server.stop().await;
}
