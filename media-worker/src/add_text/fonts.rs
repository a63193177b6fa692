//! With what is drawn: one bold font of letters, one of emoji, and whatever else lies beside them.

use std::path::Path;
use std::sync::{Arc, Mutex, PoisonError};

use anyhow::{Context as _, ensure};
use cosmic_text::fontdb::{Database, ID, Source, Weight};
use cosmic_text::{Attrs, Family, Font, FontSystem, Style as Slant};

static LETTERS: &[u8] = include_bytes!("../../assets/DejaVuSans-Bold.ttf");
static EMOJI: &[u8] = include_bytes!("../../assets/NotoColorEmoji.ttf");

/// What a font must have to be the one of letters.
const LETTERS_NEEDED: &str = "AZazАЯаяЁё0123456789 .,!?-";
/// What a font must have, and a letter that it must not have, to be the one of emoji.
const EMOJI_NEEDED: char = '😀';
const EMOJI_LACKS: char = 'Ж';

/// How a font is asked for.
///
/// The weight is the font's own: asked for another, the shaper takes what it can get from the emoji
/// font, which has digits and a space.
#[derive(Clone, Debug)]
pub(super) struct Face {
    pub(super) id: ID,
    family: String,
    weight: Weight,
    slant: Slant,
}

impl Face {
    pub(super) fn attrs(&self) -> Attrs<'_> {
        Attrs::new().family(Family::Name(&self.family)).weight(self.weight).style(self.slant)
    }
}

/// The loaded fonts. Font systems made from them share the font files' bytes.
#[derive(Debug)]
pub(super) struct Fonts {
    database: Database,
    pub(super) letters: Face,
    pub(super) emoji: Option<EmojiFace>,
    /// Font systems at rest: one thread uses one at a time, and making one is dear.
    idle: Mutex<Vec<FontSystem>>,
}

#[derive(Debug)]
pub(super) struct EmojiFace {
    pub(super) face: Face,
    font: Arc<Font>,
}

impl EmojiFace {
    pub(super) fn has(&self, character: char) -> bool {
        has_glyph(&self.font, character)
    }
}

impl Fonts {
    /// The two fonts that the binary carries.
    pub(super) fn built_in() -> anyhow::Result<Self> {
        let mut database = Database::new();
        for font in [LETTERS, EMOJI] {
            database.load_font_source(Source::Binary(Arc::new(font)));
        }
        Self::from_database(database)
    }

    /// Every `.ttf` and `.otf` of a folder, in order of name.
    pub(super) fn from_folder(folder: &Path) -> anyhow::Result<Self> {
        let entries = std::fs::read_dir(folder)
            .and_then(|entries| entries.map(|entry| Ok(entry?.path())).collect::<Result<_, _>>())
            .with_context(|| format!("read the fonts folder {}", folder.display()));
        let mut files: Vec<_> = entries?;
        files.retain(|file| {
            file.extension().is_some_and(|extension| {
                extension.eq_ignore_ascii_case("ttf") || extension.eq_ignore_ascii_case("otf")
            })
        });
        files.sort();
        ensure!(!files.is_empty(), "no .ttf or .otf font in the folder {}", folder.display());

        let mut database = Database::new();
        for file in files {
            let bytes = std::fs::read(&file)
                .with_context(|| format!("read the font {}", file.display()))?;
            let loaded = database.load_font_source(Source::Binary(Arc::new(bytes)));
            ensure!(!loaded.is_empty(), "{} is not a font", file.display());
        }
        Self::from_database(database).with_context(|| format!("in the folder {}", folder.display()))
    }

    fn from_database(database: Database) -> anyhow::Result<Self> {
        let mut system = font_system(&database);
        let letters = choose_letters(&database, &mut system).context(
            "no font has Latin letters, Cyrillic letters and digits: DejaVu Sans Bold has them",
        )?;
        let emoji = choose_emoji(&database, &mut system);
        Ok(Self { database, letters, emoji, idle: Mutex::new(vec![system]) })
    }

    /// Lends a font system. One that does not come back, after a panic, is made anew.
    pub(super) fn with_system<T>(&self, work: impl FnOnce(&mut FontSystem) -> T) -> T {
        let idle = || self.idle.lock().unwrap_or_else(PoisonError::into_inner);
        let lent = idle().pop();
        let mut system = lent.unwrap_or_else(|| font_system(&self.database));
        let result = work(&mut system);
        idle().push(system);
        result
    }
}

fn font_system(database: &Database) -> FontSystem {
    FontSystem::new_with_locale_and_db("ru-RU".to_owned(), database.clone())
}

/// Of the fonts with all the letters the upright one nearest to bold; the first of equals.
fn choose_letters(database: &Database, system: &mut FontSystem) -> Option<Face> {
    faces(database)
        .filter(|face| {
            let font = system.get_font(face.id, face.weight);
            font.is_some_and(|font| LETTERS_NEEDED.chars().all(|letter| has_glyph(&font, letter)))
        })
        .min_by_key(|face| (face.slant != Slant::Normal, face.weight.0.abs_diff(Weight::BOLD.0)))
}

fn choose_emoji(database: &Database, system: &mut FontSystem) -> Option<EmojiFace> {
    faces(database).find_map(|face| {
        let font = system.get_font(face.id, face.weight)?;
        (has_glyph(&font, EMOJI_NEEDED) && !has_glyph(&font, EMOJI_LACKS))
            .then_some(EmojiFace { face, font })
    })
}

fn faces(database: &Database) -> impl Iterator<Item = Face> {
    database.faces().filter_map(|face| {
        Some(Face {
            id: face.id,
            family: face.families.first()?.0.clone(),
            weight: face.weight,
            slant: face.style,
        })
    })
}

fn has_glyph(font: &Font, character: char) -> bool {
    font.as_swash().charmap().map(character) != 0
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_built_in_fonts_have_what_is_needed() {
        let fonts = Fonts::built_in().unwrap();

        assert_eq!(fonts.letters.family, "DejaVu Sans");
        assert_eq!(fonts.letters.weight, Weight::BOLD);
        let emoji = fonts.emoji.unwrap();
        assert_eq!(emoji.face.family, "Noto Color Emoji");
        for (character, has) in [('🎨', true), ('❤', true), ('Ж', false), ('₽', false)] {
            assert_eq!(emoji.has(character), has, "{character}");
        }
    }

    #[test]
    fn a_folder_gives_its_fonts() {
        let folder = tempfile::tempdir().unwrap();
        std::fs::write(folder.path().join("a.TTF"), EMOJI).unwrap();
        std::fs::write(folder.path().join("b.ttf"), LETTERS).unwrap();
        std::fs::write(folder.path().join("LICENSE.txt"), "may be used").unwrap();
        let fonts = Fonts::from_folder(folder.path()).unwrap();

        assert_eq!(fonts.letters.family, "DejaVu Sans");
        assert!(fonts.emoji.is_some());
    }

    #[test]
    fn emoji_may_be_absent() {
        let folder = tempfile::tempdir().unwrap();
        std::fs::write(folder.path().join("b.ttf"), LETTERS).unwrap();

        assert!(Fonts::from_folder(folder.path()).unwrap().emoji.is_none());
    }

    #[track_caller]
    fn check_refused(files: &[(&str, &[u8])], message: &str) {
        let folder = tempfile::tempdir().unwrap();
        for (name, bytes) in files {
            std::fs::write(folder.path().join(name), bytes).unwrap();
        }
        let error = format!("{:#}", Fonts::from_folder(folder.path()).unwrap_err());
        assert!(error.contains(message), "{error}");
        assert!(error.contains(&folder.path().display().to_string()), "{error}");
    }

    #[test]
    fn a_folder_that_is_of_no_use_is_refused_by_name() {
        check_refused(&[], "no .ttf or .otf font in the folder");
        check_refused(&[("readme.txt", b"fonts")], "no .ttf or .otf font in the folder");
        check_refused(&[("broken.ttf", b"not a font")], "broken.ttf is not a font");
        check_refused(&[("emoji.ttf", EMOJI)], "no font has Latin letters, Cyrillic letters");

        let error = Fonts::from_folder(Path::new("/nowhere/fonts")).unwrap_err();
        assert!(format!("{error:#}").contains("read the fonts folder /nowhere/fonts"));
    }

    #[test]
    fn a_font_system_that_was_lost_is_replaced() {
        let fonts = Fonts::built_in().unwrap();
        let lost = std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| {
            fonts.with_system(|_| panic!("lost"));
        }));

        assert!(lost.is_err());
        assert_eq!(fonts.with_system(|system| system.db().len()), 2);
        assert_eq!(fonts.idle.lock().unwrap().len(), 1);
    }
}
