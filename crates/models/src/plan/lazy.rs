//! Plans that are compiled when they are first needed.

use std::sync::{Arc, OnceLock};

use crate::error::ModelError;

/// A value made on first use and shared by all copies.
#[derive(Debug)]
pub(crate) struct Lazy<T>(Arc<OnceLock<T>>);

impl<T> Lazy<T> {
    /// The value, made now if it was not made before. An error is not kept: the next call tries again.
    pub(crate) fn get_or_compile(&self, compile: impl FnOnce() -> Result<T, ModelError>) -> Result<&T, ModelError> {
        if let Some(value) = self.0.get() {
            return Ok(value);
        }
        let value = compile()?;
        Ok(self.0.get_or_init(|| value))
    }
}

impl<T> Clone for Lazy<T> {
    fn clone(&self) -> Self {
        Self(self.0.clone())
    }
}

impl<T> Default for Lazy<T> {
    fn default() -> Self {
        Self(Arc::new(OnceLock::new()))
    }
}
