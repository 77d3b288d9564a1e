//! SCRAM-SHA-256 (RFC 5802, RFC 7677), the server's side, without channel
//! binding and for names and passwords of printable ASCII (no SASLprep). The
//! server keeps nothing that lets somebody else in, and the client sees that
//! it talks to a server that knows it.

use std::collections::HashMap;
use std::sync::Arc;

use async_trait::async_trait;
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD as BASE64;
use hmac::{Hmac, KeyInit, Mac};
use latchlight_broker::{Authentication, AuthenticationStep, ReasonCode};
use sha2::{Digest, Sha256};

/// The method's name in CONNECT.
pub(crate) const METHOD: &str = "SCRAM-SHA-256";

/// The least that RFC 7677 allows; a server of today takes more.
const ROUNDS: u32 = 4096;

type Key = [u8; 32];

/// The users.
pub(crate) struct Scram {
    users: HashMap<String, Secrets>,
    /// Makes the salts of users that there are not, always the same ones.
    decoy: Key,
}

/// What the server keeps of a user's password.
#[derive(Clone)]
struct Secrets {
    salt: Vec<u8>,
    stored_key: Key,
    server_key: Key,
}

impl Scram {
    pub(crate) fn new() -> Result<Self, getrandom::Error> {
        Ok(Self { users: HashMap::new(), decoy: random()? })
    }

    /// Adds a user, or gives one another password.
    pub(crate) fn add(&mut self, name: &str, password: &[u8]) -> Result<(), getrandom::Error> {
        let salt = random::<16>()?;
        self.users.insert(name.to_owned(), Secrets::of(password, &salt));
        Ok(())
    }

    /// Begins to ask a client who it is.
    pub(crate) fn begin(self: &Arc<Self>) -> Result<Exchange, ReasonCode> {
        let nonce = random::<18>().map_err(|_| ReasonCode::ServerUnavailable)?;
        Ok(Exchange::new(self.clone(), BASE64.encode(nonce)))
    }

    /// A user that there is not is asked like any other, and refused at the
    /// end.
    fn secrets(&self, name: &str) -> Secrets {
        let decoy = || {
            let keys = hmac(&self.decoy, name.as_bytes());
            Secrets { salt: keys[..16].to_vec(), stored_key: keys, server_key: keys }
        };
        self.users.get(name).cloned().unwrap_or_else(decoy)
    }
}

impl Secrets {
    fn of(password: &[u8], salt: &[u8]) -> Self {
        let salted: Key = pbkdf2::pbkdf2_hmac_array::<Sha256, 32>(password, salt, ROUNDS);
        let client_key = hmac(&salted, b"Client Key");
        Self {
            salt: salt.to_vec(),
            stored_key: Sha256::digest(client_key).into(),
            server_key: hmac(&salted, b"Server Key"),
        }
    }
}

/// One client that is asked.
pub(crate) struct Exchange {
    scram: Arc<Scram>,
    nonce: String,
    asked: Option<Asked>,
}

/// What was said before the client's proof.
struct Asked {
    name: String,
    secrets: Secrets,
    /// What `c=` has to repeat.
    header: String,
    first_bare: String,
    server_first: String,
}

impl Exchange {
    pub(crate) fn new(scram: Arc<Scram>, nonce: String) -> Self {
        Self { scram, nonce, asked: None }
    }

    /// `n,,n=user,r=nonce` is answered by nonce, salt and rounds.
    fn challenge(&mut self, first: &str) -> Option<AuthenticationStep> {
        let bare = first.strip_prefix("n,,").or_else(|| first.strip_prefix("y,,"))?;
        let (name, nonce) = bare.strip_prefix("n=")?.split_once(",r=")?;
        if nonce.is_empty() || nonce.contains(',') {
            return None;
        }
        self.nonce = format!("{nonce}{}", self.nonce);
        let name = name.replace("=2C", ",").replace("=3D", "=");
        let secrets = self.scram.secrets(&name);
        let salt = BASE64.encode(&secrets.salt);
        let server_first = format!("r={},s={salt},i={ROUNDS}", self.nonce);
        self.asked = Some(Asked {
            name,
            secrets,
            header: BASE64.encode(&first[..3]),
            first_bare: bare.to_owned(),
            server_first: server_first.clone(),
        });
        Some(AuthenticationStep::Challenge(server_first.into()))
    }

    /// `c=biws,r=nonce,p=proof` is answered by the server's own proof.
    fn verify(&self, asked: &Asked, last: &str) -> Option<AuthenticationStep> {
        let (without_proof, proof) = last.rsplit_once(",p=")?;
        if without_proof != format!("c={},r={}", asked.header, self.nonce) {
            return None;
        }
        let proof: Key = BASE64.decode(proof).ok()?.try_into().ok()?;
        let Asked { name, secrets, first_bare, server_first, .. } = asked;
        let all = format!("{first_bare},{server_first},{without_proof}");
        let signature = hmac(&secrets.stored_key, all.as_bytes());
        let client_key: Vec<u8> = proof.iter().zip(signature).map(|(a, b)| a ^ b).collect();
        // What is compared is a hash of what was sent: its time tells nothing.
        if Key::from(Sha256::digest(client_key)) != secrets.stored_key {
            return None;
        }
        let own = BASE64.encode(hmac(&secrets.server_key, all.as_bytes()));
        let identity = name.as_str().into();
        Some(AuthenticationStep::Success { identity, data: format!("v={own}").into() })
    }
}

#[async_trait]
impl Authentication for Exchange {
    async fn step(&mut self, data: &[u8]) -> Result<AuthenticationStep, ReasonCode> {
        let said = std::str::from_utf8(data).map_err(|_| ReasonCode::NotAuthorized)?;
        let next = match self.asked.take() {
            // The client speaks first; one that has said nothing is asked to.
            None if said.is_empty() => {
                return Ok(AuthenticationStep::Challenge(Default::default()));
            }
            None => self.challenge(said),
            Some(asked) => self.verify(&asked, said),
        };
        next.ok_or(ReasonCode::NotAuthorized)
    }
}

fn hmac(key: &[u8], message: &[u8]) -> Key {
    let mut mac = Hmac::<Sha256>::new_from_slice(key).expect("HMAC takes keys of any length");
    mac.update(message);
    mac.finalize().into_bytes().into()
}

fn random<const N: usize>() -> Result<[u8; N], getrandom::Error> {
    let mut bytes = [0; N];
    getrandom::fill(&mut bytes)?;
    Ok(bytes)
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    /// The exchange of RFC 7677, 3.
    #[tokio::test]
    async fn the_example_of_the_rfc() {
        let salt = BASE64.decode("W22ZaJ0SNY7soEsUEjb6gQ==").unwrap();
        let mut scram = Scram::new().unwrap();
        scram.users.insert("user".to_owned(), Secrets::of(b"pencil", &salt));
        let nonce = "%hvYDpWUa2RaTCAfuxFIlj)hNlF$k0".to_owned();
        let mut exchange = Exchange::new(Arc::new(scram), nonce);
        let first = exchange.step(b"n,,n=user,r=rOprNGfwEbeRWgbNEkqO").await.unwrap();
        let asked = "r=rOprNGfwEbeRWgbNEkqO%hvYDpWUa2RaTCAfuxFIlj)hNlF$k0,\
                     s=W22ZaJ0SNY7soEsUEjb6gQ==,i=4096";
        assert_eq!(first, AuthenticationStep::Challenge(asked.into()));
        let answer = "c=biws,r=rOprNGfwEbeRWgbNEkqO%hvYDpWUa2RaTCAfuxFIlj)hNlF$k0,\
                      p=dHzbZapWIk4jUhN+Ute9ytag9zjfMHgsqmmiz7AndVQ=";
        let last = exchange.step(answer.as_bytes()).await.unwrap();
        let data = "v=6rriTRBi23WpRR/wtup+mMhUZUn/dB5nLTJRsjl95G4=".into();
        assert_eq!(last, AuthenticationStep::Success { identity: "user".into(), data });
    }
}
