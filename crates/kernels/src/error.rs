//! What can go wrong while kernels are chosen, packed and run.

use crate::tier::Tier;

/// An error of the kernels: a tier that cannot run, or a buffer whose size disagrees with a shape.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum KernelError {
    /// The name of a tier is not one of the known ones.
    #[error("unknown kernel tier {name:?}: choose one of generic, avx2, avx512, neon")]
    UnknownTier {
        /// The name as it was given.
        name: String,
    },
    /// The tier exists, but this processor cannot run it.
    #[error("kernel tier {tier} cannot run on this processor; available: {available}")]
    UnavailableTier {
        /// The tier that was asked for.
        tier: Tier,
        /// The tiers that can run, separated by commas.
        available: String,
    },
    /// A buffer holds another number of elements than its shape says.
    #[error("{what} holds {got} elements where its shape needs {expected}")]
    Length {
        /// Which buffer.
        what: &'static str,
        /// Elements that the shape needs.
        expected: usize,
        /// Elements that were given.
        got: usize,
    },
    /// Two shapes that must agree do not, or a size is outside what a kernel takes.
    #[error("{what}: expected {expected}, got {got}")]
    Shape {
        /// Which shape or size.
        what: &'static str,
        /// What the kernel needs.
        expected: String,
        /// What was given.
        got: String,
    },
}

/// The result of the kernels' functions.
pub type Result<T, E = KernelError> = std::result::Result<T, E>;

/// Checks that a buffer has the length that its shape needs.
pub(crate) fn check_len(what: &'static str, expected: usize, got: usize) -> Result<()> {
    if expected == got {
        Ok(())
    } else {
        Err(KernelError::Length { what, expected, got })
    }
}

/// Checks that two sizes or shapes agree.
pub(crate) fn check_eq<T: PartialEq + std::fmt::Debug>(what: &'static str, expected: T, got: T) -> Result<()> {
    if expected == got {
        Ok(())
    } else {
        Err(KernelError::Shape {
            what,
            expected: format!("{expected:?}"),
            got: format!("{got:?}"),
        })
    }
}
