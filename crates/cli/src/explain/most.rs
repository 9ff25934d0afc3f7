//! The most harmful images of a stream, kept with their pixels.

use riptide_detectors::Answers;
use riptide_experiments::Picture;
use serde::Serialize;

use crate::args::Images;
use crate::monitor::{Monitor, Scored};

/// The images with the highest scores so far.
pub struct Most {
    n: usize,
    kept: Vec<Kept>,
}

struct Kept {
    index: usize,
    score: f32,
    classifier: usize,
    distilled: usize,
    pixels: Vec<u8>,
    height: usize,
    width: usize,
}

/// One of the most harmful images.
#[derive(Debug, Serialize)]
pub struct Image<'a> {
    pub index: usize,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub file: Option<String>,
    pub score: f32,
    /// The class that the classifier gives it.
    pub classifier: &'a str,
    /// The class that the distilled network gives it.
    pub distilled: &'a str,
}

impl Most {
    /// Keeps `n` images at most.
    pub fn new(n: usize) -> Self {
        Self { n, kept: Vec::new() }
    }

    /// Looks through a chunk.
    pub fn look(&mut self, scored: &Scored, answers: &Answers) {
        let answers = answers.classifier.iter().zip(&answers.distilled);
        let each = scored.scores.iter().zip(answers).zip(scored.images.images());
        for (i, ((&score, (&classifier, &distilled)), pixels)) in each.enumerate() {
            let is_full = self.kept.len() >= self.n;
            if is_full && self.kept.last().is_some_and(|least| least.score >= score) {
                continue;
            }
            // Among equal scores the earlier image comes first.
            let place = self.kept.partition_point(|other| other.score >= score);
            let kept = Kept {
                index: scored.first + i,
                score,
                classifier,
                distilled,
                pixels: pixels.to_vec(),
                height: scored.images.height(),
                width: scored.images.width(),
            };
            self.kept.insert(place, kept);
            self.kept.truncate(self.n);
        }
    }

    /// The images, highest score first.
    pub fn images<'a>(&self, monitor: &'a Monitor, images: &Images) -> Vec<Image<'a>> {
        let image = |kept: &Kept| Image {
            index: kept.index,
            file: images.file(kept.index).map(|file| file.display().to_string()),
            score: kept.score,
            classifier: monitor.class(kept.classifier),
            distilled: monitor.class(kept.distilled),
        };
        self.kept.iter().map(image).collect()
    }

    /// The images as they are drawn.
    pub fn pictures(&self, images: &[Image<'_>]) -> Vec<Picture<'_>> {
        let pairs = self.kept.iter().zip(images);
        pairs
            .map(|(kept, image)| {
                let name = match &image.file {
                    Some(file) => file.rsplit(['/', '\\']).next().unwrap_or(file).to_owned(),
                    None => format!("image {}", image.index),
                };
                Picture {
                    pixels: &kept.pixels,
                    height: kept.height,
                    width: kept.width,
                    lines: vec![
                        format!("{}  {:.2}", image.classifier, image.score),
                        format!("distilled: {}", image.distilled),
                        name,
                    ],
                }
            })
            .collect()
    }
}
