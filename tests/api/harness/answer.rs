//! An answer, read whole.

use bytes::Bytes;
use reqwest::header::HeaderMap;
use serde_json::Value;

#[derive(Debug)]
pub(crate) struct Answer {
    pub(crate) status: u16,
    pub(crate) headers: HeaderMap,
    pub(crate) body: Bytes,
}

impl Answer {
    pub(crate) async fn read(response: reqwest::Response) -> Self {
        Self {
            status: response.status().as_u16(),
            headers: response.headers().clone(),
            body: response.bytes().await.unwrap(),
        }
    }

    #[track_caller]
    pub(crate) fn json(&self) -> Value {
        serde_json::from_slice(&self.body)
            .unwrap_or_else(|error| panic!("{error}: {} {:?}", self.status, self.body))
    }

    #[track_caller]
    pub(crate) fn header(&self, name: &str) -> &str {
        let header = self.headers.get(name);
        header.unwrap_or_else(|| panic!("no header {name}: {self:?}")).to_str().unwrap()
    }

    /// Checks that this is a problem with this status, of this type, that
    /// names the request, and gives its detail.
    #[track_caller]
    pub(crate) fn problem(&self, status: u16, kind: &str) -> String {
        let problem = self.json();
        assert_eq!(self.status, status, "{problem}");
        assert_eq!(self.header("content-type"), "application/problem+json");
        assert_eq!(problem["type"], format!("urn:latchlight:problem:{kind}"), "{problem}");
        assert_eq!(problem["status"], status, "{problem}");
        assert_eq!(problem["request_id"], self.header("x-request-id"), "{problem}");
        assert!(problem["instance"].as_str().unwrap().starts_with('/'), "{problem}");
        assert!(!problem["title"].as_str().unwrap().is_empty(), "{problem}");
        problem["detail"].as_str().unwrap().to_owned()
    }

    /// Checks the status of a command's answer and gives its devices.
    #[track_caller]
    pub(crate) fn devices(&self, status: u16) -> Vec<Value> {
        let answer = self.json();
        assert_eq!(self.status, status, "{answer}");
        answer["devices"].as_array().unwrap_or_else(|| panic!("{answer}")).clone()
    }
}
