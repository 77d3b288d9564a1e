//! Pictures to upload.

use std::io::Cursor;

use image::{ImageFormat, Rgb, RgbImage};

fn pixels(width: u32, height: u32) -> RgbImage {
    RgbImage::from_fn(width, height, |x, y| {
        let sky = 190_u32.saturating_sub(y * 255 / height.max(1) / 2);
        Rgb([(90 + x * 120 / width.max(1)) as u8, (sky / 2 + 60) as u8, sky as u8])
    })
}

pub(crate) fn png(width: u32, height: u32) -> Vec<u8> {
    let mut bytes = Cursor::new(Vec::new());
    pixels(width, height).write_to(&mut bytes, ImageFormat::Png).unwrap();
    bytes.into_inner()
}

/// A JPEG that carries a comment and, as EXIF, a place and an orientation:
/// to be turned by a quarter.
pub(crate) fn jpeg_with_metadata(width: u32, height: u32, secret: &str) -> Vec<u8> {
    let mut bytes = Cursor::new(Vec::new());
    pixels(width, height).write_to(&mut bytes, ImageFormat::Jpeg).unwrap();
    let bytes = bytes.into_inner();
    let mut exif = b"Exif\0\0MM\0*\0\0\0\x08\0\x01".to_vec();
    // Orientation (0x0112), a SHORT, one of them: 6.
    exif.extend_from_slice(&[0x01, 0x12, 0, 3, 0, 0, 0, 1, 0, 6, 0, 0, 0, 0, 0, 0]);
    exif.extend_from_slice(secret.as_bytes());
    let mut out = bytes[..2].to_vec();
    out.extend_from_slice(&segment(0xE1, &exif));
    out.extend_from_slice(&segment(0xFE, secret.as_bytes()));
    out.extend_from_slice(&bytes[2..]);
    out
}

fn segment(marker: u8, content: &[u8]) -> Vec<u8> {
    let length = u16::try_from(content.len() + 2).unwrap().to_be_bytes();
    [&[0xFF, marker][..], &length, content].concat()
}
