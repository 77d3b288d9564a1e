//! Just enough of HTTP/1.1 for a caller: one kept-alive connection, answers with a length.
use anyhow::{Context, bail};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

/// A kept-alive connection to a server.
pub struct Caller {
    address: String,
    /// A header that says who calls.
    authorization: String,
    stream: Option<TcpStream>,
    buffer: Vec<u8>,
    /// How often the server closed the connection between two requests.
    pub reconnects: u64,
}

/// An answer.
pub struct Answer {
    pub status: u16,
    pub body: String,
}

impl Caller {
    /// With an access token, or without.
    pub fn new(address: String, token: Option<&str>) -> Self {
        let header = |token| format!("Authorization: Bearer {token}\r\n");
        let authorization = token.map(header).unwrap_or_default();
        Self {
            address,
            authorization,
            stream: None,
            buffer: Vec::with_capacity(4096),
            reconnects: 0,
        }
    }

    /// Sends a request without a body and waits for the answer.
    pub async fn call(&mut self, method: &str, path: &str) -> anyhow::Result<Answer> {
        let request = format!(
            "{method} {path} HTTP/1.1\r\nHost: {}\r\nAccept: application/json\r\n\
             {}Content-Length: 0\r\n\r\n",
            self.address, self.authorization
        );
        let mut stream = match self.stream.take() {
            Some(stream) => stream,
            None => {
                let stream = TcpStream::connect(&self.address).await.context("connect")?;
                stream.set_nodelay(true)?;
                stream
            }
        };
        stream.write_all(request.as_bytes()).await.context("send the request")?;
        self.buffer.clear();
        let head = self.read_head(&mut stream).await?;
        let total = head.length + head.body_length;
        while self.buffer.len() < total {
            self.read_more(&mut stream).await?;
        }
        let body = String::from_utf8_lossy(&self.buffer[head.length..total]).into_owned();
        if head.keeps_alive {
            self.stream = Some(stream);
        } else {
            self.reconnects += 1;
        }
        Ok(Answer { status: head.status, body })
    }

    async fn read_head(&mut self, stream: &mut TcpStream) -> anyhow::Result<Head> {
        loop {
            if let Some(position) = self.buffer.windows(4).position(|four| four == b"\r\n\r\n") {
                let text = String::from_utf8_lossy(&self.buffer[..position]);
                return Head::parse(&text, position + 4);
            }
            self.read_more(stream).await?;
        }
    }

    async fn read_more(&mut self, stream: &mut TcpStream) -> anyhow::Result<()> {
        if stream.read_buf(&mut self.buffer).await.context("read the answer")? == 0 {
            bail!("the server closed the connection before its answer was whole");
        }
        Ok(())
    }
}

struct Head {
    status: u16,
    length: usize,
    body_length: usize,
    keeps_alive: bool,
}

impl Head {
    fn parse(text: &str, length: usize) -> anyhow::Result<Self> {
        let mut lines = text.split("\r\n");
        let status = lines
            .next()
            .and_then(|line| line.split(' ').nth(1))
            .and_then(|status| status.parse().ok())
            .with_context(|| format!("no status line: {text}"))?;
        let (mut body_length, mut keeps_alive) = (None, true);
        for line in lines {
            let (name, value) = line.split_once(':').unwrap_or((line, ""));
            if name.eq_ignore_ascii_case("content-length") {
                body_length = value.trim().parse().ok();
            } else if name.eq_ignore_ascii_case("connection") {
                keeps_alive = !value.trim().eq_ignore_ascii_case("close");
            }
        }
        let body_length = body_length.with_context(|| format!("no Content-Length: {text}"))?;
        Ok(Self { status, length, body_length, keeps_alive })
    }
}
