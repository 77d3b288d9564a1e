//! A small picture beside the large one, for lists and telephones.

use image::codecs::jpeg::JpegEncoder;
use image::{DynamicImage, ImageResult, Rgb, RgbImage, Rgba};

/// What it fits into, in pixels.
const WIDTH: u32 = 320;
const HEIGHT: u32 = 240;

const JPEG_QUALITY: u8 = 80;

/// A JPEG that fits, in the picture's own proportions, and is no larger than
/// the picture. What one can see through is white.
pub(super) fn thumbnail(image: &DynamicImage) -> ImageResult<Vec<u8>> {
    let fits = image.width() <= WIDTH && image.height() <= HEIGHT;
    let has_alpha = image.color().has_alpha();
    let small = if fits { image.clone() } else { image.thumbnail(WIDTH, HEIGHT) };
    let small = if has_alpha { on_white(&small) } else { small.into_rgb8() };
    let mut bytes = Vec::new();
    small.write_with_encoder(JpegEncoder::new_with_quality(&mut bytes, JPEG_QUALITY))?;
    Ok(bytes)
}

/// A JPEG has no alpha: what is hidden by it must not come to light.
fn on_white(image: &DynamicImage) -> RgbImage {
    let image = image.to_rgba8();
    RgbImage::from_fn(image.width(), image.height(), |x, y| {
        let Rgba([red, green, blue, alpha]) = *image.get_pixel(x, y);
        let alpha = u32::from(alpha);
        let mixed = |colour: u8| (u32::from(colour) * alpha + 255 * (255 - alpha)).div_ceil(255);
        Rgb([red, green, blue].map(|colour| mixed(colour).min(255) as u8))
    })
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    fn size_of(width: u32, height: u32) -> (u32, u32) {
        let bytes = thumbnail(&DynamicImage::new_rgb8(width, height)).unwrap();
        let small = image::load_from_memory(&bytes).unwrap();
        (small.width(), small.height())
    }

    #[test]
    fn it_fits_and_is_never_larger_than_the_picture() {
        assert_eq!(size_of(640, 480), (320, 240));
        assert_eq!(size_of(1000, 100), (320, 32));
        assert_eq!(size_of(100, 1000), (24, 240));
        assert_eq!(size_of(320, 240), (320, 240));
        assert_eq!(size_of(321, 240), (320, 239));
        assert_eq!(size_of(8, 6), (8, 6));
        assert_eq!(size_of(40_000, 1), (320, 1));
        assert_eq!(size_of(1, 40_000), (1, 240));
    }

    #[test]
    fn what_is_hidden_by_alpha_stays_hidden() {
        let hidden = image::RgbaImage::from_pixel(16, 16, Rgba([0, 0, 0, 0]));
        let bytes = thumbnail(&DynamicImage::ImageRgba8(hidden)).unwrap();
        let small = image::load_from_memory(&bytes).unwrap().into_rgb8();
        assert!(small.pixels().all(|pixel| pixel.0.iter().all(|colour| *colour > 250)));
    }
}
