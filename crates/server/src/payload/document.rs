//! Bodies of the prediction protocols: V1 `{"instances": …}` and `{"predictions": …}`, V2 `{"inputs": …}` and
//! `{"outputs": …}` with tensors in JSON or in binary behind it.

use serde::Deserialize;

use super::images::{Expected, Images};
use super::numbers::Numbers;
use super::rejection::{Rejection, Taken};

/// What a body says, before it is known for which monitor it is.
#[derive(Debug)]
pub(crate) struct Document<'a> {
    head: Head,
    /// The bytes behind the JSON.
    binary: &'a [u8],
}

#[derive(Debug, Default, Deserialize)]
struct Head {
    #[serde(default)]
    id: Option<String>,
    #[serde(default)]
    instances: Option<Numbers>,
    #[serde(default)]
    predictions: Option<Numbers>,
    #[serde(default)]
    inputs: Option<Vec<Tensor>>,
    #[serde(default)]
    outputs: Option<Vec<Tensor>>,
    #[serde(default)]
    error: Option<serde::de::IgnoredAny>,
    #[serde(default)]
    parameters: Wishes,
}

#[derive(Debug, Default, Deserialize)]
struct Wishes {
    #[serde(default)]
    binary_data_output: bool,
}

#[derive(Debug, Default, Deserialize)]
struct Tensor {
    #[serde(default)]
    name: String,
    #[serde(default)]
    shape: Vec<usize>,
    #[serde(default)]
    datatype: String,
    #[serde(default)]
    data: Option<Numbers>,
    #[serde(default)]
    parameters: Parameters,
}

#[derive(Debug, Default, Deserialize)]
struct Parameters {
    #[serde(default)]
    binary_data_size: Option<usize>,
}

impl<'a> Document<'a> {
    /// Reads a body. `json_length` is what the client said of the JSON in front of binary tensors; a logger does not pass it
    /// on, and then the JSON tells itself where it ends.
    pub(crate) fn read(body: &'a [u8], json_length: Option<usize>) -> Taken<Self> {
        let bad = |error: serde_json::Error| Rejection::malformed(format!("not the JSON of a prediction: {error}"));
        let (head, binary) = match json_length {
            Some(length) => {
                let Some((json, binary)) = body.split_at_checked(length) else {
                    let message = format!(
                        "the JSON is said to be {length} bytes long, but the body has {}",
                        body.len()
                    );
                    return Err(Rejection::malformed(message));
                };
                (serde_json::from_slice(json).map_err(bad)?, binary)
            }
            None => {
                let mut stream = serde_json::Deserializer::from_slice(body).into_iter::<Head>();
                let head = stream
                    .next()
                    .unwrap_or_else(|| Err(serde::de::Error::custom("an empty body")))
                    .map_err(bad)?;
                let rest = body.get(stream.byte_offset()..).unwrap_or_default();
                // A file that ends in a line break has nothing behind it.
                let is_blank = rest.len() < 8 && rest.iter().all(u8::is_ascii_whitespace);
                (head, if is_blank { &[][..] } else { rest })
            }
        };
        let document = Self { head, binary };
        document.check_binary()?;
        Ok(document)
    }

    /// The sizes that the tensors claim must be those of what follows, to the byte.
    fn check_binary(&self) -> Taken<()> {
        let tensors = self.head.inputs.iter().chain(&self.head.outputs).flatten();
        let mut claimed = tensors.filter_map(|tensor| tensor.parameters.binary_data_size);
        let claimed = claimed.try_fold(0_usize, usize::checked_add);
        match claimed == Some(self.binary.len()) {
            true => Ok(()),
            false => Err(Rejection::malformed(format!(
                "{} bytes follow the JSON, but its tensors claim {}",
                self.binary.len(),
                claimed.map_or_else(|| "more than there can be".to_owned(), |sum| sum.to_string())
            ))),
        }
    }

    /// The request's own id.
    pub(crate) fn id(&self) -> Option<&str> {
        self.head.id.as_deref()
    }

    /// Whether the answer is to have binary tensors.
    pub(crate) fn wants_binary(&self) -> bool {
        self.head.parameters.binary_data_output
    }

    /// The images of a request.
    pub(crate) fn images(&self, expected: &Expected) -> Taken<Images> {
        match (&self.head.instances, &self.head.inputs) {
            (Some(_), Some(_)) => Err(Rejection::malformed("both `instances` and `inputs`")),
            (Some(instances), None) => expected.read_json(instances),
            (None, Some(inputs)) => self.tensor(inputs, |tensor, binary| tensor.images(binary, expected)),
            (None, None) => Err(Rejection::malformed(
                "neither `instances` nor `inputs`: no request of the prediction protocols",
            )),
        }
    }

    /// The class probabilities of a response, row-major (N, n_classes).
    pub(crate) fn answers(&self, expected: &Expected) -> Taken<Vec<f32>> {
        if self.head.error.is_some() {
            return Err(Rejection::unfit("the response is an error of the classifier's server"));
        }
        match (&self.head.predictions, &self.head.outputs) {
            (Some(_), Some(_)) => Err(Rejection::malformed("both `predictions` and `outputs`")),
            (Some(predictions), None) => expected.answers(predictions.values.clone(), &predictions.shape),
            (None, Some(outputs)) => self.tensor(outputs, |tensor, binary| tensor.answers(binary, expected)),
            (None, None) => Err(Rejection::malformed(
                "neither `predictions` nor `outputs`: no response of the prediction protocols",
            )),
        }
    }

    /// What the one tensor that fits says; with several, exactly one must fit.
    fn tensor<T>(&self, tensors: &[Tensor], read: impl Fn(&Tensor, &[u8]) -> Taken<T>) -> Taken<T> {
        let mut rest = self.binary;
        let (mut found, mut refused) = (None, None);
        for tensor in tensors {
            let size = tensor.parameters.binary_data_size.unwrap_or(0);
            let (mine, after) = rest.split_at_checked(size).unwrap_or((rest, &[]));
            rest = after;
            match read(tensor, mine) {
                Ok(_) if found.is_some() => {
                    return Err(Rejection::unfit("several tensors could be meant; send one"));
                }
                Ok(value) => found = Some(value),
                Err(rejection) => {
                    refused.get_or_insert(rejection);
                }
            }
        }
        let none = || refused.unwrap_or_else(|| Rejection::malformed("no tensors"));
        found.ok_or_else(none)
    }
}

impl Tensor {
    fn images(&self, binary: &[u8], expected: &Expected) -> Taken<Images> {
        if self.parameters.binary_data_size.is_none() {
            let data = self.data.as_ref().ok_or_else(|| self.without_data())?;
            if self.datatype == "BYTES" || !data.pictures.is_empty() {
                return self.checked_count(expected.read_pictures(&data.pictures)?);
            }
            self.check_nesting(data)?;
            return match self.datatype.as_str() {
                // The type says what the numbers are; how they were written says nothing.
                "UINT8" | "INT8" | "INT16" | "UINT16" | "INT32" | "UINT32" | "INT64" | "UINT64" => {
                    expected.read_numbers(&data.values, true, &self.shape)
                }
                "FP16" | "FP32" | "FP64" => expected.read_numbers(&data.values, false, &self.shape),
                _ => Err(self.type_unknown()),
            };
        }
        match self.datatype.as_str() {
            "UINT8" => expected.read_bytes(binary, &self.shape),
            "FP32" => expected.read_numbers(&floats(binary)?, false, &self.shape),
            "FP64" => expected.read_numbers(&doubles(binary)?, false, &self.shape),
            "BYTES" => self.checked_count(expected.read_pictures(&elements(binary, expected.most_images)?)?),
            _ => Err(self.type_unknown()),
        }
    }

    fn answers(&self, binary: &[u8], expected: &Expected) -> Taken<Vec<f32>> {
        let values = match (self.parameters.binary_data_size, self.datatype.as_str()) {
            (None, "FP16" | "FP32" | "FP64") => {
                let data = self.data.as_ref().ok_or_else(|| self.without_data())?;
                self.check_nesting(data)?;
                data.values.clone()
            }
            (Some(_), "FP32") => floats(binary)?,
            (Some(_), "FP64") => doubles(binary)?,
            _ => return Err(self.type_unknown()),
        };
        expected.answers(values, &self.shape)
    }

    /// Data may be flat or nested as the shape says, and nothing else.
    fn check_nesting(&self, data: &Numbers) -> Taken<()> {
        match data.shape.len() == 1 || data.shape == self.shape {
            true => Ok(()),
            false => Err(Rejection::malformed(
                "the data are nested in another way than the shape says",
            )),
        }
    }

    /// The shape of pictures is their number.
    fn checked_count(&self, images: Images) -> Taken<Images> {
        match *self.shape.as_slice() {
            [n] | [n, 1] if n == images.n => Ok(images),
            _ => Err(Rejection::malformed(format!(
                "{} pictures, but the shape says otherwise",
                images.n
            ))),
        }
    }

    fn without_data(&self) -> Rejection {
        Rejection::malformed(format!("the tensor {:?} has no data", self.name))
    }

    fn type_unknown(&self) -> Rejection {
        let message = format!(
            "the tensor {:?} has the datatype {:?}, which is not taken here",
            self.name, self.datatype
        );
        Rejection::unfit(message)
    }
}

fn floats(bytes: &[u8]) -> Taken<Vec<f32>> {
    let (values, rest) = bytes.as_chunks::<4>();
    whole(rest)?;
    Ok(values.iter().map(|&bytes| f32::from_le_bytes(bytes)).collect())
}

fn doubles(bytes: &[u8]) -> Taken<Vec<f32>> {
    let (values, rest) = bytes.as_chunks::<8>();
    whole(rest)?;
    Ok(values.iter().map(|&bytes| f64::from_le_bytes(bytes) as f32).collect())
}

fn whole(rest: &[u8]) -> Taken<()> {
    match rest.is_empty() {
        true => Ok(()),
        false => Err(Rejection::malformed(
            "a binary tensor that is no whole number of values",
        )),
    }
}

/// The elements of a binary BYTES tensor: each a length, four bytes little-endian, and so many bytes.
fn elements(mut bytes: &[u8], most: usize) -> Taken<Vec<&[u8]>> {
    let mut found = Vec::new();
    while let Some((length, rest)) = bytes.split_first_chunk::<4>() {
        let length = usize::try_from(u32::from_le_bytes(*length)).unwrap_or(usize::MAX);
        let Some((element, rest)) = rest.split_at_checked(length) else {
            return Err(Rejection::malformed(
                "a BYTES tensor whose element is longer than what is left",
            ));
        };
        if found.len() == most {
            return Err(Rejection::too_large(format!("more than {most} images in a request")));
        }
        found.push(element);
        bytes = rest;
    }
    whole(bytes)?;
    Ok(found)
}

#[cfg(test)]
mod tests;
