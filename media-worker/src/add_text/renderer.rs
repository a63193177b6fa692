//! One picture's whole way: checked, decoded, drawn on, encoded.

use std::path::Path;

use super::AddTextError;
use super::canvas::Canvas;
use super::draw::draw;
use super::encode::encode;
use super::fonts::Fonts;
use super::layout::{Sides, typeset};
use super::text::clean;
use crate::picture;

/// Draws texts onto pictures. Made once; several threads may use it at a time.
#[derive(Debug)]
pub struct TextRenderer {
    fonts: Fonts,
}

/// A picture with its text.
#[derive(Clone, Debug)]
pub struct Rendered {
    pub bytes: Vec<u8>,
    pub content_type: &'static str,
    /// In pixels, as it is looked at.
    pub width: u32,
    /// In pixels, as it is looked at.
    pub height: u32,
}

impl TextRenderer {
    /// Loads the fonts of a folder, or those that are built in.
    pub fn new(fonts_dir: Option<&Path>) -> anyhow::Result<Self> {
        let fonts = match fonts_dir {
            Some(folder) => Fonts::from_folder(folder)?,
            None => Fonts::built_in()?,
        };
        Ok(Self { fonts })
    }

    /// Draws the text into the lower part of the picture.
    ///
    /// Blocks, for some seconds with the largest pictures, and takes up to some 600 MB for them:
    /// the caller bounds how many run at a time.
    pub fn render(&self, picture: &[u8], text: &str) -> Result<Rendered, AddTextError> {
        let text = clean(text)?;
        let picture = picture::decode(picture)?;
        let mut canvas = Canvas::new(picture.format, picture.pixels);

        let sides = Sides { width: canvas.width(), height: canvas.height() };
        self.fonts.with_system(|system| {
            let typeset = typeset(&self.fonts, system, &text, sides)?;
            draw(&mut canvas, system, &typeset);
            Ok::<_, AddTextError>(())
        })?;

        let profile = picture.color_profile.as_deref();
        let (bytes, format) = encode(&canvas, picture.format, profile)?;
        let content_type = format.content_type();
        Ok(Rendered { bytes, content_type, width: sides.width, height: sides.height })
    }
}
