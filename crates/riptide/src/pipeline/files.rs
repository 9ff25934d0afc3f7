//! Pipelines from the files that lie beside models: timm's `config.json`, Hugging Face's `preprocessor_config.json`, and our own.
//!
//! What a key means is taken from timm 1.0's `create_transform` and from the image processors of transformers 4. A key that
//! changes the numbers and is not understood is an error that names it, because a pipeline that is nearly right is wrong in
//! silence.

use std::path::{Path, PathBuf};

use riptide_datasets::{Filter, Framing};
use riptide_files::regular;
use riptide_models::preprocess::{ColourOrder, PixelRange, Pixels, Preprocessing};
use serde_json::{Map, Value};

use super::Pipeline;
use super::keys::{Keys, Size, filter, narrow, sides, size};
use crate::error::{Error, Result};

/// timm's and transformers' configuration of a model.
const CONFIG: &str = "config.json";
/// transformers' configuration of an image processor.
const PREPROCESSOR: &str = "preprocessor_config.json";

/// What a file says of a classifier.
#[derive(Debug, Clone, Default, PartialEq)]
#[non_exhaustive]
pub struct Described {
    /// What images go through before it, if the file says it.
    pub pipeline: Option<Pipeline>,
    /// Height and width of its images, if the file says it.
    pub size: Option<(usize, usize)>,
    /// The names of its classes in the order of its outputs, if the file says them.
    pub class_names: Option<Vec<String>>,
}

impl Described {
    /// Reads one file: timm's `config.json` or its `pretrained_cfg` alone, `preprocessor_config.json`, or a
    /// [`Pipeline`] as JSON.
    ///
    /// # Errors
    /// [`Error::File`] if it cannot be read, [`Error::Malformed`] if it is not JSON, or has a key that is unknown or contradicts
    /// another, which the error names.
    pub fn read(path: impl AsRef<Path>) -> Result<Self> {
        let path = path.as_ref();
        parse(&text(path)?).map_err(|reason| Error::malformed(path, reason))
    }

    /// What the files beside a model say: `config.json` and `preprocessor_config.json` in its folder, or in the one above if that
    /// folder is called `onnx`, as on the Hugging Face Hub. Empty if there are none.
    ///
    /// # Errors
    /// As [`read`](Self::read), and if the two files contradict each other.
    pub fn beside(model: impl AsRef<Path>) -> Result<Self> {
        let folder = model.as_ref().parent().unwrap_or(Path::new("."));
        let mut folders = vec![folder.to_path_buf()];
        if folder.file_name().is_some_and(|name| name == "onnx") {
            folders.extend(folder.parent().map(Path::to_path_buf));
        }
        let mut all = Self::default();
        let mut from: Option<PathBuf> = None;
        for path in folders
            .iter()
            .flat_map(|folder| [folder.join(PREPROCESSOR), folder.join(CONFIG)])
        {
            if !path.is_file() {
                continue;
            }
            let found = Self::read(&path)?;
            if let (Some(known), Some(pipeline), Some(from)) = (all.pipeline, found.pipeline, &from)
                && known != pipeline
            {
                let reason = format!(
                    "describes another preprocessing than {}; remove one of the two",
                    from.display()
                );
                return Err(Error::malformed(path, reason));
            }
            if all.pipeline.is_none() && found.pipeline.is_some() {
                (all.pipeline, all.size) = (found.pipeline, found.size);
                from = Some(path);
            }
            all.class_names = all.class_names.or(found.class_names);
        }
        Ok(all)
    }
}

fn text(path: &Path) -> Result<String> {
    Ok(regular::read_text(path, regular::TEXT)?)
}

fn parse(text: &str) -> Result<Described, String> {
    let value: Value = serde_json::from_str(text).map_err(|error| format!("is not JSON: {error}"))?;
    let Value::Object(mut map) = value else {
        return Err("is not a JSON object".into());
    };
    let class_names = class_names(&map)?;
    let with_names = |described: Described| Described {
        class_names: class_names.clone().or(described.class_names.clone()),
        ..described
    };
    let has = |map: &Map<String, Value>, keys: &[&str]| keys.iter().any(|key| map.contains_key(*key));
    if let Some(Value::Object(inner)) = map.remove("pretrained_cfg") {
        return Ok(with_names(timm(Keys::of(inner))?));
    }
    if has(&map, &["framing", "preprocessing"]) && !map.contains_key("architecture") {
        let pipeline = serde_json::from_value(Value::Object(map)).map_err(|error| error.to_string())?;
        return Ok(Described {
            pipeline: Some(pipeline),
            size: pipeline_size(&pipeline),
            class_names: None,
        });
    }
    // Our own networks' configuration: the pixels, and no framing.
    if let (true, Some(preprocessing)) = (map.contains_key("architecture"), map.get("preprocessing")) {
        let preprocessing: Preprocessing =
            serde_json::from_value(preprocessing.clone()).map_err(|error| format!("`preprocessing`: {error}"))?;
        return Ok(with_names(Described {
            pipeline: Some(preprocessing.into()),
            ..Described::default()
        }));
    }
    if has(
        &map,
        &[
            "image_processor_type",
            "feature_extractor_type",
            "do_resize",
            "do_normalize",
            "image_mean",
        ],
    ) {
        return Ok(with_names(hugging_face(Keys::of(map))?));
    }
    if has(&map, &["input_size"]) && has(&map, &["mean", "std"]) {
        return Ok(with_names(timm(Keys::of(map))?));
    }
    Ok(with_names(Described::default()))
}

fn pipeline_size(pipeline: &Pipeline) -> Option<(usize, usize)> {
    let (height, width) = pipeline.framing.output()?;
    Some((height as usize, width as usize))
}

/// transformers' `id2label`, or timm's `label_names`.
fn class_names(map: &Map<String, Value>) -> Result<Option<Vec<String>>, String> {
    let text = |value: &Value| value.as_str().map(str::to_owned);
    if let Some(Value::Object(labels)) = map.get("id2label") {
        let names: Option<Vec<String>> = (0..labels.len())
            .map(|class| labels.get(&class.to_string()).and_then(text))
            .collect();
        let names = names.ok_or("`id2label` does not name the classes 0, 1, 2 and so on")?;
        // transformers writes these if nobody gave the classes names.
        let is_given = names
            .iter()
            .enumerate()
            .any(|(class, name)| *name != format!("LABEL_{class}"));
        return Ok(Some(names).filter(|names| is_given && !names.is_empty()));
    }
    match map.get("label_names") {
        Some(Value::Array(names)) => {
            let names: Option<Vec<String>> = names.iter().map(text).collect();
            names
                .map(Some)
                .ok_or_else(|| "`label_names` is not a list of names".into())
        }
        _ => Ok(None),
    }
}

fn timm(mut keys: Keys) -> Result<Described, String> {
    let value = keys.take("input_size").ok_or("has no `input_size`")?;
    let axes: Option<Vec<u64>> = value
        .as_array()
        .and_then(|axes| axes.iter().map(Value::as_u64).collect());
    let Some(&[channels @ (1 | 3), height, width]) = axes.as_deref() else {
        return Err(format!("`input_size` is {value}, not [channels, height, width]"));
    };
    let (height, width) = sides(height, width)?;
    let (Some(mean), Some(std)) = (keys.channels("mean")?, keys.channels("std")?) else {
        return Err("has no `mean` or no `std`".into());
    };
    let filter = match keys.take("interpolation") {
        None => return Err("has no `interpolation`".into()),
        Some(name) => filter(name.as_str().unwrap_or_default())
            .ok_or_else(|| format!("`interpolation` is {name}; nearest, bilinear, bicubic and lanczos can be done"))?,
    };
    let crop = keys.number("crop_pct")?.unwrap_or(0.875);
    let mode = keys.take("crop_mode").unwrap_or_else(|| "center".into());
    // As timm computes the size before the cut.
    let before = |side: u32| (f64::from(side) / crop).floor() as u32;
    let framing = match mode.as_str() {
        Some("center") if height == width => Framing::crop(before(height), height, width).filter(filter),
        Some("squash") if crop == 1.0 => Framing::stretch(height, width).filter(filter),
        Some("border") if crop == 1.0 => {
            // timm fills with the mean colour.
            let fill = mean.map(|mean| (mean * 255.0).round().clamp(0.0, 255.0) as u8);
            let mut framing = Framing::letterbox(height, width).filter(filter);
            if let Framing::Letterbox { fill: colour, .. } = &mut framing {
                *colour = fill;
            }
            framing
        }
        _ => {
            return Err(format!(
                "`crop_mode` {mode} with `crop_pct` {crop} and {height} x {width} pixels cannot be done; write the preprocessing as \
                 {{\"framing\": …, \"preprocessing\": …}} instead"
            ));
        }
    };
    let class_names = match keys.take("label_names") {
        Some(Value::Array(names)) => names.iter().map(|name| name.as_str().map(str::to_owned)).collect(),
        _ => None,
    };
    keys.finish(&[
        "architecture",
        "classifier",
        "custom_load",
        "dataset",
        "features",
        "file",
        "first_conv",
        "fixed_input_size",
        "hf_hub_filename",
        "hf_hub_id",
        "label_descriptions",
        "license",
        "min_input_size",
        "notes",
        "num_classes",
        "num_features",
        "origin_url",
        "paper_ids",
        "paper_name",
        "pool_size",
        "source",
        "state_dict",
        "tag",
        "test_crop_mode",
        "test_crop_pct",
        "test_input_size",
        "url",
    ])?;
    let order = if channels == 1 {
        ColourOrder::Grey
    } else {
        ColourOrder::Rgb
    };
    let pixels = Pixels::default().order(order).mean(narrow(mean)).std(narrow(std));
    described(framing, pixels.into(), class_names)
}

fn described(
    framing: Framing,
    preprocessing: Preprocessing,
    class_names: Option<Vec<String>>,
) -> Result<Described, String> {
    framing.check().map_err(|error| error.to_string())?;
    preprocessing.validate().map_err(|error| error.to_string())?;
    let pipeline = Pipeline { framing, preprocessing };
    Ok(Described {
        pipeline: Some(pipeline),
        size: pipeline_size(&pipeline),
        class_names,
    })
}

fn hugging_face(mut keys: Keys) -> Result<Described, String> {
    let kind: String = ["image_processor_type", "feature_extractor_type"]
        .iter()
        .filter_map(|key| keys.take(key)?.as_str().map(str::to_owned))
        .collect();
    let is = |name: &str| kind.contains(name);
    let framing = hugging_face_framing(&mut keys, &kind)?;
    let factor = keys.number("rescale_factor")?.unwrap_or(1.0 / 255.0);
    let factor = if keys.flag("do_rescale", true)? { factor } else { 1.0 };
    let offset = keys.flag("rescale_offset", false)? || keys.flag("offset", false)?;
    let (mean, std) = (keys.channels("image_mean")?, keys.channels("image_std")?);
    let (mean, std) = match (keys.flag("do_normalize", true)?, mean, std) {
        (false, ..) => ([0.0; 3], [1.0; 3]),
        (true, Some(mean), Some(std)) => (mean, std),
        (true, ..) => return Err("has `do_normalize`, but no `image_mean` or no `image_std`".into()),
    };
    let order = match (
        keys.flag("do_flip_channel_order", is("MobileViT"))?,
        keys.flag("do_grayscale", false)?,
    ) {
        (true, true) => return Err("has both `do_flip_channel_order` and `do_grayscale`".into()),
        (true, false) => ColourOrder::Bgr,
        (false, true) => ColourOrder::Grey,
        (false, false) => ColourOrder::Rgb,
    };
    keys.finish(&[
        "_processor_class",
        "_valid_processor_keys",
        "auto_map",
        "data_format",
        "default_to_square",
        "device",
        "disable_grouping",
        "do_convert_rgb",
        "input_data_format",
        "num_channels",
        "patch_size",
        "processor_class",
        "return_tensors",
    ])?;
    // x = byte * factor (- 1), then (x - mean) / std: as one mean and one deviation in the units of the nearest range.
    let shift = if offset { 1.0 } else { 0.0 };
    let near = |wanted: f64| (factor / wanted - 1.0).abs() < 1e-6;
    let pixels = Pixels::default().order(order);
    let pixels = match () {
        () if near(1.0 / 255.0) && !offset => pixels.mean(narrow(mean)).std(narrow(std)),
        () if near(1.0 / 127.5) && offset => pixels.range(PixelRange::Signed).mean(narrow(mean)).std(narrow(std)),
        () => pixels
            .range(PixelRange::Bytes)
            .mean(narrow(mean.map(|mean| (mean + shift) / factor)))
            .std(narrow(std.map(|std| std / factor))),
    };
    described(framing, pixels.into(), None)
}

/// Resizing and cutting by an image processor of this class.
fn hugging_face_framing(keys: &mut Keys, kind: &str) -> Result<Framing, String> {
    let crop_size = keys.take("crop_size");
    let size_value = keys.take("size");
    let does_resize = keys.flag("do_resize", size_value.is_some())?;
    let does_crop = keys.flag("do_center_crop", crop_size.is_some())?;
    let resample = keys.take("resample");
    let crop_pct = keys.number("crop_pct")?;
    let filter = || match resample.as_ref().map(Value::as_u64) {
        // Pillow's numbers.
        Some(Some(0)) => Ok(Filter::Nearest),
        Some(Some(1)) => Ok(Filter::Lanczos),
        Some(Some(2)) => Ok(Filter::Bilinear),
        Some(Some(3)) => Ok(Filter::Bicubic),
        Some(_) => Err(format!(
            "`resample` is {}; 0 nearest, 1 lanczos, 2 bilinear and 3 bicubic can be done",
            resample.clone().unwrap_or_default()
        )),
        None => Err("has `do_resize`, but no `resample`".to_owned()),
    };
    let resized = match (&size_value, does_resize) {
        (_, false) => None,
        (None, true) => return Err("has `do_resize`, but no `size`".into()),
        (Some(value @ Value::Number(_)), true) => Some(match size("size", value)? {
            // What one number means depends on the class.
            Size::Both(height, _)
                if ["CLIP", "ConvNext", "LeViT", "Levit", "Poolformer"]
                    .iter()
                    .any(|name| kind.contains(name)) =>
            {
                Size::Shorter(height)
            }
            both if ["ViT", "DeiT", "Beit", "BEiT", "Segformer", "Siglip"]
                .iter()
                .any(|name| kind.contains(name)) =>
            {
                both
            }
            _ => {
                return Err(format!(
                    "`size` is {value}, which may be the shorter side or both; write {{\"shortest_edge\": {value}}} or \
                     {{\"height\": {value}, \"width\": {value}}}"
                ));
            }
        }),
        (Some(value), true) => Some(size("size", value)?),
    };
    let crop = match (&crop_size, does_crop) {
        (_, false) => None,
        (None, true) => return Err("has `do_center_crop`, but no `crop_size`".into()),
        (Some(value), true) => match size("crop_size", value)? {
            Size::Both(height, width) => Some((height, width)),
            Size::Shorter(_) => return Err(format!("`crop_size` is {value}, not a height and a width")),
        },
    };
    if let Some(share) = crop_pct {
        // ConvNeXt cuts out the centre below 384 pixels and stretches from there on; others use the key otherwise.
        return match resized {
            Some(Size::Shorter(edge)) if kind.contains("ConvNext") && crop.is_none() => Ok(match edge {
                384.. => Framing::stretch(edge, edge),
                _ => Framing::crop((f64::from(edge) / share) as u32, edge, edge),
            }
            .filter(filter()?)),
            _ => Err(format!(
                "`crop_pct` {share} is understood with ConvNeXt's image processor only"
            )),
        };
    }
    match (resized, crop) {
        (None, None) => Ok(Framing::Keep),
        (None, Some(_)) => Err("cuts out the centre without resizing, which cannot be done".into()),
        (Some(Size::Both(height, width)), None) => Ok(Framing::stretch(height, width).filter(filter()?)),
        (Some(Size::Both(height, width)), Some(cut)) if cut == (height, width) => {
            Ok(Framing::stretch(height, width).filter(filter()?))
        }
        (Some(Size::Both(..)), Some(_)) => Err("stretches and then cuts out the centre, which cannot be done".into()),
        (Some(Size::Shorter(_)), None) => {
            Err("resizes the shorter side without cutting, so that images differ in size".into())
        }
        (Some(Size::Shorter(edge)), Some((height, width))) => Ok(Framing::crop(edge, height, width).filter(filter()?)),
    }
}
