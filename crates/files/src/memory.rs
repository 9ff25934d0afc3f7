//! Whether there is memory for what was asked for.

/// There is not as much memory as something would take.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{what} would take about {}, and there is not as much memory{}; ask for less", size(*needed), free(*available))]
pub struct NoMemory {
    /// What would take it.
    pub what: String,
    /// The bytes that it would take, estimated.
    pub needed: u64,
    /// The bytes that are free, if the system says so.
    pub available: Option<u64>,
}

/// Errors if there is not memory for `bytes` at once: more than the system has free, or than this process may have. Nothing is
/// kept: it is asked before something allocates that could only be aborted.
///
/// # Errors
/// Returns [`NoMemory`] with the estimate.
///
/// ```
/// use riptide_files::memory;
///
/// assert!(memory::check("a page", 4096).is_ok());
/// let error = memory::check("1000000000000 images", 3072 << 40).unwrap_err();
/// assert!(error.to_string().starts_with("1000000000000 images would take about 3072.0 TiB"));
/// ```
pub fn check(what: impl Into<String>, bytes: u64) -> Result<(), NoMemory> {
    let available = available();
    let fits = available.is_none_or(|available| bytes <= available);
    let may = usize::try_from(bytes).is_ok_and(|bytes| Vec::<u8>::new().try_reserve_exact(bytes).is_ok());
    if fits && may {
        return Ok(());
    }
    Err(NoMemory {
        what: what.into(),
        needed: bytes,
        // A limit of the process is lower than what the system has.
        available: available.filter(|_| !fits),
    })
}

/// The bytes that the system can give to programs; only Linux says so.
fn available() -> Option<u64> {
    let text = std::fs::read_to_string("/proc/meminfo").ok()?;
    let line = text.lines().find_map(|line| line.strip_prefix("MemAvailable:"))?;
    let kib: u64 = line.trim().strip_suffix("kB")?.trim().parse().ok()?;
    kib.checked_mul(1024)
}

fn free(available: Option<u64>) -> String {
    available.map_or_else(String::new, |bytes| format!(" ({} are free)", size(bytes)))
}

/// A number of bytes for people.
fn size(bytes: u64) -> String {
    let (mut size, mut unit) = (bytes as f64, "bytes");
    for larger in ["KiB", "MiB", "GiB", "TiB"] {
        if size < 1024.0 {
            break;
        }
        (size, unit) = (size / 1024.0, larger);
    }
    match unit {
        "bytes" => format!("{bytes} bytes"),
        unit => format!("{size:.1} {unit}"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sizes_are_for_people() {
        assert_eq!(size(7), "7 bytes");
        assert_eq!(size(1536), "1.5 KiB");
        assert_eq!(size(u64::MAX), "16777216.0 TiB");
    }

    #[test]
    fn what_nobody_has_is_refused() {
        assert!(check("all", u64::MAX).is_err());
        assert!(check("nothing", 0).is_ok());
    }
}
