//! The layers, arrays and settings that a Keras `.h5` file holds, whatever the network.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use hdf5_reader::{Hdf5File, OpenOptions};
use riptide_files::regular;
use serde_json::Value;

use crate::error::ModelError;

/// The most bytes that one array of a file may have.
const MAX_ARRAY_BYTES: usize = 1 << 30;

/// An array in the file's own order of axes.
#[derive(Debug, Clone)]
pub(super) struct Array {
    pub(super) shape: Vec<usize>,
    pub(super) values: Vec<f32>,
}

/// A layer that has arrays.
#[derive(Debug, Clone)]
pub(super) struct Layer {
    pub(super) name: String,
    /// By name without Keras's `:0`: `kernel`, `bias`, `gamma`, `beta`, `moving_mean`, `moving_variance`.
    pub(super) arrays: BTreeMap<String, Array>,
}

impl Layer {
    /// The number of axes of the layer's kernel, if it has one: 4 for a convolution, 2 for a dense layer.
    pub(super) fn kernel_rank(&self) -> Option<usize> {
        self.arrays.get("kernel").map(|kernel| kernel.shape.len())
    }
}

/// A whole file: its layers with arrays, in the model's order, and the settings of all its layers.
#[derive(Debug)]
pub(super) struct KerasFile {
    pub(super) path: PathBuf,
    pub(super) layers: Vec<Layer>,
    /// Settings by layer name; empty if only the weights were saved.
    settings: BTreeMap<String, Value>,
    /// Height and width of the input, if the file tells them.
    pub(super) input_size: Option<(usize, usize)>,
}

impl KerasFile {
    pub(super) fn read(path: &Path) -> Result<Self, ModelError> {
        let hdf5 = |source| ModelError::Hdf5 {
            path: path.into(),
            source: Box::new(source),
        };
        let bytes = regular::read(path, regular::NUMBERS)?;
        let options = OpenOptions {
            max_read_bytes: MAX_ARRAY_BYTES,
            ..OpenOptions::default()
        };
        let file = Hdf5File::from_vec_with_options(bytes, options).map_err(hdf5)?;
        let root = file.root_group().map_err(hdf5)?;
        // `model.save` puts the layers under model_weights, `model.save_weights` at the root.
        let (top, prefix) = match file.group("/model_weights") {
            Ok(group) => (group, "/model_weights"),
            Err(hdf5_reader::error::Error::GroupNotFound(_)) => (root.clone(), ""),
            Err(error) => return Err(hdf5(error)),
        };
        let names = string_list(&top, "layer_names")
            .map_err(hdf5)?
            .ok_or_else(|| ModelError::UnknownArchitecture {
                path: path.into(),
                message: "is HDF5, but not a Keras model: it has no attribute layer_names".into(),
            })?;
        let mut layers: Vec<Layer> = Vec::new();
        for group_name in names {
            let group_path = format!("{prefix}/{group_name}");
            let group = file.group(&group_path).map_err(hdf5)?;
            for weight in string_list(&group, "weight_names").map_err(hdf5)?.unwrap_or_default() {
                let (layer, array) = layer_and_array(&group_name, &weight);
                let value = read_array(&file, &format!("{group_path}/{weight}")).map_err(hdf5)?;
                let index = layers.iter().position(|known| known.name == layer).unwrap_or_else(|| {
                    layers.push(Layer {
                        name: layer.to_owned(),
                        arrays: BTreeMap::new(),
                    });
                    layers.len() - 1
                });
                layers[index].arrays.insert(array.to_owned(), value);
            }
        }
        let mut keras = Self {
            path: path.into(),
            layers,
            settings: BTreeMap::new(),
            input_size: None,
        };
        match root.attribute("model_config") {
            Ok(attribute) => keras.read_settings(&attribute.read_string().map_err(hdf5)?)?,
            Err(hdf5_reader::error::Error::AttributeNotFound(_)) => {}
            Err(error) => return Err(hdf5(error)),
        }
        Ok(keras)
    }

    fn read_settings(&mut self, json: &str) -> Result<(), ModelError> {
        let config: Value = serde_json::from_str(json).map_err(|source| ModelError::ConfigFile {
            path: self.path.clone(),
            source,
        })?;
        // Models may hold models: walk the whole tree, without recursion, in the order of the document.
        let mut open = vec![&config];
        while let Some(value) = open.pop() {
            match value {
                Value::Object(fields) => {
                    if let (Some(Value::String(_)), Some(settings)) = (fields.get("class_name"), fields.get("config")) {
                        if let Some(name) = settings.get("name").and_then(Value::as_str) {
                            self.settings.insert(name.to_owned(), settings.clone());
                        }
                        if self.input_size.is_none() {
                            self.input_size = input_size(settings);
                        }
                    }
                    open.extend(fields.values().rev());
                }
                Value::Array(items) => open.extend(items.iter().rev()),
                _ => {}
            }
        }
        Ok(())
    }

    /// The layer of that name.
    pub(super) fn layer(&self, name: &str) -> Option<&Layer> {
        self.layers.iter().find(|layer| layer.name == name)
    }

    /// A setting of a layer, if the file tells it.
    pub(super) fn setting(&self, layer: &str, setting: &str) -> Option<&Value> {
        self.settings.get(layer)?.get(setting)
    }

    /// Checks that a layer's setting is `expected`, if the file tells it.
    pub(super) fn check_setting(&self, layer: &str, setting: &'static str, expected: &Value) -> Result<(), ModelError> {
        match self.setting(layer, setting) {
            Some(found) if found != expected => Err(ModelError::LayerSetting {
                path: self.path.clone(),
                layer: layer.into(),
                setting,
                found: found.to_string(),
                expected: expected.to_string(),
            }),
            _ => Ok(()),
        }
    }
}

/// Height and width out of an input layer's `batch_input_shape` (Keras 2) or `batch_shape` (Keras 3).
fn input_size(settings: &Value) -> Option<(usize, usize)> {
    let shape = settings
        .get("batch_input_shape")
        .or_else(|| settings.get("batch_shape"))?
        .as_array()?;
    match shape.as_slice() {
        [_, height, width, _] => Some((height.as_u64()?.try_into().ok()?, width.as_u64()?.try_into().ok()?)),
        _ => None,
    }
}

/// `conv1/kernel:0`, or `model/conv1/kernel:0` for a model within a model, into `conv1` and `kernel`.
fn layer_and_array<'a>(group: &'a str, weight: &'a str) -> (&'a str, &'a str) {
    let mut parts = weight.rsplit('/');
    let array = parts.next().unwrap_or(weight);
    (parts.next().unwrap_or(group), array.split(':').next().unwrap_or(array))
}

/// A list of strings in an attribute. Keras splits a long one into `NAME0`, `NAME1` and so on.
fn string_list(
    group: &hdf5_reader::group::Group,
    name: &str,
) -> Result<Option<Vec<String>>, hdf5_reader::error::Error> {
    let read = |name: &str| match group.attribute(name) {
        Ok(attribute) if attribute.num_elements()? == 0 => Ok(Some(Vec::new())),
        Ok(attribute) => attribute.read_strings().map(Some),
        Err(hdf5_reader::error::Error::AttributeNotFound(_)) => Ok(None),
        Err(error) => Err(error),
    };
    if let Some(list) = read(name)? {
        return Ok(Some(list));
    }
    let mut list = None;
    for index in 0.. {
        match read(&format!("{name}{index}"))? {
            Some(part) => list.get_or_insert_with(Vec::new).extend(part),
            None => break,
        }
    }
    Ok(list)
}

/// An array of f32, or of f64 narrowed.
fn read_array(file: &Hdf5File, path: &str) -> Result<Array, hdf5_reader::error::Error> {
    let dataset = file.dataset(path)?;
    let values = match dataset.read_array::<f32>() {
        Ok(values) => values,
        Err(hdf5_reader::error::Error::TypeMismatch { .. }) => dataset.read_array::<f64>()?.mapv(|value| value as f32),
        Err(error) => return Err(error),
    };
    Ok(Array {
        shape: values.shape().to_vec(),
        values: values.iter().copied().collect(),
    })
}
