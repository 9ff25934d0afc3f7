//! Labels of any writing: numbers or names.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;

use crate::error::{DatasetError, Result};

/// The most classes that labels may be of.
const MAX_CLASSES: usize = 1_000_000;

/// The names of classes that only have numbers: `0` to the largest label.
pub(crate) fn numbered(path: &Path, largest: Option<u32>) -> Result<Vec<String>> {
    let n = largest.map_or(0, |largest| largest as usize + 1);
    if n > MAX_CLASSES {
        let reason = format!(
            "a label is {}, which is no class's number (the most is {MAX_CLASSES})",
            n - 1
        );
        return Err(DatasetError::malformed(path, reason));
    }
    Ok((0..n).map(|class| class.to_string()).collect())
}

/// Collects every label of a table before its images are read.
#[derive(Debug, Default)]
pub(crate) struct LabelScan {
    names: BTreeSet<String>,
    largest: Option<u32>,
    has_names: bool,
}

impl LabelScan {
    /// Adds a label; the error is what is wrong with it.
    pub(crate) fn add(&mut self, label: &str) -> std::result::Result<(), String> {
        if label.is_empty() {
            return Err("the label is empty".to_owned());
        }
        match label.parse::<u32>() {
            Ok(number) if !self.has_names => self.largest = self.largest.max(Some(number)),
            Ok(_) => {}
            Err(_) => self.has_names = true,
        }
        if !self.names.contains(label) {
            if self.names.len() == MAX_CLASSES {
                return Err(format!("more than {MAX_CLASSES} different labels"));
            }
            self.names.insert(label.to_owned());
        }
        Ok(())
    }

    /// What the labels are: numbers if all of them are, else names in their order as bytes.
    pub(crate) fn finish(self, path: &Path) -> Result<Labels> {
        if !self.has_names {
            return Ok(Labels::Numbers(numbered(path, self.largest)?));
        }
        let numbers = (0..).zip(self.names).map(|(class, name)| (name, class));
        Ok(Labels::Names(numbers.collect()))
    }
}

/// What the labels of a table are.
#[derive(Debug, Clone)]
pub(crate) enum Labels {
    /// The classes' numbers; with the classes' names.
    Numbers(Vec<String>),
    /// The classes' names, with their numbers.
    Names(BTreeMap<String, u32>),
}

impl Labels {
    /// The names of the classes, by number.
    pub(crate) fn class_names(&self) -> Vec<String> {
        match self {
            Self::Numbers(names) => names.clone(),
            Self::Names(names) => names.keys().cloned().collect(),
        }
    }

    /// The number of a label; the error is what is wrong with it.
    pub(crate) fn number(&self, label: &str) -> std::result::Result<u32, String> {
        let found = match self {
            Self::Numbers(names) => label.parse().ok().filter(|&class: &u32| (class as usize) < names.len()),
            Self::Names(names) => names.get(label).copied(),
        };
        found.ok_or_else(|| format!("the label {label:?} is none of the {} classes", self.len()))
    }

    fn len(&self) -> usize {
        match self {
            Self::Numbers(names) => names.len(),
            Self::Names(names) => names.len(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(labels: &[&str]) -> Labels {
        let mut scan = LabelScan::default();
        for label in labels {
            scan.add(label).unwrap();
        }
        scan.finish(Path::new("x.csv")).unwrap()
    }

    #[test]
    fn numbers_are_classes_and_names_are_sorted() {
        let numbers = of(&["2", "0", "10"]);
        assert_eq!((numbers.class_names().len(), numbers.number("10")), (11, Ok(10)));
        assert!(numbers.number("11").is_err() && numbers.number("x").is_err());
        let names = of(&["dog", "cat", "dog"]);
        assert_eq!(names.class_names(), ["cat", "dog"]);
        assert_eq!((names.number("cat"), names.number("dog")), (Ok(0), Ok(1)));
        assert!(names.number("cow").is_err());
        // One name among numbers makes all of them names.
        let mixed = of(&["1", "a", "0"]);
        assert_eq!(mixed.class_names(), ["0", "1", "a"]);
        assert_eq!(mixed.number("0"), Ok(0));
    }

    #[test]
    fn what_is_no_label_is_refused() {
        assert!(LabelScan::default().add("").is_err());
        let mut scan = LabelScan::default();
        scan.add("4000000000").unwrap();
        assert!(
            scan.finish(Path::new("x.csv"))
                .unwrap_err()
                .to_string()
                .contains("4000000000")
        );
    }
}
