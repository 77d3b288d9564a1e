//! Links that open a picture to whoever has them, and only for a while: for
//! telephones that are told of a stranger, and for programs that pass it on.
//!
//! A link is an HMAC-SHA-256 over what it opens, under a key that is not in the
//! database. So none is kept anywhere, and one that was altered is another one.

use std::io;
use std::sync::Arc;
use std::time::Duration;

use data_encoding::BASE64URL_NOPAD;
use hmac::{Hmac, KeyInit as _, Mac as _};
use jiff::{SignedDuration, Timestamp};
use serde::{Deserialize, Serialize};
use sha2::Sha256;
use utoipa::{IntoParams, ToSchema};

use super::{PictureId, PictureSize};
use crate::config::PictureSettings;
use crate::key_folder::KeyFolder;

/// The key's file in the folder of keys: without it no link opens any more.
const FILE: &str = "pictures.key";

/// What is signed begins like this: no signature of another kind, or of another
/// version, is one of a link.
const PURPOSE: &str = "latchlight picture link 1";

/// Where links lead, below what they begin with.
const PATH: &str = "/picture";

/// Makes links and looks at them; cheap to clone.
#[derive(Clone)]
pub struct PictureLinks(Arc<Inner>);

struct Inner {
    key: [u8; 32],
    public_url: String,
    lasts: Option<Duration>,
}

/// Links to a picture, for whoever has them.
#[derive(Clone, Serialize, ToSchema)]
pub struct SignedLinks {
    /// To the picture.
    #[schema(
        example = "https://home.example/picture/67e55044-10b1-426f-9247-bb680e5fe0c8?expires=1790000000&signature=pX2u…"
    )]
    pub link: String,
    /// To its thumbnail.
    #[schema(
        example = "https://home.example/picture/67e55044-10b1-426f-9247-bb680e5fe0c8?size=thumb&expires=1790000000&signature=8Kd0…"
    )]
    pub thumbnail: String,
    /// Until then.
    #[serde(serialize_with = "crate::timestamp::milliseconds")]
    #[schema(value_type = String, format = DateTime)]
    pub expires_at: Timestamp,
}

/// What a link has behind its path.
#[derive(Clone, Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub struct ShownLink {
    /// The size that it opens.
    #[serde(default)]
    size: PictureSize,
    /// Until then: seconds since 1970.
    #[param(example = 1_790_000_000)]
    expires: i64,
    /// What the server has signed it with.
    #[param(example = "pX2uDqfyYkq0b3U0mXlX0WlqJb2o8m6k1i4l9Yw2a0M")]
    signature: String,
}

/// Why a link opens nothing.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum LinkError {
    /// It was not made here, or is another one now.
    #[error("this link was not made by this server, or was altered")]
    Forged,
    /// Its time is up.
    #[error("this link has expired")]
    Expired,
}

impl PictureLinks {
    /// With the key in this folder, which is made where there is none.
    ///
    /// # Errors
    /// The key cannot be had.
    pub fn open(
        keys: &KeyFolder,
        public_url: String,
        settings: &PictureSettings,
    ) -> io::Result<Self> {
        let (key, _) = keys.key(FILE)?;
        Ok(Self(Arc::new(Inner { key, public_url, lasts: settings.link_lasts() })))
    }

    /// Links to a picture that anybody may open who has them; nothing: the
    /// settings want none.
    pub fn signed(&self, id: &PictureId) -> Option<SignedLinks> {
        let lasts = SignedDuration::try_from(self.0.lasts?).ok()?;
        let expires_at = Timestamp::now().checked_add(lasts).ok()?;
        // Whole seconds, as the link has it.
        let expires_at = Timestamp::from_second(expires_at.as_second()).ok()?;
        let [link, thumbnail] = PictureSize::ALL.map(|size| self.url(id, size, expires_at));
        Some(SignedLinks { link, thumbnail, expires_at })
    }

    /// A link to a picture for those who may see it when they have signed in.
    pub fn plain(&self, id: &PictureId) -> String {
        format!("{}/get_pic?id={id}", self.0.public_url)
    }

    /// What a link opens.
    ///
    /// # Errors
    /// It opens nothing.
    pub fn check(
        &self,
        id: &str,
        shown: &ShownLink,
    ) -> Result<(PictureId, PictureSize), LinkError> {
        self.check_at(id, shown, Timestamp::now())
    }

    fn check_at(
        &self,
        id: &str,
        shown: &ShownLink,
        now: Timestamp,
    ) -> Result<(PictureId, PictureSize), LinkError> {
        let ShownLink { size, expires, signature } = shown;
        let id = id.parse().map_err(|_| LinkError::Forged)?;
        let signature = BASE64URL_NOPAD.decode(signature.as_bytes());
        let signature = signature.map_err(|_| LinkError::Forged)?;
        // Takes as long whichever byte is another one.
        let is_ours = self.mac(&id, *size, *expires).verify_slice(&signature).is_ok();
        let lasts = self.0.lasts.filter(|_| is_ours).ok_or(LinkError::Forged)?;
        let left = expires.saturating_sub(now.as_second());
        // Not longer than links last by now, however long this one was to.
        let longest = i64::try_from(lasts.as_secs()).unwrap_or(i64::MAX);
        if (1..=longest).contains(&left) { Ok((id, *size)) } else { Err(LinkError::Expired) }
    }

    fn url(&self, id: &PictureId, size: PictureSize, expires_at: Timestamp) -> String {
        let expires = expires_at.as_second();
        let signature = self.mac(id, size, expires).finalize().into_bytes();
        let signature = BASE64URL_NOPAD.encode(&signature);
        let size = match size {
            PictureSize::Full => String::new(),
            PictureSize::Thumb => format!("size={size}&"),
        };
        let start = &self.0.public_url;
        format!("{start}{PATH}/{id}?{size}expires={expires}&signature={signature}")
    }

    fn mac(&self, id: &PictureId, size: PictureSize, expires: i64) -> Hmac<Sha256> {
        let mut mac =
            Hmac::<Sha256>::new_from_slice(&self.0.key).expect("keys of any length are taken");
        // No part has the byte that stands between them.
        mac.update(format!("{PURPOSE}\0{id}\0{size}\0{expires}").as_bytes());
        mac
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    fn links(link_seconds: u32) -> (tempfile::TempDir, PictureLinks) {
        let data = tempfile::tempdir().unwrap();
        let links = again(&data, link_seconds);
        (data, links)
    }

    fn again(data: &tempfile::TempDir, link_seconds: u32) -> PictureLinks {
        let keys = KeyFolder::open(data.path()).unwrap();
        let settings = PictureSettings { link_seconds, ..Default::default() };
        PictureLinks::open(&keys, "https://home.example".to_owned(), &settings).unwrap()
    }

    /// The id, and what stands behind the path.
    fn shown(url: &str) -> (String, ShownLink) {
        let rest = url.strip_prefix("https://home.example/picture/").unwrap();
        let (id, query) = rest.split_once('?').unwrap();
        (id.to_owned(), serde_urlencoded::from_str(query).unwrap())
    }

    #[test]
    fn c26_a_link_opens_what_it_was_made_for_until_it_expires() {
        let (_data, links) = links(60);
        let id = PictureId::generate();
        let made = links.signed(&id).unwrap();
        for (url, size) in [(&made.link, PictureSize::Full), (&made.thumbnail, PictureSize::Thumb)]
        {
            let (shown_id, link) = shown(url);
            assert_eq!(links.check(&shown_id, &link), Ok((id, size)));
            let end = made.expires_at;
            let before = end - SignedDuration::from_millis(1);
            assert_eq!(links.check_at(&shown_id, &link, before), Ok((id, size)));
            assert_eq!(links.check_at(&shown_id, &link, end), Err(LinkError::Expired));
        }
    }

    #[test]
    fn c26_a_link_that_differs_in_anything_opens_nothing() {
        let (_data, links) = links(60);
        let (id, link) = shown(&links.signed(&PictureId::generate()).unwrap().link);
        let forged = |id: &str, link: ShownLink| {
            assert_eq!(links.check(id, &link), Err(LinkError::Forged));
        };
        forged(&PictureId::generate().to_string(), link.clone());
        forged("..", link.clone());
        forged(&id, ShownLink { size: PictureSize::Thumb, ..link.clone() });
        forged(&id, ShownLink { expires: link.expires + 1, ..link.clone() });
        forged(&id, ShownLink { expires: i64::MAX, ..link.clone() });
        for at in 0..link.signature.len() {
            let mut altered = link.signature.clone().into_bytes();
            altered[at] = if altered[at] == b'A' { b'B' } else { b'A' };
            let signature = String::from_utf8(altered).unwrap();
            forged(&id, ShownLink { signature, ..link.clone() });
        }
        for signature in ["", "AAAA", "é", &link.signature[1..], &format!("{}=", link.signature)] {
            forged(&id, ShownLink { signature: signature.to_owned(), ..link.clone() });
        }
    }

    #[test]
    fn another_key_other_settings_and_another_server_end_a_link() {
        let (data, links) = links(3600);
        let (id, link) = shown(&links.signed(&PictureId::generate()).unwrap().link);
        assert!(again(&data, 3600).check(&id, &link).is_ok());
        assert_eq!(again(&data, 60).check(&id, &link), Err(LinkError::Expired));
        assert_eq!(again(&data, 0).check(&id, &link), Err(LinkError::Forged));
        assert!(again(&data, 0).signed(&PictureId::generate()).is_none());
        std::fs::remove_file(data.path().join("keys").join(FILE)).unwrap();
        assert_eq!(again(&data, 3600).check(&id, &link), Err(LinkError::Forged));
    }
}
