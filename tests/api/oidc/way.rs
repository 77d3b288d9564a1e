//! Somebody's way to the provider and back, in a browser of the tests' own.

use reqwest::header::{COOKIE, SET_COOKIE};
use reqwest::redirect::Policy;

use crate::harness::{Answer, PATIENCE, Server};
use crate::provider::Provider;

/// A browser that follows nothing by itself, and keeps the cookies.
pub(super) struct Way {
    client: reqwest::Client,
    cookies: Vec<String>,
}

impl Way {
    pub(super) fn new() -> Self {
        let client = reqwest::Client::builder().redirect(Policy::none()).timeout(PATIENCE);
        Self { client: client.no_proxy().build().unwrap(), cookies: Vec::new() }
    }

    pub(super) async fn get(&mut self, url: &str) -> Answer {
        let request = self.client.get(url).header(COOKIE, self.cookies.join("; "));
        let answer = Answer::read(request.send().await.unwrap()).await;
        for cookie in answer.headers.get_all(SET_COOKIE) {
            let pair = cookie.to_str().unwrap().split(';').next().unwrap();
            let name = pair.split_inclusive('=').next().unwrap();
            self.cookies.retain(|cookie| !cookie.starts_with(name));
            if pair != name {
                self.cookies.push(pair.to_owned());
            }
        }
        answer
    }

    /// Sets out: where the provider is.
    pub(super) async fn begin(&mut self, server: &Server) -> String {
        let answer = self.get(&server.url("/oauth/oidc/start")).await;
        assert_eq!(answer.status, 303, "{answer:?}");
        answer.header("location").to_owned()
    }

    /// There and back.
    pub(super) async fn sign_in(&mut self, server: &Server, provider: &Provider) -> Answer {
        let there = self.begin(server).await;
        self.get(&provider.agree(&there)).await
    }

    /// The refresh token that the server has given, if it has.
    pub(super) fn refresh_token(&self) -> Option<&str> {
        self.cookies.iter().find_map(|cookie| cookie.strip_prefix("latchlight_refresh="))
    }

    /// The access token that comes for it.
    pub(super) async fn access_token(&mut self, server: &Server) -> String {
        let form =
            [("grant_type", "refresh_token"), ("refresh_token", self.refresh_token().unwrap())];
        let answer = server.post_form("/oauth/token", &form).await;
        answer.json()["access_token"].as_str().unwrap().to_owned()
    }
}
