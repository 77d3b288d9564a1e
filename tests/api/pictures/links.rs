//! Links that open a picture to whoever has them.

use serde_json::{Value, json};

use super::{upload, upload_as};
use crate::harness::{Answer, Server, png, until};

/// A picture, and what was made for it.
async fn linked(server: &Server) -> (Value, Value) {
    let picture = upload(server, "", "image/png", png(640, 480)).await.json();
    let made = server.post(&format!("{}/link", picture["link"].as_str().unwrap())).await;
    assert_eq!(made.status, 201, "{made:?}");
    (picture, made.json())
}

/// Opens a link as somebody whom nobody knows.
async fn open(server: &Server, link: &str) -> Answer {
    server.send(server.stranger.get(link)).await
}

#[tokio::test]
async fn c26_a_link_opens_its_picture_to_whoever_has_it_and_no_other() {
    let server = Server::start().await;
    let (picture, made) = linked(&server).await;
    let (other, _) = linked(&server).await;
    let [link, thumbnail] = ["link", "thumbnail"].map(|key| made[key].as_str().unwrap());
    assert!(link.starts_with(&server.url("/picture/")), "{link}");
    let whole = open(&server, link).await;
    assert_eq!((whole.status, whole.header("content-type")), (200, "image/png"));
    assert_eq!(whole.body, server.get(picture["link"].as_str().unwrap()).await.body);
    for (name, value) in [
        ("cache-control", "private, no-cache"),
        ("referrer-policy", "no-referrer"),
        ("cross-origin-resource-policy", "cross-origin"),
        ("x-content-type-options", "nosniff"),
        ("content-security-policy", "default-src 'none'; sandbox"),
    ] {
        assert_eq!(whole.header(name), value);
    }
    assert!(whole.header("content-disposition").starts_with("inline; filename="));
    let small = open(&server, thumbnail).await;
    assert_eq!((small.status, small.header("content-type")), (200, "image/jpeg"));
    // A telephone that follows it out of a message comes from elsewhere.
    let request = server.stranger.get(link).header("sec-fetch-site", "cross-site");
    assert_eq!(server.send(request).await.status, 200);
    let part = server.stranger.get(link).header("range", "bytes=0-9");
    assert_eq!(server.send(part).await.status, 206);
    assert_eq!(server.send(server.stranger.head(link)).await.status, 200);

    let [id, of_other] = [&picture, &other].map(|picture| picture["id"].as_str().unwrap());
    let signature = link.split_once("&signature=").unwrap().1;
    for altered in [
        link.replace(id, of_other),
        link.replace(id, "67e55044-10b1-426f-9247-bb680e5fe0c8"),
        link.replace(id, "x"),
        link.replace("expires=", "expires=1"),
        link.replace("expires=", "size=thumb&expires="),
        thumbnail.replace("size=thumb&", ""),
        link.replace(signature, "AAAA"),
        format!("{link}A"),
    ] {
        // The same whether there is such a picture or not.
        let why = open(&server, &altered).await.problem(403, "not-allowed");
        assert!(why.contains("not made by this server, or was altered"), "{altered}: {why}");
    }
    for odd in [
        link.split_once("&signature=").unwrap().0.to_owned(),
        link.split_once('?').unwrap().0.to_owned(),
        format!("{link}&size=huge"),
        format!("{link}&x=1"),
        link.replace("expires=", "expires=x"),
    ] {
        let why = open(&server, &odd).await.problem(400, "malformed");
        assert!(!why.contains(signature), "{why}");
    }
    // It opens nothing else.
    let query = link.split_once('?').unwrap().1;
    open(&server, &server.url(&format!("/api/v1/pictures/{id}?{query}")))
        .await
        .problem(401, "unknown-caller");
    open(&server, &server.url(&format!("/get_pic?id={id}&{query}")))
        .await
        .problem(401, "unknown-caller");
    server.stop().await;
}

#[tokio::test]
async fn c26_a_link_ends_with_its_picture_and_with_its_time_and_outlives_a_restart() {
    let server = Server::start_with(json!({
        "http": { "public_url": "https://home.example/" }, "pictures": { "link_seconds": 600 },
    }))
    .await;
    let (picture, made) = linked(&server).await;
    let link = made["link"].as_str().unwrap();
    let path = link.strip_prefix("https://home.example").unwrap().to_owned();
    let server = Server::start_in(server.stop_and_keep().await).await;
    assert_eq!(open(&server, &server.url(&path)).await.status, 200);
    server.delete(picture["link"].as_str().unwrap()).await;
    open(&server, &server.url(&path)).await.problem(404, "not-found");
    server.stop().await;

    let server = Server::start_with(json!({ "pictures": { "link_seconds": 1 } })).await;
    let (_, made) = linked(&server).await;
    let link = made["link"].as_str().unwrap();
    let why = until("the link's end", async || {
        let answer = open(&server, link).await;
        (answer.status != 200).then(|| answer.problem(403, "not-allowed"))
    });
    assert!(why.await.contains("has expired"));
    server.stop().await;
}

#[tokio::test]
async fn where_the_settings_want_no_links_there_are_none() {
    let server = Server::start_with(json!({ "pictures": { "link_seconds": 0 } })).await;
    let porch = server.camera("porch").await;
    let picture = upload_as(&server, "porch", "", png(8, 8)).await.json();
    let link = format!("{}/link", picture["link"].as_str().unwrap());
    let why = server.post(&link).await.problem(403, "not-allowed");
    assert!(why.contains("pictures.link_seconds"), "{why}");
    porch.say("find_stranger").await;
    let plain = server.url(&format!("/get_pic?id={}", picture["id"].as_str().unwrap()));
    until("the answer", async || {
        porch.told().contains(&format!("ok find_stranger {plain}")).then_some(())
    })
    .await;
    open(&server, &plain).await.problem(401, "unknown-caller");
    server.stop().await;
}

#[tokio::test]
async fn c19_who_may_not_see_a_camera_sees_no_picture_of_it_and_gets_no_link() {
    let server = Server::start().await;
    let porch = server.camera("porch").await;
    let picture = upload_as(&server, "porch", "", png(8, 8)).await.json();
    porch.say("find_stranger").await;
    until("the stranger", async || (server.get("/get_pic").await.status == 200).then_some(()))
        .await;
    let grant = |device: &str| json!([{ "actions": [], "devices": [device] }]);
    for (name, device) in [("yara", "yard"), ("pia", "porch")] {
        let user = json!({
            "name": name, "role": "member", "password": "a word of hers", "grants": grant(device),
        });
        assert_eq!(server.post_json("/api/v1/users", &user).await.status, 201);
    }
    let token = async |name: &str| {
        let granted = server.sign_in_as(name, "a word of hers").await;
        granted["access_token"].as_str().unwrap().to_owned()
    };
    let (yara, pia) = (token("yara").await, token("pia").await);
    let path = picture["link"].as_str().unwrap();
    let by_id = format!("/get_pic?id={}", picture["id"].as_str().unwrap());
    let thumbnail = picture["thumbnail"].as_str().unwrap();
    for path in [path, &by_id, thumbnail, "/get_pic"] {
        server.get_as(&yara, path).await.problem(404, "not-found");
        assert_eq!(server.get_as(&pia, path).await.status, 200, "{path}");
    }
    let listed = server.get_as(&yara, "/api/v1/pictures").await.json();
    assert_eq!(listed["pictures"], json!([]));
    let link = server.url(&format!("{path}/link"));
    let ask = |token: &str| server.send(server.stranger.post(&link).bearer_auth(token));
    ask(&yara).await.problem(404, "not-found");
    assert_eq!(ask(&pia).await.status, 201);
    server.send(server.stranger.post(&link)).await.problem(401, "unknown-caller");
    // What gave it is on record.
    let events = server.get("/api/v1/events?kind=picture").await.json();
    let event = &events["events"][0];
    assert_eq!((&event["action"], &event["device"]), (&"link".into(), &"porch".into()), "{events}");
    assert!(event["actor"].as_str().unwrap().contains("pia"), "{events}");
    server.stop().await;
}
