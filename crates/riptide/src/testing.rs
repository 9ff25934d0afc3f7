//! Small monitors for the unit tests.

use riptide_datasets::Framing;
use riptide_models::preprocess::Preprocessing;

use crate::facts::{ClassifierFacts, Facts, ReferenceFacts};

pub(crate) fn facts() -> Facts {
    Facts {
        score: Default::default(),
        loss: Default::default(),
        temperature: 1.0,
        input_size: [8, 8],
        class_names: vec!["cat".into(), "dog".into()],
        preprocessing: Some(Preprocessing::ScaleByInstance),
        framing: Framing::stretch(8, 8),
        distilled_preprocessing: Preprocessing::ScaleByInstance,
        classifier: ClassifierFacts::Network("c".into()),
        distilled: "d".into(),
        reference: ReferenceFacts {
            n_images: 3,
            scores: "s".into(),
            answers: None,
            agreement: None,
            confidences: None,
        },
        training: None,
        calibration: None,
    }
}
