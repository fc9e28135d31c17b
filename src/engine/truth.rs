//! Yes, no, or not to be known: what depends on a variable that nothing
//! defines, or on an object that is not here, is never guessed.

/// How certain something is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Truth {
    /// It does not hold.
    No,
    /// It hangs on something unknown.
    Maybe,
    /// It holds.
    Yes,
}

impl Truth {
    /// Both hold.
    pub fn and(self, other: Self) -> Self {
        self.min(other)
    }

    /// At least one holds.
    pub fn or(self, other: Self) -> Self {
        self.max(other)
    }

    /// All of them hold; stops at the first that does not.
    pub fn all(truths: impl Iterator<Item = Self>) -> Self {
        let mut all = Self::Yes;
        for truth in truths {
            all = all.and(truth);
            if all == Self::No {
                break;
            }
        }
        all
    }

    /// One of them holds; stops at the first that does.
    pub fn any(truths: impl Iterator<Item = Self>) -> Self {
        let mut any = Self::No;
        for truth in truths {
            any = any.or(truth);
            if any == Self::Yes {
                break;
            }
        }
        any
    }
}

impl From<bool> for Truth {
    fn from(holds: bool) -> Self {
        if holds { Self::Yes } else { Self::No }
    }
}

impl std::ops::Not for Truth {
    type Output = Self;

    fn not(self) -> Self {
        match self {
            Self::No => Self::Yes,
            Self::Maybe => Self::Maybe,
            Self::Yes => Self::No,
        }
    }
}
