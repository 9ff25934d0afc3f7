//! Which tier the kernels run on: probed once, or forced by name.

use std::str::FromStr;
use std::sync::OnceLock;

use crate::error::{KernelError, Result};
use crate::lanes::{Generic, Kernel};
use crate::tier::Tier;

/// The environment variable that forces a tier for every kernel of the process.
pub const TIER_VARIABLE: &str = "RIPTIDE_KERNEL";

impl Tier {
    /// Whether this processor can run the tier.
    pub fn is_available(self) -> bool {
        match self {
            Tier::Generic => true,
            #[cfg(target_arch = "x86_64")]
            Tier::Avx2 => crate::lanes::Avx2::new().is_some(),
            #[cfg(target_arch = "x86_64")]
            Tier::Avx512 => crate::lanes::Avx512::new().is_some(),
            #[cfg(target_arch = "aarch64")]
            Tier::Neon => crate::lanes::Neon::new().is_some(),
            #[allow(unreachable_patterns)]
            _ => false,
        }
    }

    /// The tiers that this processor can run, slowest first.
    pub fn available() -> Vec<Tier> {
        Tier::ALL.into_iter().filter(|tier| tier.is_available()).collect()
    }
}

impl FromStr for Tier {
    type Err = KernelError;

    fn from_str(name: &str) -> Result<Self> {
        let known = Tier::ALL.into_iter().find(|tier| tier.name() == name);
        known.ok_or_else(|| KernelError::UnknownTier { name: name.to_owned() })
    }
}

/// A tier that is known to run on this processor. Kernels take it to choose their instructions.
///
/// ```
/// use riptide_kernels::{Simd, Tier};
/// let reference = Simd::with_tier(Tier::Generic)?;
/// assert_eq!(reference.tier(), Tier::Generic);
/// assert!("sse9".parse::<Tier>().is_err());
/// # Ok::<(), riptide_kernels::KernelError>(())
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Simd(Choice);

/// The checked tier with its lanes. Made by [`Simd::with_tier`] alone, after the processor was probed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Choice {
    Generic(Generic),
    #[cfg(target_arch = "x86_64")]
    Avx2(crate::lanes::Avx2),
    #[cfg(target_arch = "x86_64")]
    Avx512(crate::lanes::Avx512),
    #[cfg(target_arch = "aarch64")]
    Neon(crate::lanes::Neon),
}

impl Simd {
    /// The given tier, if this processor has it.
    ///
    /// # Errors
    /// [`KernelError::UnavailableTier`] if it does not.
    pub fn with_tier(tier: Tier) -> Result<Self> {
        let choice = match tier {
            Tier::Generic => Some(Choice::Generic(Generic)),
            #[cfg(target_arch = "x86_64")]
            Tier::Avx2 => crate::lanes::Avx2::new().map(Choice::Avx2),
            #[cfg(target_arch = "x86_64")]
            Tier::Avx512 => crate::lanes::Avx512::new().map(Choice::Avx512),
            #[cfg(target_arch = "aarch64")]
            Tier::Neon => crate::lanes::Neon::new().map(Choice::Neon),
            #[allow(unreachable_patterns)]
            _ => None,
        };
        choice.map(Simd).ok_or_else(|| {
            let names: Vec<_> = Tier::available().into_iter().map(Tier::name).collect();
            KernelError::UnavailableTier {
                tier,
                available: names.join(", "),
            }
        })
    }

    /// The fastest tier that this processor has.
    pub fn best() -> Self {
        let best = Tier::available()
            .into_iter()
            .rev()
            .find_map(|tier| Simd::with_tier(tier).ok());
        best.unwrap_or(Simd(Choice::Generic(Generic)))
    }

    /// The tier of this process: the one that `RIPTIDE_KERNEL` names, else the fastest. Probed once and kept.
    ///
    /// # Errors
    /// [`KernelError::UnknownTier`] or [`KernelError::UnavailableTier`] if the variable names a tier that cannot run.
    pub fn current() -> Result<Self> {
        // Probed once: a later change of the variable would mix the bits of two tiers in one process.
        static CURRENT: OnceLock<Result<Simd>> = OnceLock::new();
        let probe = || match std::env::var(TIER_VARIABLE) {
            Ok(name) if !name.is_empty() => name.parse().and_then(Simd::with_tier),
            _ => Ok(Simd::best()),
        };
        CURRENT.get_or_init(probe).clone()
    }

    /// The tier's name.
    pub fn tier(self) -> Tier {
        match self.0 {
            Choice::Generic(_) => Tier::Generic,
            #[cfg(target_arch = "x86_64")]
            Choice::Avx2(_) => Tier::Avx2,
            #[cfg(target_arch = "x86_64")]
            Choice::Avx512(_) => Tier::Avx512,
            #[cfg(target_arch = "aarch64")]
            Choice::Neon(_) => Tier::Neon,
        }
    }

    /// Runs a kernel compiled for this tier's instructions.
    pub(crate) fn run<K: Kernel>(self, kernel: K) -> K::Output {
        match self.0 {
            Choice::Generic(lanes) => kernel.run(lanes),
            #[cfg(target_arch = "x86_64")]
            Choice::Avx2(lanes) => lanes.run(kernel),
            #[cfg(target_arch = "x86_64")]
            Choice::Avx512(lanes) => lanes.run(kernel),
            #[cfg(target_arch = "aarch64")]
            Choice::Neon(lanes) => lanes.run(kernel),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_round_trip_and_unknown_ones_are_errors() {
        for tier in Tier::ALL {
            assert_eq!(tier.name().parse::<Tier>().unwrap(), tier);
        }
        let error = "AVX2 ".parse::<Tier>().unwrap_err();
        assert!(error.to_string().contains("generic, avx2, avx512, neon"));
    }

    #[test]
    fn an_unavailable_tier_names_the_available_ones() {
        for tier in Tier::ALL {
            match Simd::with_tier(tier) {
                Ok(simd) => assert_eq!(simd.tier(), tier),
                Err(error) => assert!(!tier.is_available() && error.to_string().contains("generic")),
            }
        }
    }
}
