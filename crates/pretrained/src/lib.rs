//! The networks that come with Riptide, as bytes in the program.
//!
//! For each data set there are a classifier and the small network that was distilled from it, with a card that says how they
//! were trained and how good they are. Nothing has to be downloaded, and no file has to lie beside the program.
//!
//! ```
//! use riptide_pretrained::{ALL, Pretrained};
//!
//! let names: Vec<&str> = ALL.iter().map(|networks| networks.name).collect();
//! assert_eq!(names, ["shapes", "cifar10"]);
//! let shapes = Pretrained::named("shapes").ok_or("no such networks")?;
//! assert!(shapes.classifier.config.starts_with(b"{"));
//! assert!(shapes.card.starts_with("# Networks for Shapes"));
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```
//!
//! `riptide_models::Network::from_bytes(files.config, files.weights)` makes a network of a [`Files`].

#![forbid(unsafe_code)]

/// The two files of one network.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Files {
    /// `config.json`: the description of the network.
    pub config: &'static [u8],
    /// `model.safetensors`: its parameters, float32.
    pub weights: &'static [u8],
}

/// A classifier and the network distilled from it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub struct Pretrained {
    /// The data set's name: `shapes` or `cifar10`.
    pub name: &'static str,
    /// The classifier.
    pub classifier: Files,
    /// The distilled network.
    pub distilled: Files,
    /// How both were trained and how good they are, as Markdown.
    pub card: &'static str,
}

impl Pretrained {
    /// The networks for the data set of that name; none if there are none for it.
    pub fn named(name: &str) -> Option<&'static Self> {
        ALL.into_iter().find(|networks| networks.name == name)
    }
}

macro_rules! pretrained {
    ($name:literal) => {
        Pretrained {
            name: $name,
            classifier: Files {
                config: include_bytes!(concat!("../networks/", $name, "/classifier/config.json")),
                weights: include_bytes!(concat!("../networks/", $name, "/classifier/model.safetensors")),
            },
            distilled: Files {
                config: include_bytes!(concat!("../networks/", $name, "/distilled/config.json")),
                weights: include_bytes!(concat!("../networks/", $name, "/distilled/model.safetensors")),
            },
            card: include_str!(concat!("../networks/", $name, "/README.md")),
        }
    };
}

/// The networks for the pictures that Riptide generates: 10 classes of shapes, 32 x 32.
pub static SHAPES: Pretrained = pretrained!("shapes");

/// The networks for CIFAR-10: 10 classes, 32 x 32.
pub static CIFAR10: Pretrained = pretrained!("cifar10");

/// All of them.
pub static ALL: [&Pretrained; 2] = [&SHAPES, &CIFAR10];

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_file_is_there_and_all_fit_the_registry() {
        let mut size = 0;
        for networks in ALL {
            assert_eq!(Pretrained::named(networks.name), Some(networks));
            assert!(networks.card.starts_with("# "), "{}", networks.name);
            for files in [networks.classifier, networks.distilled] {
                // A checkout that replaced the files by pointers, or changed their line ends, would be seen here.
                assert!(files.config.starts_with(b"{") && files.config.ends_with(b"}\n"));
                assert!(files.weights.len() > 1_000_000);
                size += files.config.len() + files.weights.len();
            }
        }
        assert!(size < 10 << 20, "{size} bytes are more than a package may hold");
        assert!(Pretrained::named("other").is_none());
    }
}
