//! What is required of a certificate before a monitor goes into service.

use std::str::FromStr;

use riptide_detectors::certificate::{Certificate, CertifyConfig, Mixture};
use serde::{Deserialize, Serialize};

use crate::error::Error;

/// What a certificate has to show.
///
/// ```
/// use riptide::Requirement;
///
/// let required: Requirement = "drop=0.1,n=500,power=0.95,false-alarms=0.05".parse()?;
/// assert_eq!((required.drop, required.n), (0.1, 500));
/// # Ok::<(), riptide::Error>(())
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Requirement {
    /// Every drop of accuracy of at least this, above 0 and below 1, is found …
    pub drop: f64,
    /// … in a batch of so many images …
    pub n: usize,
    /// … with at least this probability, strictly between 0 and 1; 0.95 if it is not named.
    pub power: f64,
    /// At most this share of batches alarms whose drop is tolerated, 0 to 1, in the worst of the declared sets; not required if it
    /// is not named. The upper limit of the rate counts, as the lower one does for the power.
    pub false_alarms: Option<f64>,
}

impl FromStr for Requirement {
    type Err = Error;

    /// `drop=D,n=N[,power=P][,false-alarms=F]`, in any order.
    fn from_str(text: &str) -> Result<Self, Error> {
        const FORM: &str =
            "drop=D,n=N[,power=P][,false-alarms=F] with shares between 0 and 1, for instance drop=0.1,n=500";
        let wrong = || Error::option("requirement", text, FORM);
        let share = |value: &str| value.parse::<f64>().ok().filter(|value| *value > 0.0 && *value < 1.0);
        let (mut drop, mut n, mut power, mut false_alarms) = (None, None, None, None);
        for part in text.split(',') {
            let (name, value) = part.split_once('=').ok_or_else(wrong)?;
            let is_new = match name.trim() {
                "drop" => drop.replace(share(value).ok_or_else(wrong)?).is_none(),
                "n" => n
                    .replace(value.parse().ok().filter(|&n: &usize| n >= 2).ok_or_else(wrong)?)
                    .is_none(),
                "power" => power.replace(share(value).ok_or_else(wrong)?).is_none(),
                "false-alarms" => false_alarms.replace(share(value).ok_or_else(wrong)?).is_none(),
                _ => false,
            };
            if !is_new {
                return Err(wrong());
            }
        }
        Ok(Self {
            drop: drop.ok_or_else(wrong)?,
            n: n.ok_or_else(wrong)?,
            power: power.unwrap_or(0.95),
            false_alarms,
        })
    }
}

impl Requirement {
    /// The options of a certificate that can show this: with its batch size and its power.
    #[must_use]
    pub fn asked_of(&self, mut config: CertifyConfig) -> CertifyConfig {
        config.power = self.power;
        if !config.sizes.contains(&self.n) {
            config.sizes.push(self.n);
            config.sizes.sort_unstable();
        }
        config
    }

    /// What the certificate does not show; nothing if the requirement is met.
    #[must_use]
    pub fn unmet(&self, certificate: &Certificate) -> Vec<String> {
        let power = 100.0 * self.power;
        let Some(found) = certificate.sizes.iter().find(|size| size.n == self.n) else {
            return vec![format!("the certificate has no batches of {} images", self.n)];
        };
        if certificate.config.power != self.power {
            return vec![format!(
                "the certificate was made for a power of {}, not {}",
                certificate.config.power, self.power
            )];
        }
        let points = |share: f64| 100.0 * share;
        let mut unmet = Vec::new();
        match found.least_detectable_drop {
            Some(least) if least <= self.drop => {}
            Some(least) => unmet.push(format!(
                "batches of {} find drops from {:.1} points on with {power} % power; required are {:.1} points",
                self.n,
                points(least),
                points(self.drop)
            )),
            None => unmet.push(format!("batches of {} find no drop with {power} % power", self.n)),
        }
        if let (Some(most), Some(rate)) = (self.false_alarms, found.false_alarms)
            && rate.upper > most
        {
            unmet.push(format!(
                "{:.1} % (up to {:.1} %) of the batches of {} alarm{} although the drop is tolerated; required are at most {:.1} %",
                points(rate.estimate),
                points(rate.upper),
                self.n,
                found.false_alarms_in.as_ref().map(named).unwrap_or_default(),
                points(most)
            ));
        }
        unmet
    }
}

fn named(mixture: &Mixture) -> String {
    format!(
        " with {:.0} % {} {}",
        100.0 * mixture.contamination,
        mixture.family,
        mixture.severity
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn requirements_are_read_and_others_refused() {
        let read = |text: &str| text.parse::<Requirement>();
        let all = read("n=500, drop=0.1,false-alarms=0.05,power=0.9").unwrap();
        assert_eq!(
            (all.drop, all.n, all.power, all.false_alarms),
            (0.1, 500, 0.9, Some(0.05))
        );
        assert_eq!(read("drop=0.1,n=50").unwrap().power, 0.95);
        for text in [
            "",
            "drop=0.1",
            "n=50",
            "drop=10,n=50",
            "drop=0.1,n=50,n=60",
            "drop=0.1,n=50,level=0.1",
            "drop=0.1,n=1",
        ] {
            assert!(read(text).unwrap_err().to_string().contains("drop=D,n=N"), "{text}");
        }
    }
}
