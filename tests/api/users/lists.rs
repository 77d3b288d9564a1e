//! Lists of accounts: pages, and never what lets anybody in.

use serde_json::json;

use super::{console, problem};
use crate::harness::Server;

#[tokio::test]
async fn c30_lists_come_in_pages_without_a_secret() {
    let server = Server::start().await;
    let console = console(&server).await;
    for name in ["ada", "bob", "eve", "zoe"] {
        let user = json!({ "name": name, "role": "member", "password": "not to be seen" });
        console.post("/api/v1/users", &user).await.unwrap();
        let key = json!({ "name": format!("{name}-key"), "scopes": "devices:read" });
        console.post("/api/v1/api-keys", &key).await.unwrap();
    }
    for (path, list, many) in [("/api/v1/users", "users", 5), ("/api/v1/api-keys", "api_keys", 4)] {
        let whole = console.get(path).await.unwrap();
        assert_eq!(whole["next_cursor"], json!(null));
        let mut paged = Vec::new();
        let mut next = format!("{path}?limit=3");
        loop {
            let page = console.get(&next).await.unwrap();
            paged.extend(page[list].as_array().unwrap().clone());
            let Some(cursor) = page["next_cursor"].as_str() else { break };
            next = format!("{path}?limit=3&cursor={cursor}");
        }
        assert_eq!(whole[list].as_array().unwrap(), &paged);
        assert_eq!(paged.len(), many);
        let text = whole.to_string();
        assert!(!text.contains("argon2") && !text.contains("llk_") && !text.contains("secret"));
    }
    problem(console.get("/api/v1/users?limit=0").await, 400);
    problem(console.get("/api/v1/users?password=1").await, 400);
    server.stop().await;
}
