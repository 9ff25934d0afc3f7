//! SVG to PNG, with the vendored font alone: no fonts of the machine take part.

use std::sync::Arc;

use resvg::tiny_skia::{Pixmap, Transform};
use resvg::usvg::{Options, Tree, fontdb};

/// DejaVu Sans; its licence lies beside it.
const FONT: &[u8] = include_bytes!("../../assets/fonts/DejaVuSans.ttf");
/// Pixels of a user unit.
const SCALE: f32 = 2.0;

/// Draws SVG text as PNG.
#[derive(Debug)]
pub(crate) struct Canvas {
    fonts: Arc<fontdb::Database>,
}

impl Canvas {
    pub(crate) fn new() -> Self {
        let mut fonts = fontdb::Database::new();
        fonts.load_font_data(FONT.to_vec());
        fonts.set_sans_serif_family("DejaVu Sans");
        Self { fonts: Arc::new(fonts) }
    }

    /// The drawing as a PNG file, or why there is none.
    pub(crate) fn png(&self, svg: &str) -> Result<Vec<u8>, String> {
        let options = Options {
            font_family: "DejaVu Sans".to_owned(),
            fontdb: Arc::clone(&self.fonts),
            ..Default::default()
        };
        let tree = Tree::from_str(svg, &options).map_err(|error| error.to_string())?;
        let size = tree.size();
        let (width, height) = (
            (size.width() * SCALE).round() as u32,
            (size.height() * SCALE).round() as u32,
        );
        let mut pixels =
            Pixmap::new(width, height).ok_or_else(|| format!("{width} x {height} pixels cannot be drawn"))?;
        resvg::render(&tree, Transform::from_scale(SCALE, SCALE), &mut pixels.as_mut());
        pixels.encode_png().map_err(|error| error.to_string())
    }
}
