//! An OpenID Connect provider: what Keycloak or Google do for a sign-in, and
//! what they should never do.

use std::collections::HashMap;
use std::net::SocketAddr;
use std::sync::{Arc, Mutex};
use std::time::{SystemTime, UNIX_EPOCH};

use data_encoding::{BASE64, BASE64URL_NOPAD};
use openssl::hash::MessageDigest;
use openssl::pkey::{PKey, Private};
use openssl::rsa::Rsa;
use openssl::sign::Signer;
use reqwest::Url;
use serde_json::{Value, json};
use sha2::{Digest as _, Sha256};
use tokio::io::{AsyncRead, AsyncReadExt as _, AsyncWrite, AsyncWriteExt as _};
use tokio::net::TcpListener;
use tokio::task::JoinHandle;
use tokio_rustls::TlsAcceptor;

pub(crate) const CLIENT_ID: &str = "the-house";
pub(crate) const CLIENT_SECRET: &str = "between-house-and-provider";

const ACCESS_TOKEN: &str = "at-of-provider";

/// How the provider behaves.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Twist {
    /// As it should.
    None,
    /// The ID token has another nonce.
    WrongNonce,
    /// It has none.
    NoNonce,
    /// It is for somebody else.
    WrongAudience,
    /// It is for this server, and for somebody else, too.
    TwoAudiences,
    /// It is for this server, and was given to somebody else.
    OtherParty,
    /// It was made beside another access token.
    OtherAccessToken,
    /// It does not say beside which access token it was made.
    NoAccessTokenHash,
    /// It is from somebody else.
    WrongIssuer,
    /// It is over.
    Expired,
    /// Nothing signs it.
    AlgNone,
    /// The client's secret signs it.
    Hs256,
    /// The public key signs it, as if that were a secret.
    Hs256WithPublicKey,
    /// Another key signs it, and it says that it is the provider's.
    ForeignKey,
    /// Another key signs it, and brings itself along.
    KeyInHeader,
    /// The claims are changed after it was signed.
    Changed,
    /// There is no ID token.
    NoIdToken,
    /// It names nobody.
    NoSubject,
    /// What comes for the code is no JSON.
    NoJson,
    /// The code is not taken.
    RefusesCode,
    /// The token endpoint sends elsewhere.
    Redirects,
    /// It closes each connection.
    Away,
    /// It says nothing, for ever.
    Silent,
    /// Its answers have no end.
    Huge,
    /// It calls itself otherwise than the settings do.
    OtherName,
}

pub(crate) struct Provider {
    pub(crate) issuer: String,
    address: SocketAddr,
    shared: Arc<Mutex<Shared>>,
    running: JoinHandle<()>,
}

struct Shared {
    issuer: String,
    twist: Twist,
    person: Value,
    keys: Vec<Key>,
    codes: HashMap<String, HashMap<String, String>>,
    /// Whether it says in its answers who it is (RFC 9207).
    names_itself: bool,
    /// Every path that was asked for.
    asked: Vec<String>,
}

struct Key {
    id: String,
    key: PKey<Private>,
}

impl Key {
    fn new(id: &str) -> Self {
        let key = PKey::from_rsa(Rsa::generate(2048).unwrap()).unwrap();
        Self { id: id.to_owned(), key }
    }

    fn jwk(&self) -> Value {
        let rsa = self.key.rsa().unwrap();
        let number = |number: &openssl::bn::BigNumRef| BASE64URL_NOPAD.encode(&number.to_vec());
        json!({
            "kty": "RSA", "use": "sig", "alg": "RS256", "kid": self.id,
            "n": number(rsa.n()), "e": number(rsa.e()),
        })
    }

    fn sign(&self, header: &Value, claims: &Value) -> String {
        let signed = unsigned(header, claims);
        let mut signer = Signer::new(MessageDigest::sha256(), &self.key).unwrap();
        let signature = signer.sign_oneshot_to_vec(signed.as_bytes()).unwrap();
        format!("{signed}.{}", BASE64URL_NOPAD.encode(&signature))
    }
}

fn unsigned(header: &Value, claims: &Value) -> String {
    let part = |part: &Value| BASE64URL_NOPAD.encode(part.to_string().as_bytes());
    format!("{}.{}", part(header), part(claims))
}

impl Provider {
    /// Over plain HTTP, as on one's own machine.
    pub(crate) async fn start() -> Self {
        Self::start_at("localhost", None).await
    }

    /// By this name, with TLS if something can accept it.
    pub(crate) async fn start_at(name: &str, tls: Option<TlsAcceptor>) -> Self {
        Self::start_on(0, name, tls).await
    }

    /// On a port that is known already.
    pub(crate) async fn start_on(port: u16, name: &str, tls: Option<TlsAcceptor>) -> Self {
        let listener = TcpListener::bind(("127.0.0.1", port)).await.unwrap();
        let address = listener.local_addr().unwrap();
        let scheme = if tls.is_some() { "https" } else { "http" };
        let issuer = format!("{scheme}://{name}:{}/realms/house", address.port());
        let shared = Arc::new(Mutex::new(Shared {
            issuer: issuer.clone(),
            twist: Twist::None,
            person: json!({ "sub": "1234", "email": "bob@example.org", "email_verified": true }),
            keys: vec![Key::new("first")],
            codes: HashMap::new(),
            names_itself: true,
            asked: Vec::new(),
        }));
        let running = tokio::spawn(serve(listener, tls, shared.clone()));
        Self { issuer, address, shared, running }
    }

    pub(crate) fn port(&self) -> u16 {
        self.address.port()
    }

    /// The settings of a server that trusts it.
    pub(crate) fn settings(&self) -> Value {
        json!({
            "issuer": self.issuer, "client_id": CLIENT_ID, "client_secret": CLIENT_SECRET,
            "button": "House",
        })
    }

    pub(crate) fn twist(&self, twist: Twist) {
        self.shared.lock().unwrap().twist = twist;
    }

    /// Whoever signs in there from now on.
    pub(crate) fn person(&self, person: Value) {
        self.shared.lock().unwrap().person = person;
    }

    pub(crate) fn names_itself(&self, does: bool) {
        self.shared.lock().unwrap().names_itself = does;
    }

    /// It signs with a new key, and forgets the old one.
    pub(crate) fn change_key(&self, id: &str) {
        self.shared.lock().unwrap().keys = vec![Key::new(id)];
    }

    /// How often this path was asked for.
    pub(crate) fn asked(&self, path: &str) -> usize {
        let shared = self.shared.lock().unwrap();
        shared.asked.iter().filter(|asked| *asked == path).count()
    }

    /// The person has signed in there, and agrees: where their browser is sent.
    pub(crate) fn agree(&self, url: &str) -> String {
        self.shared.lock().unwrap().agree(&url.parse().unwrap())
    }
}

impl Drop for Provider {
    fn drop(&mut self) {
        self.running.abort();
    }
}

async fn serve(listener: TcpListener, tls: Option<TlsAcceptor>, shared: Arc<Mutex<Shared>>) {
    loop {
        let Ok((stream, _)) = listener.accept().await else { return };
        let (tls, shared) = (tls.clone(), shared.clone());
        tokio::spawn(async move {
            match tls {
                Some(tls) => match tls.accept(stream).await {
                    Ok(stream) => answer(stream, &shared).await,
                    Err(_) => None,
                },
                None => answer(stream, &shared).await,
            }
        });
    }
}

/// One request on each connection.
async fn answer(
    mut stream: impl AsyncRead + AsyncWrite + Unpin,
    shared: &Mutex<Shared>,
) -> Option<()> {
    let mut bytes = Vec::new();
    let head = loop {
        if let Some(end) = bytes.windows(4).position(|four| four == b"\r\n\r\n") {
            break end;
        }
        if stream.read_buf(&mut bytes).await.ok()? == 0 {
            return None;
        }
    };
    let text = String::from_utf8_lossy(&bytes[..head]).into_owned();
    let header = |name: &str| {
        let mut lines = text.lines().filter_map(|line| line.split_once(": "));
        lines.find(|(key, _)| key.eq_ignore_ascii_case(name)).map(|(_, value)| value.to_owned())
    };
    let length: usize = header("content-length").map_or(0, |length| length.parse().unwrap());
    while bytes.len() < head + 4 + length {
        stream.read_buf(&mut bytes).await.ok()?;
    }
    let form = String::from_utf8_lossy(&bytes[head + 4..]).into_owned();
    let target = text.split(' ').nth(1).unwrap().to_owned();
    let twist = shared.lock().unwrap().twist;
    match twist {
        Twist::Away => return None,
        Twist::Silent => std::future::pending().await,
        Twist::Huge => {
            let start = "HTTP/1.1 200 OK\r\nContent-Type: application/json\r\n\r\n[";
            stream.write_all(start.as_bytes()).await.ok()?;
            while stream.write_all(&[b' '; 4096]).await.is_ok() {}
            return None;
        }
        _ => {}
    }
    let (status, more, body) =
        shared.lock().unwrap().answer(&target, &form, header("authorization"));
    let head = format!("HTTP/1.1 {status} X\r\n{more}\r\nContent-Length: {}\r\n\r\n", body.len());
    stream.write_all(head.as_bytes()).await.ok()?;
    stream.write_all(body.as_bytes()).await.ok()?;
    stream.shutdown().await.ok()
}

impl Shared {
    fn answer(
        &mut self,
        target: &str,
        form: &str,
        authorization: Option<String>,
    ) -> (u16, &'static str, String) {
        let url: Url = format!("http://provider{target}").parse().unwrap();
        let path = url.path().trim_start_matches("/realms/house").to_owned();
        self.asked.push(path.clone());
        let json = "Content-Type: application/json";
        let at = |path: &str| format!("{}{path}", self.issuer);
        match path.as_str() {
            "/.well-known/openid-configuration" => {
                let issuer = match self.twist {
                    Twist::OtherName => "https://elsewhere.example".to_owned(),
                    _ => self.issuer.clone(),
                };
                let metadata = json!({
                    "issuer": issuer,
                    "authorization_endpoint": at("/authorize"),
                    "token_endpoint": at("/token"),
                    "jwks_uri": at("/keys"),
                    "response_types_supported": ["code"],
                    "subject_types_supported": ["public"],
                    "id_token_signing_alg_values_supported": ["RS256", "HS256", "none"],
                    "authorization_response_iss_parameter_supported": self.names_itself,
                });
                (200, json, metadata.to_string())
            }
            "/keys" => {
                let keys: Vec<Value> = self.keys.iter().map(Key::jwk).collect();
                (200, json, json!({ "keys": keys }).to_string())
            }
            "/authorize" => {
                let back = self.agree(&url).replace('&', "&amp;");
                let page = format!("<h1>Provider</h1><a id=\"agree\" href=\"{back}\">It is me</a>");
                (200, "Content-Type: text/html", page)
            }
            "/token" if self.twist == Twist::Redirects => {
                (307, "Location: /realms/house/elsewhere", String::new())
            }
            "/token" => match self.token(form, authorization) {
                Ok(body) => (200, json, body),
                Err(error) => (400, json, json!({ "error": error }).to_string()),
            },
            _ => (404, json, "{}".to_owned()),
        }
    }

    /// A code for whoever comes with this URL, and the way back.
    fn agree(&mut self, url: &Url) -> String {
        let asked: HashMap<String, String> = url.query_pairs().into_owned().collect();
        assert_eq!(asked["response_type"], "code");
        assert_eq!(asked["client_id"], CLIENT_ID);
        assert_eq!(asked["code_challenge_method"], "S256");
        assert!(asked["scope"].split(' ').any(|scope| scope == "openid"));
        let code = format!("code-{}-{}", self.codes.len(), uuid::Uuid::new_v4().simple());
        let mut back: Url = asked["redirect_uri"].parse().unwrap();
        back.query_pairs_mut().append_pair("state", &asked["state"]).append_pair("code", &code);
        if self.names_itself {
            back.query_pairs_mut().append_pair("iss", &self.issuer);
        }
        self.codes.insert(code, asked);
        back.into()
    }

    fn token(&mut self, form: &str, authorization: Option<String>) -> Result<String, &'static str> {
        let basic = BASE64.encode(format!("{CLIENT_ID}:{CLIENT_SECRET}").as_bytes());
        if authorization != Some(format!("Basic {basic}")) {
            return Err("invalid_client");
        }
        let form: Url = format!("http://x/?{form}").parse().unwrap();
        let form: HashMap<String, String> = form.query_pairs().into_owned().collect();
        let asked = self.codes.remove(&form["code"]).ok_or("invalid_grant")?;
        let challenge = BASE64URL_NOPAD.encode(&Sha256::digest(form["code_verifier"].as_bytes()));
        let is_same = challenge == asked["code_challenge"]
            && form["redirect_uri"] == asked["redirect_uri"]
            && form["grant_type"] == "authorization_code";
        if !is_same || self.twist == Twist::RefusesCode {
            return Err("invalid_grant");
        }
        if self.twist == Twist::NoJson {
            return Ok("<html>".to_owned());
        }
        let mut tokens = json!({ "access_token": ACCESS_TOKEN, "token_type": "Bearer" });
        if self.twist != Twist::NoIdToken {
            tokens["id_token"] = self.id_token(&asked["nonce"]).into();
        }
        Ok(tokens.to_string())
    }

    fn id_token(&self, nonce: &str) -> String {
        let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap().as_secs();
        let mut claims = json!({
            "iss": self.issuer, "aud": CLIENT_ID, "azp": CLIENT_ID, "nonce": nonce, "iat": now,
            "exp": now + 300, "at_hash": half_hash(ACCESS_TOKEN),
        });
        for (claim, value) in self.person.as_object().unwrap() {
            claims[claim] = value.clone();
        }
        let key = &self.keys[0];
        let mut header = json!({ "alg": "RS256", "typ": "JWT", "kid": key.id });
        match self.twist {
            Twist::WrongNonce => claims["nonce"] = json!("another"),
            Twist::NoNonce => drop(claims.as_object_mut().unwrap().remove("nonce")),
            Twist::WrongAudience => claims["aud"] = json!("another-house"),
            Twist::TwoAudiences => claims["aud"] = json!([CLIENT_ID, "another-house"]),
            Twist::OtherParty => claims["azp"] = json!("another-house"),
            Twist::OtherAccessToken => claims["at_hash"] = json!(half_hash("another")),
            Twist::NoAccessTokenHash => drop(claims.as_object_mut().unwrap().remove("at_hash")),
            Twist::WrongIssuer => claims["iss"] = json!("https://elsewhere.example"),
            Twist::Expired => claims["exp"] = json!(now - 1),
            Twist::NoSubject => claims["sub"] = json!(" "),
            Twist::AlgNone => {
                header["alg"] = json!("none");
                return format!("{}.", unsigned(&header, &claims));
            }
            Twist::Hs256 => return hs256(&header, &claims, CLIENT_SECRET.as_bytes()),
            Twist::Hs256WithPublicKey => {
                let public = key.key.public_key_to_pem().unwrap();
                return hs256(&header, &claims, &public);
            }
            Twist::ForeignKey => return Key::new("foreign").sign(&header, &claims),
            Twist::KeyInHeader => {
                let foreign = Key::new("foreign");
                header["kid"] = json!("foreign");
                header["jwk"] = foreign.jwk();
                return foreign.sign(&header, &claims);
            }
            Twist::Changed => {
                let token = key.sign(&header, &claims);
                claims["sub"] = json!("5678");
                let signature = token.rsplit_once('.').unwrap().1;
                return format!("{}.{signature}", unsigned(&header, &claims));
            }
            _ => {}
        }
        key.sign(&header, &claims)
    }
}

/// The left half of the hash, as ID tokens have it (OpenID Connect Core, 3.1.3.6).
fn half_hash(token: &str) -> String {
    BASE64URL_NOPAD.encode(&Sha256::digest(token.as_bytes())[..16])
}

fn hs256(header: &Value, claims: &Value, secret: &[u8]) -> String {
    let mut header = header.clone();
    header["alg"] = json!("HS256");
    let signed = unsigned(&header, claims);
    let key = PKey::hmac(secret).unwrap();
    let mut signer = Signer::new(MessageDigest::sha256(), &key).unwrap();
    let signature = signer.sign_oneshot_to_vec(signed.as_bytes()).unwrap();
    format!("{signed}.{}", BASE64URL_NOPAD.encode(&signature))
}
