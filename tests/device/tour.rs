//! The README's tour, run as it stands there, on this test's own ports.

use std::process::Command;

use crate::harness::Server;

/// The commands of the README's blocks that are marked as the tour.
fn tour() -> String {
    let readme = include_str!("../../README.md");
    let blocks = readme.split("```sh tour\n").skip(1);
    blocks.map(|block| block.split("```").next().unwrap()).collect()
}

#[tokio::test]
async fn the_tour_works_as_the_readme_says() {
    let server = Server::start();
    let port = server.mqtt().rsplit_once(':').unwrap().1;
    let commands = tour()
        .replace("target/release/latchlight", env!("CARGO_BIN_EXE_latchlight"))
        .replace("http://127.0.0.1:8080", &server.http)
        .replace("127.0.0.1:1883", server.mqtt())
        .replace("-p 1883", &format!("-p {port}"))
        .replace("curl ", "curl --silent --show-error ");
    assert!(commands.matches("curl").count() >= 5, "{commands}");
    let script = format!("set -eu\n{commands}\nkill %1\n");
    let output = tokio::task::spawn_blocking(move || {
        Command::new("bash").args(["-m", "-c", &script]).output().unwrap()
    });
    let output = output.await.unwrap();
    let said = String::from_utf8_lossy(&output.stdout).into_owned();
    assert!(output.status.success(), "{said}\n{}", String::from_utf8_lossy(&output.stderr));
    // A lock by HTTP, all unlocked (two locks and a light), one by /test.
    assert_eq!(said.matches("\"outcome\":\"confirmed\"").count(), 5, "{said}");
    assert!(said.contains("\"outcome\":\"offline\""), "{said}");
    let shed = server.device_when("shed", |shed| shed["state"] == "locked").await;
    assert_eq!(shed["kind"], "lock");
}

#[tokio::test]
async fn the_readme_lists_every_action() {
    let server = Server::start();
    let readme = include_str!("../../README.md");
    let table = readme.split("## Actions").nth(1).unwrap().split("\n## ").next().unwrap();
    let (_, listed) = server.get("/api/v1/actions").await;
    let actions = listed["actions"].as_array().unwrap();
    assert!(actions.len() >= 9, "{listed}");
    for action in actions {
        let name = action["name"].as_str().unwrap();
        assert!(table.contains(&format!("`{name}`")), "the README does not list `{name}`");
    }
}
