//! Connections: how many, for how long, and what they hold.

use std::time::Duration;

use serde_json::json;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpSocket, TcpStream};

use crate::harness::{Manner, PATIENCE, Server, raw_request, raw_response};

const HELLO: &str = "GET /hello HTTP/1.1\r\nHost: localhost\r\n\r\n";

/// Reads an answer whose body is JSON.
async fn answer(stream: &mut TcpStream) -> String {
    let mut bytes = Vec::new();
    let read = async {
        while !bytes.ends_with(b"}\n") {
            assert_ne!(stream.read_buf(&mut bytes).await.unwrap(), 0, "closed");
        }
    };
    tokio::time::timeout(PATIENCE, read).await.expect("an answer");
    String::from_utf8(bytes).unwrap()
}

/// A connection that holds little of what it does not read.
async fn narrow(server: &Server) -> TcpStream {
    let socket = TcpSocket::new_v4().unwrap();
    socket.set_recv_buffer_size(16 * 1024).unwrap();
    socket.set_send_buffer_size(16 * 1024).unwrap();
    socket.connect(server.http).await.unwrap()
}

#[tokio::test]
async fn one_connection_too_many_waits_until_another_one_ends() {
    for limit in [1, 2, 3] {
        let server = Server::start_with(json!({ "http": { "max_connections": limit } })).await;
        let mut open = Vec::new();
        let threads = std::thread::available_parallelism().unwrap().get().min(limit);
        for _ in 0..limit / threads * threads {
            let mut stream = raw_request(&server, HELLO).await;
            assert!(answer(&mut stream).await.starts_with("HTTP/1.1 200"));
            open.push(stream);
        }
        let mut late = raw_request(&server, HELLO).await;
        // Those that are in are answered over and over, and the late one is not.
        for _ in 0..20 {
            for stream in &mut open {
                stream.write_all(HELLO.as_bytes()).await.unwrap();
                answer(stream).await;
            }
        }
        let nothing = late.try_read(&mut [0]).map_err(|error| error.kind());
        assert_eq!(nothing, Err(std::io::ErrorKind::WouldBlock), "{limit}");
        open.pop();
        assert!(answer(&mut late).await.starts_with("HTTP/1.1 200"));
        drop((open, late));
        server.stop().await;
    }
}

#[tokio::test]
async fn a_connection_that_asks_for_nothing_more_is_closed() {
    let server = Server::start_with(json!({ "http": { "keep_alive_ms": 200 } })).await;
    let response = raw_response(raw_request(&server, HELLO).await).await;
    assert!(response.starts_with("HTTP/1.1 200"), "{response}");
    assert!(!response.contains("connection: close"), "{response}");
    server.stop().await;
}

#[tokio::test]
async fn a_client_that_takes_nothing_of_its_answers_loses_its_place() {
    let limits = json!({ "http": { "max_connections": 1, "keep_alive_ms": 500 } });
    let server = Server::start_with(limits).await;
    let mut deaf = narrow(&server).await;
    // Far more answers than the system holds for a connection.
    let asks = "GET /board.js HTTP/1.1\r\nHost: localhost\r\n\r\n".repeat(2000);
    deaf.write_all(asks.as_bytes()).await.unwrap();
    let mut next = raw_request(&server, HELLO).await;
    assert!(answer(&mut next).await.starts_with("HTTP/1.1 200"));
    drop((deaf, next));
    server.stop().await;
}

#[tokio::test]
async fn a_client_that_takes_nothing_of_its_answers_is_not_read_any_more() {
    const MOST: usize = 16 << 20;
    const A_WHILE: Duration = Duration::from_secs(1);
    let server = Server::start_with(json!({ "http": { "shutdown_timeout_ms": 1000 } })).await;
    let mut held = Vec::new();
    // Answers with a body, without one, and those of which only the head is sent.
    for ask in [
        "GET /board.js HTTP/1.1\r\nHost: localhost\r\n\r\n",
        "GET /board.js HTTP/1.1\r\nHost: localhost\r\nIf-None-Match: *\r\n\r\n",
        "HEAD /board.js HTTP/1.1\r\nHost: localhost\r\n\r\n",
    ] {
        let mut deaf = narrow(&server).await;
        let asks = ask.repeat(1000);
        let mut sent = 0;
        loop {
            let rest = &asks.as_bytes()[sent % asks.len()..];
            match tokio::time::timeout(A_WHILE, deaf.write(rest)).await {
                Ok(written) => sent += written.unwrap(),
                Err(_) => break,
            }
            assert!(sent < MOST, "it reads on and on: {ask}");
        }
        held.push(deaf);
    }
    // Nor does it hold up the stop.
    server.stop().await;
}

/// Each of them begins well, holds the only place there is, and is closed.
#[tokio::test]
async fn a_client_that_dawdles_behind_its_first_request_loses_its_place() {
    let settings = json!({ "http": { "max_connections": 1, "keep_alive_ms": 100, "request_timeout_ms": 1500 } });
    for dawdle in [
        // Half a head, and a chunk of a body that nobody reads.
        "GET /hello HTTP/1.1\r\nHost: local",
        "POST /hello HTTP/1.1\r\nHost: localhost\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhe",
    ] {
        for drips in [false, true] {
            let server = Server::start_with(settings.clone()).await;
            let mut slow = raw_request(&server, HELLO).await;
            assert!(answer(&mut slow).await.starts_with("HTTP/1.1 200"));
            slow.write_all(dawdle.as_bytes()).await.unwrap();
            let mut next = raw_request(&server, HELLO).await;
            let drip = async {
                // Byte by byte, for as long as it is let.
                while drips && slow.write_all(b"x").await.is_ok() {
                    tokio::time::sleep(Duration::from_millis(50)).await;
                }
                std::future::pending::<()>().await;
            };
            tokio::select! {
                answer = answer(&mut next) => {
                    assert!(answer.starts_with("HTTP/1.1 200"), "{dawdle:?}");
                }
                () = drip => {}
            }
            drop(next);
            server.stop().await;
        }
    }
}

#[tokio::test]
async fn who_is_answered_slowly_keeps_its_place() {
    // Time enough to ask once more, also on a busy machine.
    let limits = json!({ "http": { "keep_alive_ms": 5000, "request_timeout_ms": 1000 },
        "commands": { "expires_in": 7 } });
    let server = Server::start_with(limits).await;
    let _door = server.lock("front-door", Manner::Silent).await;
    // Longer than both together.
    let ask = "POST /lock?device=front-door&wait=9 HTTP/1.1\r\nHost: localhost\r\n\r\n";
    let mut waiting = raw_request(&server, ask).await;
    assert!(answer(&mut waiting).await.contains("front-door"));
    waiting.write_all(HELLO.as_bytes()).await.unwrap();
    assert!(answer(&mut waiting).await.starts_with("HTTP/1.1 200"));
    drop(waiting);
    server.stop().await;
}
