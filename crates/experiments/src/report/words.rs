//! The report's sentences.

use riptide_detectors::ScoreKind;
use riptide_stats::ks::Alternative;

use crate::accuracy::Comparison;
use crate::format::{percent, range};
use crate::harmfulness::Kind;
use crate::reading::POWER;
use crate::summary::Summary;

/// From which contamination on a score finds harm, over the severities.
pub(super) fn found_from(summary: &Summary, score: ScoreKind) -> String {
    let severities = summary.protocol.severities.len();
    let found = summary.by_severity(|severity| summary.detection(score, severity, POWER));
    let missed = severities - found.len();
    match range(found) {
        None => "never".to_owned(),
        Some(text) if missed == 0 => text,
        Some(text) => format!("{text}, never at {missed} of {severities}"),
    }
}

/// The finding in one sentence.
pub(super) fn headline(summary: &Summary, score: ScoreKind) -> String {
    let severities = summary.protocol.severities.len();
    let found = summary.by_severity(|severity| summary.detection(score, severity, POWER));
    let worst = percent(found.iter().copied().fold(0.0, f64::max));
    let seen = if found.len() == severities {
        let everywhere = if severities > 1 { ", at every severity" } else { "" };
        format!("Harmful drift is found once {worst} of a batch is harmful{everywhere}")
    } else if found.is_empty() {
        "Harmful drift is not found reliably at any contamination that was tried".to_owned()
    } else {
        format!(
            "Harmful drift is found at {} of {severities} severities, once {worst} of a batch is harmful",
            found.len()
        )
    };
    match range(summary.by_severity(|severity| summary.false_alarms(score, severity))) {
        Some(alarms) => format!("{seen}; harmless drift raises an alarm in {alarms} of batches."),
        None => format!("{seen}."),
    }
}

/// What stands behind the headline, a sentence each.
pub(super) fn points(summary: &Summary, score: ScoreKind) -> Vec<String> {
    let params = &summary.protocol;
    let mut points = vec![format!(
        "“Found” means that at least {} of {} batches of {} images alarm, at that contamination and at every higher one.",
        percent(POWER),
        params.batches,
        params.batch_size
    )];
    if let Some((few, many)) = summary.judged_at() {
        let at = |fraction| {
            let rates = summary
                .by_severity(|severity| Some(summary.alarms(score, severity, Kind::Harmless, fraction)?.estimate));
            range(rates).map(|rates| format!("in {rates} of batches with {} harmless images", percent(fraction)))
        };
        let rates: Vec<String> = [at(few), at(many).filter(|_| few != many)]
            .into_iter()
            .flatten()
            .collect();
        points.push(if rates.is_empty() {
            "No corrupted image was harmless, so no false alarm was possible.".to_owned()
        } else {
            format!("By severity, there are false alarms {}.", rates.join(" and "))
        });
    }
    if let Some(rate) = summary.clean_alarms(score) {
        points.push(format!(
            "Of batches of clean images {} alarmed; the level of the test asks for {}.",
            percent(rate),
            percent(params.level)
        ));
    }
    points.push(direction(params.alternative).to_owned());
    points
}

/// What a test of this alternative alarms on.
fn direction(alternative: Alternative) -> &'static str {
    match alternative {
        Alternative::TwoSided => {
            "The test is two-sided, as published: it alarms if a batch's scores differ from the reference's either way, also \
             if a batch is easier than the reference."
        }
        Alternative::Greater => {
            "The test is one-sided (greater): it alarms only if a batch's scores are larger than the reference's, which is \
             the direction of harm. A batch that is easier than the reference never alarms."
        }
        Alternative::Less => {
            "The test is one-sided (less): it alarms only if a batch's scores are smaller than the reference's, which is \
             not the direction of harm. To find harm, take greater or two-sided."
        }
    }
}

pub(super) fn tested(summary: &Summary) -> String {
    let params = &summary.protocol;
    let plural = |n: usize, one: &str, many: &str| format!("{n} {}", if n == 1 { one } else { many });
    format!(
        "A classifier and its distilled network on {} clean test images of {} and their twins under {} at {}. A reference of {} \
         clean scores is compared with batches of {} images by a two-sample Kolmogorov-Smirnov test ({}, level {}); {} \
         for each severity, kind and percentage.",
        summary.n_images,
        summary.dataset,
        plural(params.corruptions.len(), "corruption", "corruptions"),
        plural(params.severities.len(), "severity", "severities"),
        params.n_ref,
        params.batch_size,
        params.alternative,
        params.level,
        plural(params.batches, "batch", "batches")
    )
}

/// What the comparison of several scores says, in two sentences: which finds most harm and which raises most false alarms.
pub(crate) fn comparison(summary: &Summary) -> Option<String> {
    let scores = &summary.protocol.scores;
    let (few, many) = summary.judged_at().filter(|_| scores.len() > 1)?;
    let rate = |score, kind, fraction| summary.mean_alarms(score, kind, fraction);
    // The first of equals wins, in the order of the protocol.
    let extreme = |kind, fraction, sign: f64| {
        let rates = scores
            .iter()
            .filter_map(|&score| Some((score, rate(score, kind, fraction)?)));
        rates.reduce(|best, next| if sign * next.1 > sign * best.1 { next } else { best })
    };
    let (finder, found) = extreme(Kind::Harmful, few, 1.0)?;
    let (blindest, missed) = extreme(Kind::Harmful, few, -1.0)?;
    let (calmest, calm) = extreme(Kind::Harmless, many, -1.0)?;
    let (loudest, loud) = extreme(Kind::Harmless, many, 1.0)?;
    let harm = format!(
        "Of batches with {} harmful images {finder} finds most ({}) and {blindest} fewest ({}); on batches with {} harmless \
         images {loudest} raises most false alarms ({}) and {calmest} fewest ({}), each the mean over the severities.",
        percent(few),
        percent(found),
        percent(missed),
        percent(many),
        percent(loud),
        percent(calm)
    );
    let choice = if finder == calmest {
        format!(" On these networks and images {finder} is best at both.")
    } else {
        let price = rate(finder, Kind::Harmless, many)?;
        let power = rate(calmest, Kind::Harmful, few)?;
        format!(
            " None is best at both: {finder} pays for its power with {} false alarms, {calmest} finds only {} of the harm for its \
             few.",
            percent(price),
            percent(power)
        )
    };
    Some(harm + &choice)
}

/// What the comparison with the accuracy test is.
pub(super) fn verdict(found: &Comparison) -> String {
    let [fit, reference, test] = found.images;
    format!(
        "The accuracy test estimates, for each image, the chance that the classifier is wrong, from both networks{}. It was fitted on \
         {fit} images with all corruptions but those it is judged on{}; {reference} more are the reference, and batches come from \
         the other {test}. Images are split {} times. What is said here rests on an assumption: that a new corruption is to the \
         declared ones as each of them is to the others.",
        if found.views > 1 { " and the mirrored image" } else { "" },
        match found.declared {
            0 => String::new(),
            n => format!(", and with {n} kinds of damage of our own"),
        },
        found.params.references
    )
}

#[cfg(test)]
mod tests {
    use riptide_corruptions::Severity;
    use riptide_stats::Interval;

    use super::*;
    use crate::protocol::ProtocolParams;
    use crate::summary::Cell;

    /// A text with ordinary spaces.
    fn plain(text: &str) -> String {
        text.replace('\u{a0}', " ")
    }

    /// Two scores at two severities with known alarm rates at 0, 30 and 90 %: (harmful, harmless) a severity.
    fn summary(rates: &[(ScoreKind, [[[f64; 3]; 2]; 2])]) -> Summary {
        let protocol = ProtocolParams {
            severities: vec![Severity::ALL[0], Severity::ALL[4]],
            fractions: vec![0.0, 0.3, 0.9],
            scores: rates.iter().map(|(score, _)| *score).collect(),
            ..Default::default()
        };
        let mut sweep = Vec::new();
        for &(score, by_severity) in rates {
            for (&severity, by_kind) in protocol.severities.iter().zip(by_severity) {
                for (kind, alarms) in Kind::ALL.into_iter().zip(by_kind) {
                    for (&fraction, estimate) in protocol.fractions.iter().zip(alarms) {
                        let (lower, upper) = (estimate, estimate);
                        sweep.push(Cell {
                            score,
                            severity,
                            kind,
                            fraction,
                            mean: 0.5,
                            std: 0.1,
                            min: 0.0,
                            max: 1.0,
                            alarms: Interval { estimate, lower, upper },
                        });
                    }
                }
            }
        }
        Summary {
            comparison: None,
            no_comparison: None,
            dataset: "test".to_owned(),
            provenance: String::new(),
            n_images: 0,
            images_digest: String::new(),
            networks_digest: String::new(),
            protocol,
            accuracy: 0.9,
            clean: Vec::new(),
            accuracies: Vec::new(),
            severities: Vec::new(),
            sweep,
            harm: Vec::new(),
        }
    }

    const QUIET: (ScoreKind, [[[f64; 3]; 2]; 2]) = (
        ScoreKind::Distillation,
        [
            [[0.04, 0.7, 0.96], [0.06, 0.05, 0.07]],
            [[0.04, 0.95, 1.0], [0.06, 0.05, 0.23]],
        ],
    );
    const LOUD: (ScoreKind, [[[f64; 3]; 2]; 2]) = (
        ScoreKind::Entropy,
        [
            [[0.05, 0.98, 1.0], [0.05, 0.1, 0.4]],
            [[0.05, 1.0, 1.0], [0.05, 0.3, 0.9]],
        ],
    );

    #[test]
    fn the_comparison_names_who_finds_harm_and_who_raises_false_alarms() {
        assert_eq!(
            plain(&comparison(&summary(&[QUIET, LOUD])).unwrap()),
            "Of batches with 30 % harmful images entropy finds most (99 %) and distillation fewest (82.5 %); on batches with 90 % \
             harmless images entropy raises most false alarms (65 %) and distillation fewest (15 %), each the mean over the \
             severities. None is best at both: entropy pays for its power with 65 % false alarms, distillation finds only \
             82.5 % of the harm for its few."
        );
        let best = (ScoreKind::Entropy, [[[0.05, 1.0, 1.0], [0.05; 3]]; 2]);
        let said = comparison(&summary(&[QUIET, best])).unwrap();
        assert!(
            said.ends_with("On these networks and images entropy is best at both."),
            "{said}"
        );
        assert_eq!(comparison(&summary(&[QUIET])), None);
    }

    #[test]
    fn the_headline_is_as_good_as_the_worst_severity() {
        let quiet = summary(&[QUIET]);
        assert_eq!(plain(&found_from(&quiet, ScoreKind::Distillation)), "30 to 90 %");
        // Harmless batches at 30 and 90 %: means .06 and .14.
        assert_eq!(
            plain(&headline(&quiet, ScoreKind::Distillation)),
            "Harmful drift is found once 90 % of a batch is harmful, at every severity; harmless drift raises an alarm in 6 to \
             14 % of batches."
        );
        let said = points(&quiet, ScoreKind::Distillation);
        assert_eq!(
            plain(&said[1]),
            "By severity, there are false alarms in 5 % of batches with 30 % harmless images and in 7 to 23 % of batches with 90 % harmless \
             images."
        );
        assert!(
            plain(&said[2]).starts_with("Of batches of clean images 5 % alarmed"),
            "{said:?}"
        );

        let mut blind = QUIET;
        blind.1[1][0] = [0.04, 0.5, 0.6];
        let blind = summary(&[blind]);
        assert_eq!(
            plain(&found_from(&blind, ScoreKind::Distillation)),
            "90 %, never at 1 of 2"
        );
        assert!(
            plain(&headline(&blind, ScoreKind::Distillation))
                .starts_with("Harmful drift is found at 1 of 2 severities, once 90 % of a batch is harmful;")
        );
    }
}
