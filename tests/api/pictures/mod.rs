//! Pictures: C26, `/api/v1/pictures`, `/get_pic` and `/picture`.

mod cameras;
mod links;

use serde_json::json;

use crate::harness::{Answer, Server, jpeg_with_metadata, png, until};

/// As the owner.
async fn upload(server: &Server, query: &str, media_type: &str, bytes: Vec<u8>) -> Answer {
    let request = server.client.post(server.url(&format!("/api/v1/pictures{query}")));
    server.send(request.header("content-type", media_type).body(bytes)).await
}

/// As a camera, which shows its own credentials.
async fn upload_as(server: &Server, camera: &str, query: &str, bytes: Vec<u8>) -> Answer {
    let secret = server.device_secret(camera).await;
    let request = server.stranger.post(server.url(&format!("/api/v1/pictures{query}")));
    server.send(request.basic_auth(camera, Some(secret)).body(bytes)).await
}

#[tokio::test]
async fn a_raw_picture_is_kept_and_given_back() {
    let server = Server::start().await;
    let answer = upload(&server, "?name=door.png", "image/png", png(40, 30)).await;
    let picture = answer.json();
    assert_eq!(answer.status, 201, "{picture}");
    assert_eq!((&picture["width"], &picture["height"]), (&40.into(), &30.into()));
    assert_eq!(
        (&picture["media_type"], &picture["name"]),
        (&"image/png".into(), &"door.png".into())
    );
    assert_eq!(answer.header("location"), picture["link"].as_str().unwrap());
    let given = server.get(picture["link"].as_str().unwrap()).await;
    assert_eq!(given.header("content-type"), "image/png");
    let decoded = image::load_from_memory(&given.body).unwrap();
    assert_eq!((decoded.width(), decoded.height()), (40, 30));
    server.stop().await;
}

#[tokio::test]
async fn a_part_of_a_form_is_a_picture_with_its_file_name() {
    let server = Server::start().await;
    let part = reqwest::multipart::Part::bytes(png(8, 8)).file_name("porch.png");
    let form = reqwest::multipart::Form::new().part("picture", part);
    let request = server.client.post(server.url("/api/v1/pictures")).multipart(form);
    let answer = server.send(request).await;
    assert_eq!((answer.status, &answer.json()["name"]), (201, &"porch.png".into()));
    server.stop().await;
}

#[tokio::test]
async fn a_form_with_other_parts_or_without_a_picture_is_refused_by_name() {
    let server = Server::start().await;
    let form = reqwest::multipart::Form::new().text("owner", "me");
    let request = server.client.post(server.url("/api/v1/pictures")).multipart(form);
    assert!(server.send(request).await.problem(422, "invalid").contains("owner"));
    let none = b"--edge--\r\n".to_vec();
    let answer = upload(&server, "", "multipart/form-data; boundary=edge", none).await;
    assert!(answer.problem(422, "invalid").contains("no part `picture`"));
    server.stop().await;
}

#[tokio::test]
async fn c26_metadata_and_what_is_hidden_behind_a_picture_is_dropped() {
    let server = Server::start().await;
    let mut bytes = jpeg_with_metadata(64, 32, "52.5200N 13.4050E of a Secret Place");
    bytes.extend_from_slice(b"<html>a Secret Page</html>");
    assert!(bytes.windows(6).any(|window| window == b"Secret"));
    let picture = upload(&server, "", "image/jpeg", bytes).await.json();
    // The orientation that the metadata told is in the pixels now.
    assert_eq!((&picture["width"], &picture["height"]), (&32.into(), &64.into()), "{picture}");
    let given = server.get(picture["link"].as_str().unwrap()).await.body;
    for secret in [&b"Secret"[..], b"Exif", b"13.4050E"] {
        assert!(!given.windows(secret.len()).any(|window| window == secret));
    }
    server.stop().await;
}

#[tokio::test]
async fn c26_what_is_no_picture_is_422_whatever_it_says_it_is() {
    let server = Server::start().await;
    let whole = png(40, 40);
    let jpeg = jpeg_with_metadata(40, 40, "");
    let gif = b"GIF89a\x01\0\x01\0\x80\0\0\xff\xff\xff\0\0\0!\xf9\x04\x01\0\0\0\0,\0\0\0\0\x01\0\x01\0\0\x02\x02D\x01\0;";
    for (bytes, what) in [
        (b"<svg onload='alert(1)'/>".to_vec(), "markup"),
        (b"<html><script>alert(1)</script>".to_vec(), "a page"),
        (gif.to_vec(), "another format"),
        (vec![], "nothing"),
        (whole[..whole.len() / 2].to_vec(), "half a PNG"),
        (jpeg[..jpeg.len() - 2].to_vec(), "a JPEG without its end"),
        ([&whole[..33], b"<script>"].concat(), "a PNG's head and then none"),
    ] {
        let answer = upload(&server, "", "image/png", bytes).await;
        assert_eq!(answer.status, 422, "{what}: {answer:?}");
        let detail = answer.problem(422, "invalid");
        assert!(detail.contains("picture"), "{what}: {detail}");
    }
    upload(&server, "", "text/html", whole).await.problem(415, "wrong-type");
    assert_eq!(std::fs::read_dir(server.folder().join("data/pictures")).unwrap().count(), 0);
    server.stop().await;
}

#[tokio::test]
async fn c26_a_bomb_of_pixels_is_refused_by_its_head() {
    let server = Server::start_with(json!({ "pictures": { "max_pixels": 10_000 } })).await;
    assert_eq!(upload(&server, "", "image/png", png(100, 100)).await.status, 201);
    let detail = upload(&server, "", "image/png", png(73, 137)).await.problem(422, "invalid");
    assert!(detail.contains("73 × 137") && detail.contains("10000"), "{detail}");
    // A head alone, of a picture that would take 12 gigabytes.
    let mut bomb = png(1, 1);
    bomb[16..24].copy_from_slice(&[0, 0, 0xF0, 0, 0, 0, 0xF0, 0]);
    upload(&server, "", "image/png", bomb).await.problem(422, "invalid");
    server.stop().await;
}

#[tokio::test]
async fn names_and_devices_that_cannot_be_are_refused() {
    let server = Server::start().await;
    for name in ["a%20b", "..%2Fsecret", "%00", ""] {
        let answer = upload(&server, &format!("?name={name}"), "image/png", png(4, 4)).await;
        assert!(answer.problem(422, "invalid").contains("name"), "{name}");
    }
    let answer = upload(&server, "?device=nobody", "image/png", png(4, 4)).await;
    answer.problem(404, "not-found");
    let answer = upload(&server, "?owner=me", "image/png", png(4, 4)).await;
    assert!(answer.problem(400, "malformed").contains("owner"));
    server.stop().await;
}

#[tokio::test]
async fn get_pic_is_404_until_a_stranger_was_seen_and_then_the_newest() {
    let server = Server::start().await;
    let porch = server.camera("porch").await;
    server.get("/get_pic").await.problem(404, "not-found");
    let first = upload_as(&server, "porch", "?name=door.png", png(10, 10)).await.json();
    server.get("/get_pic").await.problem(404, "not-found");
    porch.say("find_stranger door.png").await;
    let seen = until("the stranger", async || {
        let answer = server.get("/get_pic").await;
        (answer.status == 200).then_some(answer)
    })
    .await;
    assert_eq!(seen.header("content-type"), "image/png");
    let tag = seen.header("etag").to_owned();
    let request = server.client.get(server.url("/get_pic")).header("if-none-match", &tag);
    assert_eq!(server.send(request).await.status, 304);
    let known = server.client.get(server.url("/get_pic")).header("accept", "application/json");
    assert_eq!(server.send(known).await.json()["id"], first["id"]);
    // A newer one, over MQTT this time.
    porch.upload(jpeg_with_metadata(20, 20, "x")).await;
    porch.say("find_stranger").await;
    until("the newer stranger", async || {
        let answer = server.get("/get_pic").await;
        (answer.header("content-type") == "image/jpeg").then_some(())
    })
    .await;
    let older = server.get(&format!("/get_pic?id={}", first["id"].as_str().unwrap())).await;
    assert_eq!(older.body, seen.body);
    server.stop().await;
}

#[tokio::test]
async fn pictures_are_paged_newest_first_and_those_of_strangers_as_they_were_seen() {
    let server = Server::start().await;
    let porch = server.camera("porch").await;
    assert_eq!(server.get("/api/v1/pictures?strangers=true").await.json()["pictures"], json!([]));
    let mut ids = Vec::new();
    for name in ["a", "b", "c"] {
        let query = format!("?name={name}");
        let picture = upload_as(&server, "porch", &query, png(4, 4)).await.json();
        ids.push(picture["id"].as_str().unwrap().to_owned());
    }
    // The oldest is the last to be said to show a stranger.
    for (name, id) in [("b", &ids[1]), ("a", &ids[0])] {
        porch.say(&format!("find_stranger {name}")).await;
        let path = format!("/api/v1/pictures/{id}");
        until("the stranger", async || {
            let picture = server.client.get(server.url(&path)).header("accept", "application/json");
            let picture = server.send(picture).await.json();
            let at: jiff::Timestamp = picture["stranger_at"].as_str()?.parse().unwrap();
            // The next is seen at another millisecond.
            (jiff::Timestamp::now().as_millisecond() > at.as_millisecond()).then_some(())
        })
        .await;
    }
    let [a, b, c] = [&ids[0], &ids[1], &ids[2]];
    for (query, order) in [("", vec![c, b, a]), ("&strangers=true", vec![a, b])] {
        let mut cursor = String::new();
        for (nth, id) in order.iter().enumerate() {
            let path = format!("/api/v1/pictures?limit=1{query}{cursor}");
            let page = server.get(&path).await.json();
            assert_eq!(page["pictures"].as_array().unwrap().len(), 1);
            assert_eq!(page["pictures"][0]["id"], **id, "{path}");
            assert_eq!(page["pictures"][0]["link"], format!("/api/v1/pictures/{id}"));
            assert_eq!(page["next_cursor"].is_null(), nth + 1 == order.len(), "{page}");
            cursor = format!("&cursor={id}");
        }
    }
    let gone = "/api/v1/pictures?cursor=67e55044-10b1-426f-9247-bb680e5fe0c8";
    server.get(gone).await.problem(404, "not-found");
    server.stop().await;
}

#[tokio::test]
async fn the_alerts_link_leads_to_the_picture() {
    let server = Server::start().await;
    let porch = server.camera("porch").await;
    let picture = upload_as(&server, "porch", "", png(10, 10)).await.json();
    porch.say("find_stranger").await;
    let link = until("the answer with the link", async || {
        let told = porch.told();
        let words = told.iter().find(|words| words.starts_with("ok find_stranger "))?;
        Some(words.rsplit(' ').next()?.to_owned())
    })
    .await;
    assert!(link.starts_with(&server.url("/picture/")), "{link}");
    let given = server.send(server.stranger.get(&link)).await;
    assert_eq!(given.body, server.get(picture["link"].as_str().unwrap()).await.body);
    server.stop().await;
}

#[tokio::test]
async fn c26_a_deleted_picture_is_gone_from_every_route_and_from_disk() {
    let server = Server::start().await;
    let porch = server.camera("porch").await;
    let picture = upload_as(&server, "porch", "", png(10, 10)).await.json();
    porch.say("find_stranger").await;
    until("the stranger", async || (server.get("/get_pic").await.status == 200).then_some(()))
        .await;
    let link = picture["link"].as_str().unwrap();
    assert_eq!(server.delete(link).await.status, 204);
    server.get(link).await.problem(404, "not-found");
    server.get("/get_pic").await.problem(404, "not-found");
    server.delete(link).await.problem(404, "not-found");
    assert_eq!(std::fs::read_dir(server.folder().join("data/pictures")).unwrap().count(), 0);
    server.stop().await;
}

#[tokio::test]
async fn c26_no_path_leads_out_of_the_picture_folder() {
    let server = Server::start().await;
    for id in ["..%2F..%2Fconfig.json", "config.json", "%2Fetc%2Fpasswd", "x"] {
        server.get(&format!("/api/v1/pictures/{id}")).await.problem(404, "not-found");
        server.get(&format!("/get_pic?id={id}")).await.problem(404, "not-found");
    }
    server.stop().await;
}

#[tokio::test]
async fn c26_a_thumbnail_fits_and_has_no_metadata_and_goes_with_its_picture() {
    let server = Server::start().await;
    let bytes = jpeg_with_metadata(800, 600, "52.5200N 13.4050E of a Secret Place");
    let picture = upload(&server, "", "image/jpeg", bytes).await.json();
    let link = picture["thumbnail"].as_str().unwrap();
    assert_eq!(link, format!("{}?size=thumb", picture["link"].as_str().unwrap()));
    let small = server.get(link).await;
    assert_eq!((small.status, small.header("content-type")), (200, "image/jpeg"));
    assert_eq!(small.body.len() as u64, picture["thumbnail_size"].as_u64().unwrap());
    for secret in [&b"Secret"[..], b"Exif", b"13.4050E"] {
        assert!(!small.body.windows(secret.len()).any(|window| window == secret));
    }
    // It was turned by a quarter, as the metadata said.
    let decoded = image::load_from_memory(&small.body).unwrap();
    assert_eq!((decoded.width(), decoded.height()), (180, 240));
    let by_id = format!("/get_pic?id={}&size=thumb", picture["id"].as_str().unwrap());
    assert_eq!(server.get(&by_id).await.body, small.body);
    let whole = server.get(picture["link"].as_str().unwrap()).await;
    assert_ne!(whole.header("etag"), small.header("etag"));
    server.get("/get_pic?size=huge").await.problem(400, "malformed");
    assert_eq!(server.delete(picture["link"].as_str().unwrap()).await.status, 204);
    server.get(link).await.problem(404, "not-found");
    assert_eq!(std::fs::read_dir(server.folder().join("data/pictures")).unwrap().count(), 0);
    server.stop().await;
}

#[tokio::test]
async fn a_part_of_a_picture_is_206_and_one_that_is_not_there_416() {
    let server = Server::start().await;
    let picture = upload(&server, "", "image/png", png(40, 30)).await.json();
    let link = server.url(picture["link"].as_str().unwrap());
    let whole = server.send(server.client.get(&link)).await;
    let length = whole.body.len();
    assert_eq!(whole.header("accept-ranges"), "bytes");
    assert_eq!(whole.header("content-security-policy"), "default-src 'none'; sandbox");
    assert_eq!(whole.header("x-content-type-options"), "nosniff");
    assert_eq!(whole.header("cache-control"), "private, no-cache");
    let id = picture["id"].as_str().unwrap();
    assert_eq!(whole.header("content-disposition"), format!("inline; filename=\"{id}.png\""));
    let tag = whole.header("etag").to_owned();
    let part = async |range: &str, more: &[(&str, &str)]| {
        let request = server.client.get(&link).header("range", range);
        let request =
            more.iter().fold(request, |request, (name, value)| request.header(*name, *value));
        server.send(request).await
    };
    let first = part("bytes=0-9", &[]).await;
    assert_eq!((first.status, &first.body[..]), (206, &whole.body[..10]));
    assert_eq!(first.header("content-range"), format!("bytes 0-9/{length}"));
    assert_eq!(first.header("etag"), tag);
    // What was begun goes on, and makes the whole.
    let rest = part("bytes=10-", &[("if-range", &tag)]).await;
    assert_eq!((rest.status, &rest.body[..]), (206, &whole.body[10..]));
    let last = part("bytes=-1", &[]).await;
    assert_eq!((last.status, &last.body[..]), (206, &whole.body[length - 1..]));
    let beyond = part(&format!("bytes={length}-"), &[]).await;
    beyond.problem(416, "no-such-part");
    assert_eq!(beyond.header("content-range"), format!("bytes */{length}"));
    for (range, more) in [
        ("bytes=0-9,20-29", &[][..]),
        ("bytes=9-0", &[]),
        ("bytes=0-9", &[("if-range", "\"another\"")]),
    ] {
        let answer = part(range, more).await;
        assert_eq!((answer.status, &answer.body), (200, &whole.body), "{range} {more:?}");
    }
    assert_eq!(part("bytes=0-9", &[("if-none-match", &tag)]).await.status, 304);
    let head = server.send(server.client.head(&link).header("range", "bytes=0-9")).await;
    assert_eq!((head.status, head.body.len()), (200, 0));
    assert_eq!(head.header("content-length"), length.to_string());
    server.stop().await;
}

#[tokio::test]
async fn pictures_and_their_links_outlive_a_restart() {
    let server = Server::start().await;
    let picture = upload(&server, "", "image/png", png(40, 30)).await.json();
    let path = picture["link"].as_str().unwrap();
    let before = server.get(path).await;
    let server = Server::start_in(server.stop_and_keep().await).await;
    let after = server.get(path).await;
    assert_eq!((after.header("etag"), &after.body), (before.header("etag"), &before.body));
    server.stop().await;
}
