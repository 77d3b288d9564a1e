//! From bytes of unknown origin to a picture that this server has written.

use std::io::Cursor;

use image::codecs::jpeg::JpegEncoder;
use image::metadata::Orientation;
use image::{DynamicImage, ImageDecoder as _, ImageReader, Limits};

use super::thumbnail::thumbnail;
use super::{MediaType, PictureError};
use crate::config::PictureSettings;

/// Good to look at, without the size of a camera's own files.
const JPEG_QUALITY: u8 = 88;

/// The most bytes that one pixel takes when decoded (four samples of 16 bits).
const BYTES_PER_PIXEL: u64 = 8;

/// A picture written anew, and its thumbnail: pixels only.
#[derive(Debug)]
pub(super) struct Reencoded {
    pub(super) bytes: Vec<u8>,
    pub(super) thumbnail: Vec<u8>,
    pub(super) media_type: MediaType,
    pub(super) width: u32,
    pub(super) height: u32,
}

/// Decodes the whole picture and encodes it anew. Takes a while: not for an
/// async thread.
pub(super) fn reencode(bytes: &[u8], limits: &PictureSettings) -> Result<Reencoded, PictureError> {
    if bytes.len() > limits.max_bytes {
        return Err(PictureError::TooManyBytes { max: limits.max_bytes });
    }
    let media_type = MediaType::guess(bytes).ok_or(PictureError::NotAPicture)?;
    if media_type == MediaType::Jpeg && !jpeg_has_its_end(bytes) {
        // The decoder would paint what is missing grey.
        return Err(PictureError::Broken("it ends too early".to_owned()));
    }
    let image = decode(bytes, media_type, limits)?;
    let broken = |error: image::ImageError| PictureError::Broken(error.to_string());
    let mut encoded = Vec::with_capacity(bytes.len());
    match media_type {
        MediaType::Jpeg => {
            image.write_with_encoder(JpegEncoder::new_with_quality(&mut encoded, JPEG_QUALITY))
        }
        MediaType::Png => image.write_to(&mut Cursor::new(&mut encoded), media_type.format()),
    }
    .map_err(broken)?;
    let thumbnail = thumbnail(&image).map_err(broken)?;
    // Few bytes may stand for many: what compresses well elsewhere need not here.
    let max = limits.max_kept_bytes();
    if (encoded.len() + thumbnail.len()) as u64 > max {
        return Err(PictureError::TooManyKeptBytes { max });
    }
    let (width, height) = (image.width(), image.height());
    Ok(Reencoded { bytes: encoded, thumbnail, media_type, width, height })
}

fn decode(
    bytes: &[u8],
    media_type: MediaType,
    limits: &PictureSettings,
) -> Result<DynamicImage, PictureError> {
    let broken = |error: image::ImageError| PictureError::Broken(error.to_string());
    let mut reader = ImageReader::with_format(Cursor::new(bytes), media_type.format());
    let mut bounds = Limits::default();
    bounds.max_alloc = Some(limits.max_pixels.saturating_mul(BYTES_PER_PIXEL));
    reader.limits(bounds);
    let mut decoder = reader.into_decoder().map_err(broken)?;
    // The head says the size, before a byte is spent on pixels.
    let (width, height) = decoder.dimensions();
    if u64::from(width) * u64::from(height) > limits.max_pixels {
        return Err(PictureError::TooManyPixels { width, height, max: limits.max_pixels });
    }
    // What the metadata says about up and down must not get lost with it.
    let orientation = decoder.orientation().unwrap_or(Orientation::NoTransforms);
    let mut image = DynamicImage::from_decoder(decoder).map_err(broken)?;
    image.apply_orientation(orientation);
    Ok(image)
}

/// Whether a JPEG goes on until its end-of-image marker.
fn jpeg_has_its_end(bytes: &[u8]) -> bool {
    const START_OF_SCAN: u8 = 0xDA;
    const END_OF_IMAGE: u8 = 0xD9;
    let mut at = 2;
    let mut in_scan = false;
    loop {
        let Some(&[first, marker]) = bytes.get(at..at + 2) else { return false };
        match (first, marker) {
            // Between markers stand coded pixels, in which 0xFF is followed by
            // zero, or by one of the restart markers.
            (0xFF, 0x00 | 0xD0..=0xD7) if in_scan => at += 2,
            (0xFF, END_OF_IMAGE) => return true,
            (0xFF, 0xFF) => at += 1,
            (0xFF, _) => {
                let Some(&[high, low]) = bytes.get(at + 2..at + 4) else { return false };
                at += 2 + usize::from(u16::from_be_bytes([high, low])).max(2);
                in_scan = marker == START_OF_SCAN;
            }
            _ if in_scan => at += 1,
            _ => return false,
        }
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use super::*;

    fn limits() -> PictureSettings {
        PictureSettings { max_bytes: 1 << 20, max_pixels: 64 * 64, ..Default::default() }
    }

    fn picture(width: u32, height: u32, media_type: MediaType) -> Vec<u8> {
        let mut bytes = Vec::new();
        let pixels = image::RgbImage::from_fn(width, height, |x, y| {
            image::Rgb([(x * 7) as u8, (y * 5) as u8, (x ^ y) as u8])
        });
        pixels.write_to(&mut Cursor::new(&mut bytes), media_type.format()).unwrap();
        bytes
    }

    #[test]
    fn a_picture_comes_out_with_its_kind_and_size() {
        for media_type in [MediaType::Jpeg, MediaType::Png] {
            let out = reencode(&picture(40, 30, media_type), &limits()).unwrap();
            assert_eq!((out.width, out.height, out.media_type), (40, 30, media_type));
            assert_eq!(MediaType::guess(&out.bytes), Some(media_type));
        }
    }

    #[test]
    fn a_picture_cut_at_any_byte_is_refused() {
        for media_type in [MediaType::Jpeg, MediaType::Png] {
            let whole = picture(24, 24, media_type);
            for length in 0..whole.len() {
                // PNG decoders are content without the empty last chunk.
                let allowed = media_type == MediaType::Png && length >= whole.len() - 16;
                let result = reencode(&whole[..length], &limits());
                assert!(result.is_err() || allowed, "{media_type:?} cut at {length}");
            }
        }
    }

    #[test]
    fn what_stands_behind_the_picture_is_dropped() {
        for media_type in [MediaType::Jpeg, MediaType::Png] {
            let mut bytes = picture(16, 16, media_type);
            bytes.extend_from_slice(b"<script>secret</script>");
            let out = reencode(&bytes, &limits()).unwrap();
            assert!(!out.bytes.windows(6).any(|window| window == b"secret"));
        }
    }

    #[test]
    fn one_pixel_over_the_cap_is_refused_before_decoding() {
        assert!(reencode(&picture(64, 64, MediaType::Png), &limits()).is_ok());
        let error = reencode(&picture(64, 65, MediaType::Png), &limits()).unwrap_err();
        assert_eq!(error, PictureError::TooManyPixels { width: 64, height: 65, max: 4096 });
    }

    #[test]
    fn one_byte_over_the_cap_is_refused() {
        let bytes = picture(16, 16, MediaType::Png);
        let limits = PictureSettings { max_bytes: bytes.len(), ..limits() };
        assert!(reencode(&bytes, &limits).is_ok());
        let limits = PictureSettings { max_bytes: bytes.len() - 1, ..limits };
        assert!(matches!(reencode(&bytes, &limits), Err(PictureError::TooManyBytes { .. })));
    }

    #[test]
    fn few_bytes_that_become_too_many_are_refused() {
        // Its thumbnail alone has more than four times the bytes.
        let mut bytes = Vec::new();
        let plain = image::GrayImage::new(16, 16);
        plain.write_to(&mut Cursor::new(&mut bytes), MediaType::Png.format()).unwrap();
        let limits = PictureSettings { max_bytes: bytes.len(), ..limits() };
        let error = reencode(&bytes, &limits).unwrap_err();
        assert_eq!(error, PictureError::TooManyKeptBytes { max: limits.max_kept_bytes() });
    }

    #[test]
    fn mutated_bytes_never_panic() {
        for media_type in [MediaType::Jpeg, MediaType::Png] {
            let whole = picture(12, 12, media_type);
            for at in 0..whole.len() {
                for flip in [0x01, 0x80, 0xFF] {
                    let mut bytes = whole.clone();
                    bytes[at] ^= flip;
                    let _ = reencode(&bytes, &limits());
                }
            }
        }
    }
}
