//! Pipelines by name.

use std::fmt;
use std::str::FromStr;

use riptide_datasets::{Filter, Framing};
use riptide_models::preprocess::{ColourOrder, PixelRange, Pixels, Preprocessing};

use super::{Pipeline, side};
use crate::error::{Error, Result};

/// A pipeline by name.
///
/// Only [`Imagenet`](Self::Imagenet) and [`Clip`](Self::Clip) say how pictures are framed. With the others a picture must have
/// the classifier's size, or the framing is given beside.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Preset {
    /// `byte / 255`, less the image's own mean, divided by its own standard deviation.
    ScaleByInstance,
    /// `byte / 255` and no more: torchvision's `ToTensor()`, Keras's `Rescaling(1/255)` outside the model.
    None,
    /// `byte`, 0 to 255 as floats: Keras models that scale inside, with a `Rescaling` layer or as EfficientNet, EfficientNetV2,
    /// MobileNetV3 and ConvNeXt of `keras.applications` do.
    Keras255,
    /// `byte / 127.5 - 1`: the mode `tf` of `keras.applications` (MobileNetV2, InceptionV3, Xception, ResNetV2), which is also
    /// mean and standard deviation 0.5, as timm has them for Inception and many vision transformers.
    KerasTf,
    /// Blue, green, red, 0 to 255, less 103.939, 116.779, 123.68: the mode `caffe` of `keras.applications` (VGG, ResNet50).
    KerasCaffe,
    /// torchvision's: the shorter side to size / 0.875 (256 for 224; bilinear, antialiased), the centre cut out,
    /// `byte / 255` less 0.485, 0.456, 0.406, divided by 0.229, 0.224, 0.225.
    Imagenet,
    /// OpenAI's CLIP: the shorter side to the size (bicubic, antialiased), the centre cut out, `byte / 255` less 0.48145466,
    /// 0.4578275, 0.40821073, divided by 0.26862954, 0.26130258, 0.27577711.
    Clip,
    /// `byte / 255` less 0.4914, 0.4822, 0.4465, divided by 0.2470, 0.2435, 0.2616: mean and standard deviation of CIFAR-10's
    /// training pixels.
    Cifar,
    /// Grey, `byte / 255` less 0.1307, divided by 0.3081: mean and standard deviation of MNIST's training pixels.
    Mnist,
}

impl Preset {
    /// Every preset.
    pub const ALL: [Self; 9] = [
        Self::None,
        Self::Keras255,
        Self::KerasTf,
        Self::Imagenet,
        Self::Clip,
        Self::Cifar,
        Self::ScaleByInstance,
        Self::KerasCaffe,
        Self::Mnist,
    ];

    /// The name that users give.
    pub const fn name(self) -> &'static str {
        match self {
            Self::ScaleByInstance => "scale-by-instance",
            Self::None => "none",
            Self::Keras255 => "keras-255",
            Self::KerasTf => "keras-tf",
            Self::KerasCaffe => "keras-caffe",
            Self::Imagenet => "imagenet",
            Self::Clip => "clip",
            Self::Cifar => "cifar",
            Self::Mnist => "mnist",
        }
    }

    /// What happens to the pixels.
    pub fn preprocessing(self) -> Preprocessing {
        let pixels = Pixels::default();
        let pixels = match self {
            Self::ScaleByInstance => pixels.by_instance(true),
            Self::None => pixels,
            Self::Keras255 => pixels.range(PixelRange::Bytes),
            Self::KerasTf => pixels.range(PixelRange::Signed),
            Self::KerasCaffe => pixels
                .order(ColourOrder::Bgr)
                .range(PixelRange::Bytes)
                .mean([103.939, 116.779, 123.68]),
            Self::Imagenet => pixels.mean([0.485, 0.456, 0.406]).std([0.229, 0.224, 0.225]),
            Self::Clip => {
                pixels
                    .mean([0.481_454_66, 0.457_827_5, 0.408_210_73])
                    .std([0.268_629_54, 0.261_302_6, 0.275_777_1])
            }
            Self::Cifar => pixels.mean([0.4914, 0.4822, 0.4465]).std([0.2470, 0.2435, 0.2616]),
            Self::Mnist => pixels.order(ColourOrder::Grey).mean([0.1307; 3]).std([0.3081; 3]),
        };
        pixels.into()
    }

    /// Height and width if the classifier leaves them open.
    pub fn size(self) -> Option<(usize, usize)> {
        match self {
            Self::Imagenet | Self::Clip => Some((224, 224)),
            _ => None,
        }
    }

    /// The pipeline for a classifier that takes images of `size` (height, width).
    ///
    /// # Errors
    /// [`Error::Mismatch`] if the preset frames pictures as squares and `size` is none.
    pub fn pipeline(self, size: (usize, usize)) -> Result<Pipeline> {
        let (height, width) = size;
        let framing = match self {
            Self::Imagenet | Self::Clip if height != width => {
                return Err(Error::mismatch(
                    "images of the classifier",
                    format!("squares, which the preprocessing {self} makes"),
                    format!("{height} x {width}; name the framing and the preprocessing in a file"),
                ));
            }
            // The longer side of a square of `size` / 0.875, rounded down, as timm computes it.
            Self::Imagenet => Framing::crop(side(height.saturating_mul(8) / 7), side(height), side(width)),
            Self::Clip => Framing::crop(side(height), side(height), side(width)).filter(Filter::Bicubic),
            _ => Framing::Keep,
        };
        Ok(Pipeline {
            framing,
            preprocessing: self.preprocessing(),
        })
    }
}

impl fmt::Display for Preset {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.name())
    }
}

impl FromStr for Preset {
    type Err = Error;

    fn from_str(text: &str) -> Result<Self> {
        let known = Self::ALL.into_iter().find(|preset| preset.name() == text);
        known.ok_or_else(|| {
            Error::option(
                "preprocessing",
                text,
                "scale-by-instance, none, keras-255, keras-tf, keras-caffe, imagenet, clip, cifar or mnist",
            )
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_read_back_and_are_in_the_error() {
        let error = "image-net".parse::<Preset>().unwrap_err().to_string();
        for preset in Preset::ALL {
            assert_eq!(preset.name().parse::<Preset>().unwrap(), preset);
            assert!(error.contains(preset.name()), "{error}");
        }
    }

    #[test]
    fn imagenet_and_clip_frame_pictures_as_published() {
        let framing = |preset: Preset, size| preset.pipeline((size, size)).unwrap().framing;
        assert_eq!(framing(Preset::Imagenet, 224), Framing::crop(256, 224, 224));
        // timm: floor(299 / 0.875) and floor(288 / 0.875).
        assert_eq!(framing(Preset::Imagenet, 299), Framing::crop(341, 299, 299));
        assert_eq!(framing(Preset::Imagenet, 288), Framing::crop(329, 288, 288));
        assert_eq!(
            framing(Preset::Clip, 336),
            Framing::crop(336, 336, 336).filter(Filter::Bicubic)
        );
        assert_eq!(framing(Preset::Cifar, 32), Framing::Keep);
        assert!(Preset::Imagenet.pipeline((224, 192)).is_err());
        assert!(Preset::None.pipeline((224, 192)).is_ok());
    }

    #[test]
    fn keras_modes_are_kerass_formulas() {
        let table = |preset: Preset| preset.preprocessing().table(&[]);
        assert_eq!(table(Preset::Keras255)[1][200], 200.0);
        assert_eq!(table(Preset::KerasTf)[1][0], -1.0);
        assert_eq!(table(Preset::KerasTf)[1][255], 1.0);
        // Blue comes first, and its mean with it.
        assert_eq!(
            table(Preset::KerasCaffe)[0][255],
            (255.0 - f64::from(103.939_f32)) as f32
        );
        assert_eq!(Preset::KerasCaffe.preprocessing().order(), ColourOrder::Bgr);
        assert_eq!(Preset::None.preprocessing(), Preprocessing::None);
        assert_eq!(Preset::ScaleByInstance.preprocessing(), Preprocessing::ScaleByInstance);
    }
}
