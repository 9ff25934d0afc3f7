//! Paths and addresses of networks and images.

use std::borrow::Cow;
use std::path::Path;

use crate::error::Result;

/// The local path of what is named: a path as it is, or the address of a file or of a network's folder on the Hugging Face Hub,
/// `hf://OWNER/REPO[/PATH][@REVISION]`, which is fetched into the hub's cache first. What is in the cache is taken from there,
/// without a network.
///
/// # Errors
/// [`Error::Fetch`](crate::Error) if it cannot be fetched, [`Error::FeatureMissing`](crate::Error::FeatureMissing) for an
/// address without the feature `fetch`.
pub fn locate(path: &Path) -> Result<Cow<'_, Path>> {
    match path.to_str().filter(|text| riptide_datasets::is_hub_address(text)) {
        None => Ok(Cow::Borrowed(path)),
        Some(address) => fetched(address),
    }
}

#[cfg(feature = "fetch")]
fn fetched(address: &str) -> Result<Cow<'static, Path>> {
    let path = riptide_datasets::fetch::hub::locate(address, &mut riptide_files::Silent)?;
    Ok(Cow::Owned(path))
}

#[cfg(not(feature = "fetch"))]
fn fetched(address: &str) -> Result<Cow<'static, Path>> {
    Err(crate::error::Error::FeatureMissing {
        what: address.to_owned(),
        feature: "fetch",
    })
}
