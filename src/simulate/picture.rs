//! What a simulated camera sees.
use std::io::Cursor;

use bytes::Bytes;
use image::codecs::jpeg::JpegEncoder;
use image::{ImageError, Rgb, RgbImage};

const WIDTH: u32 = 320;
const HEIGHT: u32 = 240;

/// A JPEG of a figure before a door, its colours by the moment, so that no two pictures look alike.
pub(super) fn stranger(moment_millis: u64) -> Result<Bytes, ImageError> {
    let hue = (moment_millis / 50 % 256) as u8;
    let step = (moment_millis / 1000 % 60) as i64 - 30;
    let coat = Rgb([255 - hue, hue / 2 + 60, hue]);
    let picture = RgbImage::from_fn(WIDTH, HEIGHT, |x, y| {
        let (dx, dy) = (i64::from(x) - 160 - step, i64::from(y));
        let head = dx * dx + (dy - 80) * (dy - 80) < 28 * 28;
        let body = dy > 105 && dx.abs() < 20 + (dy - 105) / 4;
        let door = (90..230).contains(&x) && y > 30;
        if head {
            Rgb([224, 180, 150])
        } else if body {
            coat
        } else if door {
            Rgb([120, 80, 50_u8.saturating_add((x / 14 % 2 * 20) as u8)])
        } else {
            Rgb([(x / 4) as u8, (y / 2) as u8 / 2 + 60, hue / 2])
        }
    });
    let mut bytes = Cursor::new(Vec::new());
    picture.write_with_encoder(JpegEncoder::new_with_quality(&mut bytes, 80))?;
    Ok(bytes.into_inner().into())
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    #[test]
    fn a_picture_is_a_small_jpeg_and_differs_from_the_next() {
        let (one, other) = (stranger(0).unwrap(), stranger(70_000).unwrap());
        assert!(one.len() < 32 * 1024, "{} bytes", one.len());
        assert_ne!(one, other);
        let decoded = image::load_from_memory(&one).unwrap();
        assert_eq!((decoded.width(), decoded.height()), (WIDTH, HEIGHT));
    }
}
