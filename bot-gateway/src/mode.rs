//! The seven modes of the bot.

use proto::media::v1 as media;
use serde::{Deserialize, Serialize};

/// What the user wants to have done.
#[derive(Clone, Copy, Debug, Deserialize, Eq, PartialEq, Serialize)]
#[serde(rename_all = "snake_case")]
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
    /// Text drawn onto a picture: free, and needs no operation.
    AddText,
}

impl Mode {
    /// In the order of the menu.
    pub const ALL: [Self; 7] = [
        Self::Generate,
        Self::Edit,
        Self::Merge,
        Self::FaceSwap,
        Self::Retouch,
        Self::Upscale,
        Self::AddText,
    ];

    /// The name of the mode; of a paid mode it is the operation type in billing.
    pub fn name(self) -> &'static str {
        match self {
            Self::Generate => "generate",
            Self::Edit => "edit",
            Self::Merge => "merge",
            Self::FaceSwap => "face_swap",
            Self::Retouch => "retouch",
            Self::Upscale => "upscale",
            Self::AddText => "add_text",
        }
    }

    /// The mode of that name.
    pub fn by_name(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|mode| mode.name() == name)
    }

    /// How media-worker calls the job; the free mode has no job.
    pub fn job(self) -> Option<media::Mode> {
        match self {
            Self::Generate => Some(media::Mode::Generate),
            Self::Edit => Some(media::Mode::Edit),
            Self::Merge => Some(media::Mode::Merge),
            Self::FaceSwap => Some(media::Mode::FaceSwap),
            Self::Retouch => Some(media::Mode::Retouch),
            Self::Upscale => Some(media::Mode::Upscale),
            Self::AddText => None,
        }
    }

    /// The mode of a job.
    pub fn of_job(job: media::Mode) -> Option<Self> {
        Self::ALL.into_iter().find(|mode| mode.job() == Some(job))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_mode_is_found_by_its_name_and_its_job() {
        for mode in Mode::ALL {
            assert_eq!(Mode::by_name(mode.name()), Some(mode));
            if let Some(job) = mode.job() {
                assert_eq!(Mode::of_job(job), Some(mode));
                assert_eq!(job.as_str_name().to_lowercase(), format!("mode_{}", mode.name()));
            }
        }
        assert_eq!(Mode::by_name("conquer"), None);
        assert_eq!(Mode::of_job(media::Mode::Unspecified), None);
    }
}
