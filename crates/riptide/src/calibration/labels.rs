//! Labels of images, in the classifier's classes.

use riptide_stats::wilson;

/// Labels of `names` in the classifier's classes: by name if the classifier's names are known and have all of them, else as
/// they are. Or why that cannot be.
pub(super) fn renamed(
    labels: &[u32],
    names: &[String],
    classes: Option<&[String]>,
    n_classes: usize,
) -> Result<Vec<u32>, String> {
    let place = |name: &String| classes?.iter().position(|class| class == name);
    let places: Option<Vec<usize>> = names.iter().map(place).collect();
    let mapped = |&label: &u32| match &places {
        Some(places) => places.get(label as usize).and_then(|&class| u32::try_from(class).ok()),
        None => Some(label).filter(|&label| (label as usize) < n_classes),
    };
    let mapped: Option<Vec<u32>> = labels.iter().map(mapped).collect();
    mapped.ok_or_else(|| format!("the images have labels beyond the classifier's {n_classes} classes"))
}

/// The labels if the classifier's answers agree with them better than chance does: in another order they would call right answers
/// wrong.
pub(super) fn believed(labels: Vec<u32>, answers: &[usize], n_classes: usize) -> Result<Vec<u32>, String> {
    let right = answers.iter().zip(&labels).filter(|(a, b)| **a == **b as usize).count();
    let found = wilson(right, labels.len());
    // One and a half times what guessing gives, but never more than most of them: with two classes that would be three quarters.
    let chance = 1.0 / n_classes.max(1) as f64;
    if found.lower > (1.5 * chance).min(0.5) {
        return Ok(labels);
    }
    Err(format!(
        "the classifier's answers agree with {:.1} % of them, little more than by chance, so they are in another order than its \
         classes; give the classes' names in the order of its outputs",
        100.0 * found.estimate
    ))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn names(text: &str) -> Vec<String> {
        text.split(' ').map(str::to_owned).collect()
    }

    #[test]
    fn labels_are_taken_by_name_and_believed_if_the_answers_speak_for_them() {
        let labels = [0, 1, 2, 0];
        let mapped = renamed(&labels, &names("a b c"), Some(&names("c b a")), 3).unwrap();
        assert_eq!(mapped, [2, 1, 0, 2]);
        // Names that the classifier does not have say nothing.
        assert_eq!(
            renamed(&labels, &names("x y z"), Some(&names("c b a")), 3).unwrap(),
            labels
        );
        assert_eq!(renamed(&labels, &names("a b c"), None, 3).unwrap(), labels);
        assert!(
            renamed(&labels, &names("x y z"), None, 2)
                .unwrap_err()
                .contains("2 classes")
        );

        let many = labels.repeat(30);
        let right: Vec<usize> = many.iter().map(|&label| label as usize).collect();
        assert_eq!(believed(many.clone(), &right, 3).unwrap(), many);
        let turned: Vec<usize> = right.iter().map(|class| (class + 1) % 3).collect();
        let reason = believed(many, &turned, 3).unwrap_err();
        assert!(reason.contains("0.0 %"), "{reason}");
    }
}
