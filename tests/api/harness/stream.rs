//! A stream of events, as a client reads it.

use std::collections::VecDeque;

use reqwest::{RequestBuilder, Response};
use serde_json::Value;

use super::PATIENCE;

/// What a block of a stream says.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub(crate) struct Said {
    pub(crate) id: Option<String>,
    pub(crate) event: String,
    pub(crate) data: String,
    pub(crate) comment: String,
    pub(crate) retry: String,
}

pub(crate) struct EventStream {
    response: Response,
    bytes: Vec<u8>,
    said: VecDeque<Said>,
}

impl Said {
    fn of(block: &str) -> Self {
        let mut said = Self::default();
        for line in block.lines() {
            let (name, value) = line.split_once(':').unwrap();
            let value = value.strip_prefix(' ').unwrap_or(value).to_owned();
            match name {
                "id" => said.id = Some(value),
                "event" => said.event = value,
                "data" => said.data = value,
                "" => said.comment = value,
                "retry" => said.retry = value,
                _ => panic!("{line}"),
            }
        }
        said
    }

    pub(crate) fn seq(&self) -> i64 {
        self.id.as_ref().unwrap_or_else(|| panic!("{self:?}")).parse().unwrap()
    }

    #[track_caller]
    pub(crate) fn json(&self) -> Value {
        serde_json::from_str(&self.data).unwrap_or_else(|error| panic!("{error}: {self:?}"))
    }
}

impl EventStream {
    /// Sends the request, and has been let in when this returns.
    pub(crate) async fn open(request: RequestBuilder) -> Self {
        let response = request.timeout(PATIENCE * 10).send().await.unwrap();
        assert_eq!(response.status(), 200, "{:?}", response.text().await);
        let mut stream = Self { response, bytes: Vec::new(), said: VecDeque::new() };
        assert_ne!(stream.next().await.expect("a hello").retry, "");
        stream
    }

    pub(crate) fn response(&self) -> &Response {
        &self.response
    }

    /// What comes next; nothing: the stream has ended.
    pub(crate) async fn next(&mut self) -> Option<Said> {
        let reading = tokio::time::timeout(PATIENCE, self.read());
        reading.await.expect("the stream goes on, or ends")
    }

    async fn read(&mut self) -> Option<Said> {
        while self.said.is_empty() {
            let bytes = self.response.chunk().await.ok()??;
            self.bytes.extend_from_slice(&bytes);
            while let Some(end) = self.bytes.windows(2).position(|two| two == b"\n\n") {
                let block: Vec<u8> = self.bytes.drain(..end + 2).collect();
                self.said.push_back(Said::of(std::str::from_utf8(&block[..end]).unwrap()));
            }
        }
        self.said.pop_front()
    }

    /// The next event, whatever comments come before it.
    pub(crate) async fn event(&mut self) -> Said {
        loop {
            let said = self.next().await.expect("an event before the end");
            if !said.event.is_empty() {
                return said;
            }
        }
    }

    /// The end of the next command that ends: an event of one that was issued may
    /// come before it.
    pub(crate) async fn end_of_command(&mut self) -> Value {
        loop {
            let event = self.event().await;
            if event.json()["result"] != "issued" {
                assert_eq!(event.event, "command", "{event:?}");
                return event.json();
            }
        }
    }

    /// Why the stream ends; nothing comes behind that, and no event before it.
    pub(crate) async fn end(&mut self) -> String {
        let end = self.event().await;
        assert_eq!((&*end.event, &end.id), ("end", &None), "{end:?}");
        assert_eq!(self.next().await, None);
        end.json()["why"].as_str().unwrap().to_owned()
    }
}
