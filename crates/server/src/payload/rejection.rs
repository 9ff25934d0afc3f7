//! Why a request is not taken.

/// Why a request is not taken: the status of the answer, a word for metrics, and one line for the client.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Rejection {
    pub(crate) status: u16,
    pub(crate) reason: &'static str,
    pub(crate) message: String,
}

/// Characters of a message; what a client sent may be quoted in it, but not at any length.
const LONGEST: usize = 300;

impl Rejection {
    pub(crate) fn new(status: u16, reason: &'static str, message: impl AsRef<str>) -> Self {
        let message = message.as_ref();
        let mut line: String = message
            .chars()
            .map(|c| if c.is_control() { ' ' } else { c })
            .take(LONGEST)
            .collect();
        if message.chars().nth(LONGEST).is_some() {
            line.push('…');
        }
        Self {
            status,
            reason,
            message: line,
        }
    }

    /// The body is not what it should be.
    pub(crate) fn malformed(message: impl AsRef<str>) -> Self {
        Self::new(400, "malformed", message)
    }

    /// The body is well formed, but its images or answers do not fit the monitor.
    pub(crate) fn unfit(message: impl AsRef<str>) -> Self {
        Self::new(422, "unfit", message)
    }

    /// There is more of it than allowed.
    pub(crate) fn too_large(message: impl AsRef<str>) -> Self {
        Self::new(413, "too_large", message)
    }

    /// There is no room now; the client should come again.
    pub(crate) fn busy(reason: &'static str, message: impl AsRef<str>) -> Self {
        Self::new(429, reason, message)
    }
}

/// A result of taking a request apart.
pub(crate) type Taken<T> = std::result::Result<T, Rejection>;
