//! Text onto a picture, in its lower part: white, outlined, with emoji in colour.
//!
//! Read `renderer` first: it is the whole way of one picture. Then `text` (what is drawn), `fonts`
//! (with what), `layout` (how large and where), `draw` (pixels), `encode` (bytes).

mod renderer;
mod text;
mod fonts;
mod layout;
mod draw;
mod mask;
mod outline;
mod canvas;
mod encode;
mod error;

pub use error::AddTextError;
pub use renderer::{Rendered, TextRenderer};
pub use text::TEXT_CHARACTERS_MAX;
