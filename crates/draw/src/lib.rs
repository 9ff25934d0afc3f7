//! Charts, contact sheets and text tables.
//!
//! Everything is drawn from numbers alone, in one font that comes with the crate, so that the same numbers give the same bytes
//! on every machine. A drawing is the text of an SVG file; `png` (feature `png`, on by default) makes pixels of it.
//!
//! - [`Chart`]: small panels with axes under one title and legend, for a file ([`Drawing::sheet`]) and for a page that may be
//!   light or dark ([`Drawing::panels`], [`css`])
//! - [`contact_sheet`]: pictures with a few words below each
//! - [`training_curve`]: how a training went, epoch by epoch
//! - [`text_table`]: a table for a terminal
//! - [`Svg`]: the pen below them all
//!
//! ```
//! use riptide_draw::{Axis, Chart, Entry, Mark, Paint, Shape};
//!
//! let legend = vec![Entry::new(Mark::Line("", Some(Shape::Dot)), Paint::HARMFUL, "harmful")];
//! let mut chart = Chart::new("Batches that alarm", legend, 1);
//! chart.panel("severity 5", (Axis::percent(), "harmful images"), (Axis::percent(), "alarms"), |svg, plot| {
//!     let points = [plot.at(0.0, 0.05), plot.at(0.3, 0.7), plot.at(0.9, 1.0)];
//!     svg.line(&points, Paint::HARMFUL, 2.0, "");
//!     for point in points {
//!         svg.mark(point, Shape::Dot, 3.5, Paint::HARMFUL);
//!     }
//! });
//! let drawing = chart.finish();
//! assert!(drawing.sheet.starts_with("<svg"));
//! # #[cfg(feature = "png")]
//! assert!(riptide_draw::png(&drawing.sheet)?.starts_with(b"\x89PNG"));
//! # Ok::<(), riptide_draw::DrawError>(())
//! ```

#![forbid(unsafe_code)]

mod axes;
mod chart;
mod colour_map;
mod contact_sheet;
mod error;
mod legend;
mod paint;
mod picture;
#[cfg(feature = "png")]
mod raster;
mod svg;
mod text_table;
mod training_curve;

pub use axes::{Axis, Plot};
pub use chart::{Chart, Drawing, Named};
pub use colour_map::{cividis, text_on_cividis};
pub use contact_sheet::{Picture, contact_sheet};
pub use error::DrawError;
pub use legend::{Entry, Key, Mark, head};
pub use paint::{Paint, css};
pub use picture::data_uri;
#[cfg(feature = "png")]
pub use raster::png;
pub use svg::{Anchor, HEADING, SHEET_WIDTH, Shape, Svg, TEXT, text_width};
pub use text_table::{Column, text_table};
pub use training_curve::{CurvePoint, training_curve};
