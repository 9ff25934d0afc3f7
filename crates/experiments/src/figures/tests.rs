use riptide_corruptions::{Corruptor, Severity};
use riptide_datasets::ImageSet;

use super::*;
