//! The page: HTML written here, with drawings inside and nothing from elsewhere.

mod charts;
mod settings;
mod view;
mod window;
mod words;

use std::sync::OnceLock;

use minijinja::{AutoEscape, Environment, Error, Value};

pub(crate) use settings::settings;
pub(crate) use view::{alarms, monitor, overview};
pub(crate) use window::window;

/// The style sheet, with the colours of the drawings.
pub(crate) fn style() -> &'static str {
    static STYLE: OnceLock<String> = OnceLock::new();
    STYLE.get_or_init(|| include_str!("../../assets/page.css").to_owned() + &riptide::draw::css())
}

/// The script: it refreshes, and nothing else.
pub(crate) const SCRIPT: &str = include_str!("../../assets/page.js");

/// Writes a page. Everything that is put into it is escaped, the drawings excepted, which escape what they are given.
fn render(template: &str, values: Value) -> Result<String, Error> {
    static PAGES: OnceLock<Environment<'static>> = OnceLock::new();
    let pages = PAGES.get_or_init(|| {
        let mut pages = Environment::new();
        pages.set_auto_escape_callback(|_| AutoEscape::Html);
        for (name, text) in [
            ("base.html", include_str!("../../assets/base.html")),
            ("parts.html", include_str!("../../assets/parts.html")),
            ("overview.html", include_str!("../../assets/overview.html")),
            ("monitor.html", include_str!("../../assets/monitor.html")),
            ("window.html", include_str!("../../assets/window.html")),
            ("alarms.html", include_str!("../../assets/alarms.html")),
            ("settings.html", include_str!("../../assets/settings.html")),
        ] {
            // A template that is broken is found by every test of pages; here it would be missing.
            if let Err(error) = pages.add_template(name, text) {
                tracing::error!("{error}");
            }
        }
        pages
    });
    pages.get_template(template)?.render(values)
}
