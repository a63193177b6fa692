//! Text onto a picture, with emoji in colour: white and outlined in its lower part, or in any style.
//!
//! Read `renderer` first: it is the whole way of one picture. Then `text` (what is drawn), `fonts`
//! (with what), `layout` (how large and where), `draw` (pixels), `encode` (bytes).

mod renderer;
mod text;
mod fonts;
mod style;
mod describe;
mod sizes;
mod layout;
mod plate;
mod shadow;
mod draw;
mod mask;
mod outline;
mod canvas;
mod encode;
mod error;

pub use describe::{DESCRIPTION_CHARACTERS_MAX, Described, DescriptionError, describe};
pub use error::AddTextError;
pub use renderer::{Rendered, TextRenderer};
pub use style::{
    BadStyle, Color, Horizontal, Opacity, Outline, Outlining, Plate, Radius, Shadow, Size,
    TextStyle, Vertical, Width,
};
pub use text::TEXT_CHARACTERS_MAX;
