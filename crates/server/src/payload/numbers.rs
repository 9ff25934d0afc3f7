//! Nested arrays of JSON, read in one pass into a flat array with its shape.

use std::fmt;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use serde::Deserialize;
use serde::de::{DeserializeSeed, Deserializer, Error, MapAccess, SeqAccess, Visitor};

/// The deepest nesting that anything here has: images, rows, columns, channels.
const DEEPEST: usize = 4;

/// What nested arrays held: numbers, or pictures as base64.
///
/// ```json
/// [[[[0.1, 0.2, 0.3]]]]    [{"b64": "iVBOR…"}]    [{"image": {"b64": "iVBOR…"}}]    ["iVBOR…"]
/// ```
#[derive(Debug, Clone, PartialEq, Default)]
pub(crate) struct Numbers {
    pub(crate) values: Vec<f32>,
    /// Encoded pictures, in place of numbers.
    pub(crate) pictures: Vec<Vec<u8>>,
    /// Length of each level, outermost first; for pictures that of the outermost alone.
    pub(crate) shape: Vec<usize>,
    /// Whether every number was written without point and exponent.
    pub(crate) are_whole: bool,
}

impl<'de> Deserialize<'de> for Numbers {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let mut reading = Reading::default();
        let at = Level {
            reading: &mut reading,
            depth: 0,
        };
        at.deserialize(deserializer)?;
        let shape = reading.shape.into_iter().map_while(|length| length).collect();
        let numbers = Self {
            values: reading.values,
            pictures: reading.pictures,
            shape,
            are_whole: !reading.any_fraction,
        };
        match numbers.values.is_empty() && numbers.pictures.is_empty() {
            true => Err(D::Error::custom("an empty array")),
            false => Ok(numbers),
        }
    }
}

#[derive(Default)]
struct Reading {
    values: Vec<f32>,
    pictures: Vec<Vec<u8>>,
    shape: [Option<usize>; DEEPEST],
    /// The depth at which values are.
    leaf: Option<usize>,
    any_fraction: bool,
}

impl Reading {
    /// Notes that there is a value at a depth; all are at the same.
    fn at<E: Error>(&mut self, depth: usize) -> Result<(), E> {
        match *self.leaf.get_or_insert(depth) {
            leaf if leaf == depth && depth > 0 => Ok(()),
            _ => Err(E::custom("arrays of different depth, or a value outside an array")),
        }
    }

    fn number<E: Error>(&mut self, depth: usize, value: f64) -> Result<(), E> {
        self.at(depth)?;
        let value = value as f32;
        if !value.is_finite() {
            return Err(E::custom("a number that is too large"));
        }
        if !self.pictures.is_empty() {
            return Err(E::custom("numbers and pictures mixed"));
        }
        self.values.push(value);
        Ok(())
    }

    fn picture<E: Error>(&mut self, depth: usize, text: &str) -> Result<(), E> {
        self.at(depth)?;
        if !self.values.is_empty() {
            return Err(E::custom("numbers and pictures mixed"));
        }
        let bytes = STANDARD
            .decode(text)
            .map_err(|_| E::custom("a text that is not base64"))?;
        self.pictures.push(bytes);
        Ok(())
    }
}

struct Level<'a> {
    reading: &'a mut Reading,
    depth: usize,
}

impl<'de> DeserializeSeed<'de> for Level<'_> {
    type Value = ();

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<(), D::Error> {
        deserializer.deserialize_any(self)
    }
}

impl<'de> Visitor<'de> for Level<'_> {
    type Value = ();

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("nested arrays of numbers, or pictures as base64")
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut seq: A) -> Result<(), A::Error> {
        if self.depth >= DEEPEST || self.reading.leaf.is_some_and(|leaf| leaf <= self.depth) {
            return Err(A::Error::custom("arrays nested too deeply, or of different depth"));
        }
        let mut length = 0;
        while seq
            .next_element_seed(Level {
                reading: self.reading,
                depth: self.depth + 1,
            })?
            .is_some()
        {
            length += 1;
        }
        match self.reading.shape.get_mut(self.depth) {
            Some(Some(known)) if *known != length => Err(A::Error::custom("arrays of different length")),
            Some(known) => {
                *known = Some(length);
                Ok(())
            }
            None => Err(A::Error::custom("arrays nested too deeply")),
        }
    }

    fn visit_u64<E: Error>(self, value: u64) -> Result<(), E> {
        self.reading.number(self.depth, value as f64)
    }

    fn visit_i64<E: Error>(self, value: i64) -> Result<(), E> {
        self.reading.number(self.depth, value as f64)
    }

    fn visit_f64<E: Error>(self, value: f64) -> Result<(), E> {
        self.reading.any_fraction = true;
        self.reading.number(self.depth, value)
    }

    fn visit_str<E: Error>(self, text: &str) -> Result<(), E> {
        self.reading.picture(self.depth, text)
    }

    /// `{"b64": "…"}`, or one level more, `{"name of the input": {"b64": "…"}}`.
    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<(), A::Error> {
        if self.depth == 0 || self.depth > 2 {
            return Err(A::Error::custom("an object where numbers were expected"));
        }
        let mut found = false;
        while let Some(key) = map.next_key::<String>()? {
            if found {
                return Err(A::Error::custom("an instance with several inputs"));
            }
            if key == "b64" {
                let text = map.next_value::<String>()?;
                self.reading.picture::<A::Error>(1, &text)?;
            } else {
                map.next_value_seed(Level {
                    reading: self.reading,
                    depth: self.depth + 1,
                })?;
            }
            found = true;
        }
        match found {
            true => Ok(()),
            false => Err(A::Error::custom("an empty object")),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(text: &str) -> Result<Numbers, String> {
        serde_json::from_str(text).map_err(|error| error.to_string())
    }

    #[test]
    fn shapes_are_found() {
        let found = read("[[[1, 2], [3, 4]], [[5, 6], [7, 8.5]]]").unwrap();
        assert_eq!(found.shape, [2, 2, 2]);
        assert_eq!(found.values, [1.0, 2.0, 3.0, 4.0, 5.0, 6.0, 7.0, 8.5]);
        assert!(!found.are_whole && read("[1, 2]").unwrap().are_whole);
        for pictures in [
            "[{\"b64\": \"aGk=\"}]",
            "[{\"image\": {\"b64\": \"aGk=\"}}]",
            "[\"aGk=\"]",
        ] {
            let found = read(pictures).unwrap();
            assert_eq!(
                (found.pictures, found.shape),
                (vec![b"hi".to_vec()], vec![1]),
                "{pictures}"
            );
        }
    }

    #[test]
    fn what_is_no_array_of_one_shape_is_refused() {
        let deep = "[".repeat(100_000);
        for wrong in [
            "[]",
            "[[]]",
            "3",
            "null",
            "[null]",
            "[[1], [2, 3]]",
            "[1, [2]]",
            "[[1], 2]",
            "[[[[[1]]]]]",
            "[1e999]",
            "[1e39]",
            "[NaN]",
            "[true]",
            "[\"?\"]",
            "[1, \"aGk=\"]",
            "[{}]",
            "[{\"b64\": 3}]",
            "[{\"a\": {\"b\": {\"c\": 1}}}]",
            "{\"b64\": \"aGk=\"}",
            "[{\"a\": {\"b64\": \"aGk=\"}, \"b\": {\"b64\": \"aGk=\"}}]",
            &deep,
        ] {
            assert!(read(wrong).is_err(), "{}", &wrong[..wrong.len().min(60)]);
        }
    }

    proptest::proptest! {
        #[test]
        fn any_rectangle_comes_back(rows in 1_usize..6, columns in 1_usize..6, seed in 0_u32..1000) {
            let values: Vec<f32> = (0..rows * columns).map(|i| (seed as f32 + i as f32) / 7.0).collect();
            let nested: Vec<&[f32]> = values.chunks(columns).collect();
            let found = read(&serde_json::to_string(&nested).unwrap()).unwrap();
            proptest::prop_assert_eq!(found.shape, vec![rows, columns]);
            proptest::prop_assert_eq!(found.values, values);
        }

        #[test]
        fn no_text_panics(text in "[\\[\\]{}0-9,.\":eEb64 -]{0,60}") {
            let _ = read(&text);
        }
    }
}
