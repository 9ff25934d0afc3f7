//! SVG to PNG, with the font of this crate: the fonts of the machine are never used.

use std::sync::{Arc, LazyLock};

use resvg::tiny_skia::{Pixmap, Transform};
use resvg::usvg::{Options, Tree, fontdb};

use crate::error::DrawError;

/// DejaVu Sans; its licence lies beside it.
const FONT: &[u8] = include_bytes!("../assets/fonts/DejaVuSans.ttf");
/// Pixels of a user unit.
const SCALE: f32 = 2.0;

/// A drawing as the bytes of a PNG file, two pixels to a user unit.
///
/// # Errors
/// [`DrawError::Raster`] if `svg` is no SVG, or is too large or empty.
///
/// ```
/// use riptide_draw::{Svg, png};
///
/// assert!(png(&Svg::new(20.0, 10.0, "Nothing").file())?.starts_with(b"\x89PNG"));
/// assert!(png("no drawing").is_err());
/// # Ok::<(), riptide_draw::DrawError>(())
/// ```
pub fn png(svg: &str) -> Result<Vec<u8>, DrawError> {
    // Reading the font takes longer than a small drawing does.
    static FONTS: LazyLock<Arc<fontdb::Database>> = LazyLock::new(|| {
        let mut fonts = fontdb::Database::new();
        fonts.load_font_data(FONT.to_vec());
        fonts.set_sans_serif_family("DejaVu Sans");
        Arc::new(fonts)
    });
    let options = Options {
        font_family: "DejaVu Sans".to_owned(),
        fontdb: Arc::clone(&FONTS),
        ..Default::default()
    };
    let tree = Tree::from_str(svg, &options).map_err(|error| DrawError::Raster(error.to_string()))?;
    let size = tree.size();
    let (width, height) = (
        (size.width() * SCALE).round() as u32,
        (size.height() * SCALE).round() as u32,
    );
    let mut pixels = Pixmap::new(width, height)
        .ok_or_else(|| DrawError::Raster(format!("{width} x {height} pixels cannot be drawn")))?;
    resvg::render(&tree, Transform::from_scale(SCALE, SCALE), &mut pixels.as_mut());
    pixels
        .encode_png()
        .map_err(|error| DrawError::Raster(error.to_string()))
}
