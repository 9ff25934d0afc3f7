//! Fitting: coefficients, temperature, line, residuals and region, and all of it again without each family.

use rayon::prelude::*;

use super::config::AccuracyConfig;
use super::evidence::{FamilyEvidence, SetEvidence};
use super::line::{Line, OTHERS, Point, SIMPLEST, Shape};
use super::logistic::{Design, fit as fit_logistic};
use super::model::{AccuracyModel, Doubt, Scaler};
use super::region::{Located, Region, locate};
use super::residuals::{FamilyResiduals, LeftOut, Residuals};
use super::set::DescribedSet;
use super::temperature::{Losses, temperature};
use super::window::{WindowValue, emphasised};
use crate::error::DetectorError;

/// Another shape of the line is taken if its mean squared residual is below this part of the simpler one's.
const CLEARLY: f64 = 0.75;

/// What a fit gives.
#[derive(Debug, Clone, PartialEq)]
#[non_exhaustive]
pub struct Calibrated {
    /// The model to deploy, fitted on every declared family.
    pub model: AccuracyModel,
    /// One entry a declared family: what a model that did not see it says of it. The certificate is made from this; some
    /// ten bytes an image.
    pub evidence: Vec<FamilyEvidence>,
}

impl AccuracyModel {
    /// Fits the model.
    ///
    /// - `reference`: clean images, which are in none of the other sets: the deployed model's reference.
    /// - `clean`: the clean images whose corrupted versions `sets` are.
    /// - `sets`: corrupted images, several severities of many families.
    ///
    /// Everything is fitted once on all families and once without each of them. What the latter say of the family that they
    /// did not see gives the interval, the margins of the verdict and the limit of what counts as declared. The same input gives
    /// the same bytes for any number of threads.
    ///
    /// # Errors
    /// [`DetectorError::Empty`] for an empty set, [`DetectorError::Shape`] for sets that differ in classes, views or networks,
    /// [`DetectorError::NoFit`] for fewer than three families or if all answers to the corrupted images are right, or all wrong,
    /// [`DetectorError::InvalidOption`] for an option out of range.
    pub fn fit(
        reference: &DescribedSet,
        clean: &DescribedSet,
        sets: &[DescribedSet],
        config: &AccuracyConfig,
    ) -> Result<Calibrated, DetectorError> {
        config.check()?;
        let declared = Declared::new(reference, clean, sets, config)?;
        let full = declared.coefficients(None, None)?;
        let folds: Vec<Fold> = (0..declared.families.len())
            .into_par_iter()
            .map(|family| declared.fold(Some(family), Some(&full)))
            .collect::<Result<_, _>>()?;
        let deployed = declared.fold(None, Some(&full))?;
        // One table of left-out residuals for every shape of the line.
        let mut tables = vec![(SIMPLEST, declared.left_out(&folds, SIMPLEST)?)];
        // Few sets may determine the simplest shape and no other.
        for shape in OTHERS {
            tables.extend(declared.left_out(&folds, shape).ok().map(|table| (shape, table)));
        }
        let model = declared.model(&deployed, None, &tables)?;
        let evidence = folds
            .par_iter()
            .enumerate()
            .map(|(family, fold)| {
                let model = declared.model(fold, Some(family), &tables)?;
                Ok(declared.evidence(model, family))
            })
            .collect::<Result<_, DetectorError>>()?;
        Ok(Calibrated { model, evidence })
    }
}

/// The declared sets, checked and sorted out.
struct Declared<'a> {
    config: &'a AccuracyConfig,
    reference: &'a DescribedSet,
    clean: &'a DescribedSet,
    sets: &'a [DescribedSet],
    families: Vec<&'a str>,
    /// Which family each set is of.
    family: Vec<usize>,
    scaler: Scaler,
    /// Of each family and, last, of the clean images: the loss of every temperature.
    losses: Vec<Losses>,
    /// Every so manieth image is fitted on.
    stride: usize,
}

/// One fit of the coefficients, and the means of every set under it.
struct Fold {
    coefficients: Vec<f64>,
    temperature: f64,
    reference: WindowValue,
    clean: WindowValue,
    sets: Vec<WindowValue>,
}

impl<'a> Declared<'a> {
    fn new(
        reference: &'a DescribedSet,
        clean: &'a DescribedSet,
        sets: &'a [DescribedSet],
        config: &'a AccuracyConfig,
    ) -> Result<Self, DetectorError> {
        let all = || [reference, clean].into_iter().chain(sets);
        for set in all() {
            if set.is_empty() {
                return Err(DetectorError::Empty {
                    what: "a declared set",
                    unit: "image",
                });
            }
            if set.images.kind != clean.images.kind || set.images.kind.distilled != config.distilled {
                return Err(DetectorError::shape(
                    "classes, networks and views of a declared set",
                    format!("{:?}", clean.images.kind),
                    format!("{:?} in {} {}", set.images.kind, set.family, set.severity),
                ));
            }
        }
        let mut families: Vec<&str> = Vec::new();
        let mut family = Vec::with_capacity(sets.len());
        for set in sets {
            let known = families.iter().position(|name| *name == set.family);
            family.push(known.unwrap_or_else(|| {
                families.push(&set.family);
                families.len() - 1
            }));
        }
        if families.len() < 3 {
            return Err(DetectorError::NoFit {
                reason: format!(
                    "{} kinds of corruption were declared, three at least are needed to leave one out",
                    families.len()
                ),
            });
        }
        let wrong: usize = sets
            .iter()
            .map(|set| set.wrong.iter().filter(|&&wrong| wrong).count())
            .sum();
        let n: usize = sets.iter().map(DescribedSet::len).sum();
        if wrong == 0 || wrong == n {
            return Err(DetectorError::NoFit {
                reason: format!(
                    "{wrong} of {n} answers to the corrupted images are wrong, which teaches nothing; declare other \
                     corruptions or severities"
                ),
            });
        }
        let stride = (n + clean.len()).div_ceil(config.max_images).max(1);
        let mut losses = vec![Losses::ZERO; families.len() + 1];
        let last = families.len();
        let parts: Vec<(usize, Losses)> = sets
            .par_iter()
            .zip(&family)
            .map(|(set, &family)| (family, losses_of(set, stride)))
            .collect();
        for (family, part) in parts.into_iter().chain([(last, losses_of(clean, stride))]) {
            if let Some(sum) = losses.get_mut(family) {
                sum.merge(&part);
            }
        }
        let rows = sets
            .iter()
            .chain([clean])
            .flat_map(|set| set.images.images().step_by(stride))
            .map(|image| image.features);
        let scaler = Scaler::fit(rows, clean.images.kind.width());
        Ok(Self {
            config,
            reference,
            clean,
            sets,
            families,
            family,
            scaler,
            losses,
            stride,
        })
    }

    /// The coefficients without one family.
    fn coefficients(&self, without: Option<usize>, start: Option<&[f64]>) -> Result<Vec<f64>, DetectorError> {
        let kind = self.clean.images.kind;
        let mut design = Design {
            width: kind.width(),
            indicators: kind.indicators(),
            ..Design::default()
        };
        let kept = self
            .sets
            .iter()
            .zip(&self.family)
            .filter(|(_, family)| Some(**family) != without);
        let kept = [self.clean].into_iter().chain(kept.map(|(set, _)| set));
        for (place, set) in kept.enumerate() {
            // Other images of every set, so that each image is seen in some.
            let images = set
                .images
                .images()
                .zip(&set.wrong)
                .skip(place % self.stride)
                .step_by(self.stride);
            for (image, &wrong) in images {
                design.features.extend(self.scaler.apply(image.features));
                design.class.push(image.class as u32);
                design.target.push(f64::from(u8::from(wrong)));
            }
        }
        fit_logistic(&design, self.config.ridge, start)
    }

    fn fold(&self, without: Option<usize>, full: Option<&[f64]>) -> Result<Fold, DetectorError> {
        let coefficients = match (without, full) {
            (None, Some(full)) => full.to_vec(),
            _ => self.coefficients(without, full)?,
        };
        let mut losses = Losses::ZERO;
        for (family, part) in self.losses.iter().enumerate() {
            if Some(family) != without {
                losses.merge(part);
            }
        }
        let bare = self.bare(coefficients, temperature(losses.best()));
        Ok(Fold {
            reference: bare.summarise(&self.reference.images),
            clean: bare.summarise(&self.clean.images),
            sets: self.sets.iter().map(|set| bare.summarise(&set.images)).collect(),
            coefficients: bare.coefficients,
            temperature: bare.temperature,
        })
    }

    /// A model that knows error probabilities and confidences, and no more.
    fn bare(&self, coefficients: Vec<f64>, temperature: f64) -> AccuracyModel {
        let kind = self.clean.images.kind;
        let empty = WindowValue::new(kind.n_classes);
        AccuracyModel {
            config: *self.config,
            n_classes: kind.n_classes,
            views: if kind.mirrored { 2 } else { 1 },
            scaler: self.scaler.clone(),
            coefficients,
            temperature,
            line: Line::default(),
            residuals: Residuals::default(),
            region: Region::new(locate(&empty, &empty), &[]),
            reference: empty.clone(),
            base: empty,
            doubt: Doubt::default(),
            accuracy: 0.0,
            image_variance: 0.0,
        }
    }

    /// The line through all sets but those of one family.
    fn line(&self, fold: &Fold, without: Option<usize>, shape: Shape) -> Result<Line, DetectorError> {
        let mut points = vec![Point {
            mean: fold.clean.moments().mean,
            accuracy: self.clean.accuracy(),
        }];
        for ((window, set), &family) in fold.sets.iter().zip(self.sets).zip(&self.family) {
            if Some(family) != without {
                points.push(Point {
                    mean: window.moments().mean,
                    accuracy: set.accuracy(),
                });
            }
        }
        Line::fit(&points, shape).ok_or_else(|| DetectorError::NoFit {
            reason: format!(
                "{} declared sets do not determine a line; declare more",
                self.sets.len()
            ),
        })
    }

    /// What is estimated of each family by the fold without it, for one shape of the line.
    fn left_out(&self, folds: &[Fold], shape: Shape) -> Result<Residuals, DetectorError> {
        let mut families = Vec::with_capacity(folds.len());
        for (family, (fold, name)) in folds.iter().zip(&self.families).enumerate() {
            let line = self.line(fold, Some(family), shape)?;
            let clean = fold.clean.moments();
            let region = self.region(fold, Some(family));
            let own = fold
                .sets
                .iter()
                .zip(self.sets)
                .zip(&self.family)
                .filter(|(_, of)| **of == family);
            let sets = own.map(|((window, set), _)| {
                let x = line.index(&clean, &window.moments());
                LeftOut {
                    severity: set.severity,
                    drop: self.clean.accuracy() - set.accuracy(),
                    linear: line.linear * x,
                    square: line.square * x.max(0.0).powi(2),
                    rise: fold.sets_rise(window),
                    distance: region.distance(&self.located(fold, window)).0,
                }
            });
            families.push(FamilyResiduals {
                family: (*name).to_owned(),
                sets: sets.collect(),
            });
        }
        Ok(Residuals { families })
    }

    fn located(&self, fold: &Fold, window: &WindowValue) -> Located {
        locate(window, &fold.reference).exact()
    }

    /// The region of a fold's sets without those of one family.
    fn region(&self, fold: &Fold, without: Option<usize>) -> Region {
        let sets = fold
            .sets
            .iter()
            .zip(&self.family)
            .filter(|(_, family)| Some(**family) != without);
        let sets: Vec<Located> = sets.map(|(window, _)| self.located(fold, window)).collect();
        Region::new(self.located(fold, &fold.clean), &sets)
    }

    /// The whole model of a fold.
    fn model(
        &self,
        fold: &Fold,
        without: Option<usize>,
        tables: &[(Shape, Residuals)],
    ) -> Result<AccuracyModel, DetectorError> {
        // What the fold may know: the residuals of the families that it saw.
        let known = |table: &Residuals| Residuals {
            families: table
                .families
                .iter()
                .enumerate()
                .filter(|(family, _)| Some(*family) != without)
                .map(|(_, family)| family.clone())
                .collect(),
        };
        // The simplest shape, unless another is clearly better: what looks a little better here is chance.
        let mut best = (SIMPLEST, Residuals::default());
        for (place, (shape, table)) in tables.iter().enumerate() {
            let table = known(table);
            if place == 0 || table.mean_square() < CLEARLY * best.1.mean_square() {
                best = (*shape, table);
            }
        }
        let (shape, residuals) = best;
        let mut model = self.bare(fold.coefficients.clone(), fold.temperature);
        model.line = self.line(fold, without, shape)?;
        model.residuals = residuals;
        model.region = self.region(fold, without);
        model.region.limit = model.residuals.reach();
        model.base = fold.reference.clone();
        model.base.merge(&fold.clean)?;
        let right = |set: &DescribedSet| set.accuracy() * set.len() as f64;
        model.accuracy = (right(self.reference) + right(self.clean)) / (self.reference.len() + self.clean.len()) as f64;
        model.doubt = doubt(&model, [self.reference, self.clean]);
        model.image_variance = self.image_variance(&model, without);
        model.reference = fold.reference.clone();
        Ok(model)
    }

    /// The variance within a set of (wrong - what the line says of the image), the mean over the sets.
    fn image_variance(&self, model: &AccuracyModel, without: Option<usize>) -> f64 {
        let kept = self
            .sets
            .iter()
            .zip(&self.family)
            .filter(|(_, family)| Some(**family) != without);
        let base = model.base.moments();
        let variances: Vec<f64> = kept
            .map(|(set, _)| {
                let x = model.line.index(&base, &model.summarise(&set.images).moments());
                let slope = model.line.slope(x);
                let (mut n, mut sum, mut square) = (0.0, 0.0, 0.0);
                for (image, &wrong) in set.images.images().zip(&set.wrong).step_by(self.stride) {
                    let [e, c, a] = model.line.weights;
                    let line = e * model.error(&image)
                        + c * image.confidence(model.temperature)
                        + a * f64::from(u8::from(image.agree));
                    let residual = f64::from(u8::from(wrong)) - slope * line;
                    n += 1.0;
                    sum += residual;
                    square += residual * residual;
                }
                (square / n - (sum / n) * (sum / n)).max(0.0)
            })
            .collect();
        variances.iter().sum::<f64>() / variances.len().max(1) as f64
    }

    fn evidence(&self, model: AccuracyModel, family: usize) -> FamilyEvidence {
        let own = self.sets.iter().zip(&self.family).filter(|(_, of)| **of == family);
        FamilyEvidence {
            family: self.families.get(family).copied().unwrap_or_default().to_owned(),
            clean: SetEvidence::of(&model, self.clean),
            sets: own.map(|(set, _)| SetEvidence::of(&model, set)).collect(),
            model,
        }
    }
}

impl Fold {
    /// By how much a set's mean error probability lies above the clean images'.
    fn sets_rise(&self, window: &WindowValue) -> f64 {
        window.mean_error() - self.clean.mean_error()
    }
}

fn losses_of(set: &DescribedSet, stride: usize) -> Losses {
    let mut losses = Losses::ZERO;
    for (image, &wrong) in set.images.images().zip(&set.wrong).step_by(stride) {
        losses.add(&image, wrong);
    }
    losses
}

/// The emphasised error probabilities of clean images.
fn doubt(model: &AccuracyModel, sets: [&DescribedSet; 2]) -> Doubt {
    let images = sets.iter().flat_map(|set| set.images.images());
    let values: Vec<f64> = images.map(|image| emphasised(model.error(&image))).collect();
    let n = values.len().max(1) as f64;
    let mean = values.iter().sum::<f64>() / n;
    let moment = |power: i32| values.iter().map(|value| (value - mean).powi(power)).sum::<f64>() / n;
    let variance = moment(2);
    let skewness = if variance > 0.0 {
        moment(3) / variance.powf(1.5)
    } else {
        0.0
    };
    Doubt {
        n,
        mean,
        variance,
        skewness,
    }
}
