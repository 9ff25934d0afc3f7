//! The public files that the experiment uses. docs/data.md says what they are and under which terms.

use super::artifact::Artifact;
use crate::cache::{CIFAR10, CIFAR10_ARCHIVE};

const CIFAR10C: &str = "cifar10c";
const MODELS: &str = "models";
const FROST: &str = "frost";

const SELDON_DATA: &str = "https://storage.googleapis.com/seldon-datasets/cifar10c";
const SELDON_MODELS: &str = "https://storage.googleapis.com/seldon-models/alibi-detect";
const ROBUSTNESS: &str = "https://raw.githubusercontent.com/hendrycks/robustness/master/ImageNet-C/create_c";

/// The most that one of CIFAR-10-C's files may have: 50,000 images are 153,600,128 bytes.
const MAX_CORRUPTION_BYTES: u64 = 160_000_000;
/// The most that a network may have; the published ones have a few MiB.
const MAX_MODEL_BYTES: u64 = 256 << 20;

/// The nineteen corruptions of CIFAR-10-C, sorted: its files are `NAME.npy`.
pub const CORRUPTIONS: [&str; 19] = [
    "brightness",
    "contrast",
    "defocus_blur",
    "elastic_transform",
    "fog",
    "frost",
    "gaussian_blur",
    "gaussian_noise",
    "glass_blur",
    "impulse_noise",
    "jpeg_compression",
    "motion_blur",
    "pixelate",
    "saturate",
    "shot_noise",
    "snow",
    "spatter",
    "speckle_noise",
    "zoom_blur",
];

/// CIFAR-10 in the binary layout: one archive of 162 MiB, which [`cifar10::load`](crate::cifar10::load) reads as it is.
pub fn cifar10() -> Artifact {
    Artifact::file(
        CIFAR10,
        CIFAR10_ARCHIVE,
        "https://www.cs.toronto.edu/~kriz/cifar-10-binary.tar.gz",
    )
    .with_size(170_052_171)
    .with_sha256("c4a38c50a1bc5f3a1c5537f2155ab9d68f9f25eb1ed8d9ddda3db29a59bca1dd")
}

/// CIFAR-10-C from its one archive of 2.7 GiB, of which only the files of the corruptions named (and the labels) are kept.
pub fn cifar10c_archive<S: AsRef<str>>(corruptions: &[S]) -> Artifact {
    Artifact::archive(
        CIFAR10C,
        "CIFAR-10-C.tar",
        "https://zenodo.org/records/2535967/files/CIFAR-10-C.tar",
        with_labels(corruptions),
    )
    .with_size(2_918_471_680)
    .with_sha256("c72763e101c723b7c507b96205f7e938912a5d587376173b825850cf3cb876a7")
}

/// CIFAR-10-C file by file, 146 MiB per corruption, and the labels. These files have no published digests.
pub fn cifar10c_files<S: AsRef<str>>(corruptions: &[S]) -> Vec<Artifact> {
    with_labels(corruptions)
        .into_iter()
        .map(|name| {
            let url = format!("{SELDON_DATA}/{name}");
            Artifact::file(CIFAR10C, name, url).with_max_size(MAX_CORRUPTION_BYTES)
        })
        .collect()
}

/// The published networks in Keras's format: the ResNet-32 classifier, and the distillation detector's copy of it and its
/// distilled network. They have no published digests.
pub fn models() -> Vec<Artifact> {
    [
        ("model.h5", "classifier/cifar10/resnet32/model.h5"),
        (
            "distillation_model.h5",
            "ad/cifar10/resnet32/model_distillation/model/model.h5",
        ),
        (
            "distilled_model.h5",
            "ad/cifar10/resnet32/model_distillation/model/distilled_model.h5",
        ),
    ]
    .into_iter()
    .map(|(name, path)| Artifact::file(MODELS, name, format!("{SELDON_MODELS}/{path}")).with_max_size(MAX_MODEL_BYTES))
    .collect()
}

/// The textures of the published frost corruption.
pub fn frost() -> Vec<Artifact> {
    [
        (
            "frost1.png",
            1_199_930,
            "ff9f907860bd7a835d459e32f9d588062b7f61ee267343cc7222b56753a14755",
        ),
        (
            "frost2.png",
            299_002,
            "fe211a89b336999c207a852ce05818d4545d0b57c5beadd824b4cc9d9a9b6137",
        ),
        (
            "frost3.png",
            299_002,
            "2d0d50b4a9bb213f38b024ef7768731bb83cc08d2f26b5766bbc167cdfa0e504",
        ),
        (
            "frost4.jpg",
            36_734,
            "3f8b91ca1a9fa7167b09e773da53f5ae60d0a1fd88f02a783f6e328a72887f6e",
        ),
        (
            "frost5.jpg",
            155_150,
            "5fc6a19df4a429ba68abdcc8f8a4278d4c9f81c9ccafd2c92ab0c8cf8992ebd2",
        ),
    ]
    .into_iter()
    .map(|(name, size, sha256)| {
        Artifact::file(FROST, name, format!("{ROBUSTNESS}/{name}"))
            .with_size(size)
            .with_sha256(sha256)
    })
    .collect()
}

fn with_labels<S: AsRef<str>>(corruptions: &[S]) -> Vec<String> {
    let mut names: Vec<String> = corruptions
        .iter()
        .map(|name| format!("{}.npy", name.as_ref()))
        .collect();
    names.push("labels.npy".to_owned());
    names
}
