//! Choices that have a word each: how it is written and read.

/// Shows `$choice` by its `name`, and finds the one in its `ALL` that a word names; an unknown word is answered with those there are.
macro_rules! by_word {
    ($choice:ty, $what:literal) => {
        impl std::fmt::Display for $choice {
            fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                f.write_str(self.name())
            }
        }

        impl std::str::FromStr for $choice {
            type Err = crate::Error;

            fn from_str(word: &str) -> Result<Self, crate::Error> {
                let words = Self::ALL.map(Self::name).join(", ");
                let known = Self::ALL.into_iter().find(|choice| choice.name() == word);
                known.ok_or_else(|| crate::Error::usage(format!(concat!("unknown ", $what, " `{}`; there are: {}"), word, words)))
            }
        }
    };
}

pub(super) use by_word;
