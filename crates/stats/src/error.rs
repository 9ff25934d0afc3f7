//! What can go wrong in a statistical computation.

/// Why a statistic could not be computed.
///
/// Every variant says which argument was at fault, and at which place.
#[derive(Debug, Clone, PartialEq, thiserror::Error)]
#[non_exhaustive]
pub enum StatsError {
    /// An argument holds too few values.
    #[error("{what} holds {found} values, at least {needed} are needed")]
    TooFew {
        /// The argument.
        what: &'static str,
        /// How many values are needed.
        needed: usize,
        /// How many values it holds.
        found: usize,
    },

    /// An argument holds NaN, which has no place in an order.
    #[error("{what}: the value at index {index} is NaN; remove it or find out what made it")]
    NotANumber {
        /// The argument.
        what: &'static str,
        /// Index of the first NaN.
        index: usize,
    },

    /// An argument holds an infinite value, but only finite ones have a meaning.
    #[error("{what}: the value at index {index} is {value}; it has to be finite")]
    NotFinite {
        /// The argument.
        what: &'static str,
        /// Index of the first value that is not finite.
        index: usize,
        /// That value.
        value: f64,
    },

    /// A number lies outside its range.
    #[error("{what} is {value}; it has to lie in {range}")]
    OutOfRange {
        /// The argument, with its index if it is one of several.
        what: String,
        /// Its value.
        value: f64,
        /// The range allowed, in interval notation.
        range: &'static str,
    },

    /// The samples are so large that their ranks overflow 63 bits.
    #[error("samples of {n_reference} and {n_batch} values: the product of the sizes has to stay below 2^63")]
    TooLarge {
        /// Size of the first sample.
        n_reference: usize,
        /// Size of the second sample.
        n_batch: usize,
    },

    /// The exact distribution of the statistic has too many different values to be enumerated.
    #[error(
        "the exact Cramér-von Mises distribution for samples of {n_reference} and {n_batch} values has too many \
         different values to enumerate; use the asymptotic method"
    )]
    ExactTooLarge {
        /// Size of the first sample.
        n_reference: usize,
        /// Size of the second sample.
        n_batch: usize,
    },

    /// A name that nothing has.
    #[error("unknown {what} {name:?}; one of {known}")]
    UnknownName {
        /// What was being named.
        what: &'static str,
        /// The name given.
        name: String,
        /// The names that exist.
        known: &'static str,
    },
}

/// Refuses fewer than `needed` values and any NaN.
pub(crate) fn check_sample(what: &'static str, values: &[f64], needed: usize) -> Result<(), StatsError> {
    if values.len() < needed {
        return Err(StatsError::TooFew {
            what,
            needed,
            found: values.len(),
        });
    }
    match values.iter().position(|value| value.is_nan()) {
        Some(index) => Err(StatsError::NotANumber { what, index }),
        None => Ok(()),
    }
}

/// Refuses what [`check_sample`] refuses, and infinities.
pub(crate) fn check_finite(what: &'static str, values: &[f64]) -> Result<(), StatsError> {
    check_sample(what, values, 1)?;
    match values.iter().position(|value| !value.is_finite()) {
        Some(index) => Err(StatsError::NotFinite {
            what,
            index,
            value: values[index],
        }),
        None => Ok(()),
    }
}

/// Refuses a probability outside of the closed unit interval, NaN too.
pub(crate) fn check_probability(what: impl Into<String>, value: f64) -> Result<(), StatsError> {
    if (0.0..=1.0).contains(&value) {
        Ok(())
    } else {
        Err(StatsError::OutOfRange {
            what: what.into(),
            value,
            range: "[0, 1]",
        })
    }
}
