//! The six modes that fal.ai works for, and what each of them needs.

use std::fmt;
use std::str::FromStr;

/// The longest prompt, in characters.
pub const PROMPT_MAX: usize = 4000;

/// What a job does. Its name is the operation type at billing.
#[derive(Clone, Copy, Debug, Eq, Hash, PartialEq)]
pub enum Mode {
    /// A picture from a prompt.
    Generate,
    /// One picture changed by a prompt.
    Edit,
    /// Several pictures made into one by a prompt.
    Merge,
    /// The face of the second picture on the first.
    FaceSwap,
    /// One picture cleaned.
    Retouch,
    /// One picture made larger.
    Upscale,
}

/// Why a request for a job cannot become one.
#[derive(Clone, Copy, Debug, Eq, PartialEq, thiserror::Error)]
pub enum RequestError {
    /// Too few or too many inputs.
    #[error("this mode works on {min} to {max} pictures")]
    WrongInputs {
        /// The fewest that the mode takes.
        min: usize,
        /// The most that the mode takes.
        max: usize,
    },
    /// The mode needs a prompt.
    #[error("this mode needs a prompt")]
    PromptMissing,
    /// Longer than [`PROMPT_MAX`], or than the model takes.
    #[error("the prompt has more than {max} characters")]
    PromptTooLong {
        /// The most that is taken, in characters.
        max: usize,
    },
    /// No store and no provider takes a NUL.
    #[error("the prompt holds a NUL character")]
    PromptNul,
}

impl Mode {
    /// All of them.
    pub const ALL: [Self; 6] =
        [Self::Generate, Self::Edit, Self::Merge, Self::FaceSwap, Self::Retouch, Self::Upscale];

    /// The operation type.
    pub fn name(self) -> &'static str {
        match self {
            Self::Generate => "generate",
            Self::Edit => "edit",
            Self::Merge => "merge",
            Self::FaceSwap => "face_swap",
            Self::Retouch => "retouch",
            Self::Upscale => "upscale",
        }
    }

    /// How many pictures it works on: the fewest and the most.
    pub fn inputs(self) -> (usize, usize) {
        match self {
            Self::Generate => (0, 0),
            Self::Edit | Self::Retouch | Self::Upscale => (1, 1),
            Self::Merge => (2, 10),
            Self::FaceSwap => (2, 2),
        }
    }

    /// Whether it cannot work without words.
    pub fn needs_prompt(self) -> bool {
        match self {
            Self::Generate | Self::Edit | Self::Merge => true,
            Self::FaceSwap | Self::Retouch | Self::Upscale => false,
        }
    }

    /// Checks what a job of this mode is asked for.
    ///
    /// # Errors
    /// The first thing that is wrong.
    pub fn check(self, prompt: &str, inputs: usize) -> Result<(), RequestError> {
        let (min, max) = self.inputs();
        if !(min..=max).contains(&inputs) {
            return Err(RequestError::WrongInputs { min, max });
        }
        if prompt.contains('\0') {
            return Err(RequestError::PromptNul);
        }
        if self.needs_prompt() && prompt.trim().is_empty() {
            return Err(RequestError::PromptMissing);
        }
        if prompt.chars().count() > PROMPT_MAX {
            return Err(RequestError::PromptTooLong { max: PROMPT_MAX });
        }
        Ok(())
    }
}

impl fmt::Display for Mode {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

impl FromStr for Mode {
    type Err = super::BadId;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        Self::ALL.into_iter().find(|mode| mode.name() == text).ok_or(super::BadId)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(mode: Mode, prompt: &str, inputs: usize, expected: Result<(), RequestError>) {
        assert_eq!(mode.check(prompt, inputs), expected, "{mode} with {inputs} inputs");
    }

    #[test]
    fn each_mode_takes_its_own_number_of_pictures() {
        let wrong = |min, max| Err(RequestError::WrongInputs { min, max });
        check(Mode::Generate, "a cat", 0, Ok(()));
        check(Mode::Generate, "a cat", 1, wrong(0, 0));
        check(Mode::Edit, "a cat", 1, Ok(()));
        check(Mode::Edit, "a cat", 2, wrong(1, 1));
        check(Mode::Merge, "a cat", 1, wrong(2, 10));
        check(Mode::Merge, "a cat", 2, Ok(()));
        check(Mode::Merge, "a cat", 10, Ok(()));
        check(Mode::Merge, "a cat", 11, wrong(2, 10));
        check(Mode::FaceSwap, "", 1, wrong(2, 2));
        check(Mode::FaceSwap, "", 2, Ok(()));
        check(Mode::Retouch, "", 0, wrong(1, 1));
        check(Mode::Retouch, "", 1, Ok(()));
        check(Mode::Upscale, "", 1, Ok(()));
    }

    #[test]
    fn a_prompt_is_there_where_it_must_be_and_bounded_everywhere() {
        check(Mode::Generate, " \n", 0, Err(RequestError::PromptMissing));
        check(Mode::Edit, "", 1, Err(RequestError::PromptMissing));
        check(Mode::Merge, "", 2, Err(RequestError::PromptMissing));
        check(Mode::Generate, &"я".repeat(4000), 0, Ok(()));
        let too_long = Err(RequestError::PromptTooLong { max: 4000 });
        check(Mode::Generate, &"я".repeat(4001), 0, too_long);
        check(Mode::Upscale, &"я".repeat(4001), 1, too_long);
        check(Mode::Generate, "a\0b", 0, Err(RequestError::PromptNul));
    }

    #[test]
    fn names_are_read_back() {
        for mode in Mode::ALL {
            assert_eq!(mode.name().parse(), Ok(mode));
        }
        assert!("add_text".parse::<Mode>().is_err());
    }
}
