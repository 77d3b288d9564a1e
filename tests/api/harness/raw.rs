//! HTTP by hand, for what no client library would send.

use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;

use super::{PATIENCE, Server};

/// Sends these bytes on a connection of their own; a request that names its
/// host says that it is the owner's.
pub(crate) async fn raw_request(server: &Server, bytes: &str) -> TcpStream {
    let mut stream = TcpStream::connect(server.http).await.unwrap();
    let owner = format!("\r\nAuthorization: Bearer {}\r\nHost:", server.token);
    let bytes = bytes.replacen("\r\nHost:", &owner, 1);
    stream.write_all(bytes.as_bytes()).await.unwrap();
    stream
}

/// Reads until the server closes the connection.
pub(crate) async fn raw_response(mut stream: TcpStream) -> String {
    let mut bytes = Vec::new();
    let read = tokio::time::timeout(PATIENCE, stream.read_to_end(&mut bytes)).await;
    let _ = read.expect("the server closes the connection");
    String::from_utf8_lossy(&bytes).into_owned()
}
