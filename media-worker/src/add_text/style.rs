//! How the text looks: size, colours and place, and what lies behind and around the letters.

use std::fmt;
use std::ops::RangeInclusive;
use std::str::FromStr;

/// A colour: red, green, blue.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct Color(pub [u8; 3]);

impl Color {
    pub const WHITE: Self = Self([255; 3]);
    pub const BLACK: Self = Self([0; 3]);

    /// Black or white, whichever stands out more against this colour.
    pub fn contrast(self) -> Self {
        // What the eye makes of the three, in thousandths.
        let [red, green, blue] = self.0.map(u32::from);
        if red * 299 + green * 587 + blue * 114 >= 100_000 { Self::BLACK } else { Self::WHITE }
    }
}

/// Reads `#RRGGBB`.
impl FromStr for Color {
    type Err = BadStyle;

    fn from_str(text: &str) -> Result<Self, BadStyle> {
        let bad = BadStyle { field: "color" };
        let digits = text.strip_prefix('#').filter(|digits| digits.len() == 6).ok_or(bad)?;
        if !digits.bytes().all(|digit| digit.is_ascii_hexdigit()) {
            return Err(bad);
        }
        let number = u32::from_str_radix(digits, 16).map_err(|_| bad)?;
        let [_, red, green, blue] = number.to_be_bytes();
        Ok(Self([red, green, blue]))
    }
}

impl fmt::Display for Color {
    fn fmt(&self, to: &mut fmt::Formatter<'_>) -> fmt::Result {
        let [red, green, blue] = self.0;
        write!(to, "#{red:02X}{green:02X}{blue:02X}")
    }
}

/// A part of a hundred, within bounds.
#[derive(Clone, Copy, Debug, Eq, Ord, PartialEq, PartialOrd)]
pub struct Percent<const MIN: u8, const MAX: u8>(u8);

impl<const MIN: u8, const MAX: u8> Percent<MIN, MAX> {
    /// What it can be.
    pub const RANGE: RangeInclusive<u8> = MIN..=MAX;

    /// None if it is out of bounds.
    pub fn new(value: impl TryInto<u8>) -> Option<Self> {
        let value = value.try_into().ok()?;
        Self::RANGE.contains(&value).then_some(Self(value))
    }

    /// The nearest that is within the bounds.
    pub const fn nearest(value: u8) -> Self {
        Self(if value < MIN {
            MIN
        } else if value > MAX {
            MAX
        } else {
            value
        })
    }

    pub fn get(self) -> u8 {
        self.0
    }
}

/// The size of the letters: of the size that looks good.
pub type Size = Percent<25, 250>;
/// How little can be seen through.
pub type Opacity = Percent<1, 100>;
/// How round: at 100 a plate of one line has round ends.
pub type Radius = Percent<0, 100>;
/// The width of an outline: of the size of the letters.
pub type Width = Percent<1, 20>;

/// Where the text stands, up and down.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub enum Vertical {
    Top,
    Middle,
    #[default]
    Bottom,
}

/// Where the text stands, from side to side.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub enum Horizontal {
    Left,
    #[default]
    Center,
    Right,
}

/// A rectangle behind the text.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct Plate {
    pub color: Color,
    pub opacity: Opacity,
    pub radius: Radius,
}

/// A line around each letter.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct Outline {
    /// None: what stands out against the letters.
    pub color: Option<Color>,
    pub width: Width,
}

impl Outline {
    /// Enough for white letters on white, and not so much that it fills their insides.
    pub const WIDTH: Width = Width::nearest(6);

    /// Its colour around letters of this one.
    pub fn color_around(self, letters: Color) -> Color {
        self.color.unwrap_or_else(|| letters.contrast())
    }
}

/// Which outline.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub enum Outlining {
    /// A usual one, unless a plate makes the text readable.
    #[default]
    Automatic,
    Without,
    With(Outline),
}

/// A soft shadow under the letters.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct Shadow {
    pub color: Color,
    pub opacity: Opacity,
}

/// How the text looks.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct TextStyle {
    pub size: Size,
    pub color: Color,
    pub vertical: Vertical,
    pub horizontal: Horizontal,
    pub plate: Option<Plate>,
    pub outline: Outlining,
    pub shadow: Option<Shadow>,
}

/// White, in the lower part, with a dark outline: readable on every photo.
impl Default for TextStyle {
    fn default() -> Self {
        Self {
            size: Size::nearest(100),
            color: Color::WHITE,
            vertical: Vertical::default(),
            horizontal: Horizontal::default(),
            plate: None,
            outline: Outlining::default(),
            shadow: None,
        }
    }
}

impl Default for Plate {
    fn default() -> Self {
        Self { color: Color::BLACK, opacity: Opacity::nearest(100), radius: Radius::nearest(0) }
    }
}

impl Default for Outline {
    fn default() -> Self {
        Self { color: None, width: Self::WIDTH }
    }
}

impl Default for Shadow {
    fn default() -> Self {
        Self { color: Color::BLACK, opacity: Opacity::nearest(70) }
    }
}

impl TextStyle {
    /// The outline that is drawn.
    pub fn drawn_outline(&self) -> Option<Outline> {
        match self.outline {
            Outlining::Automatic if self.plate.is_none() => Some(Outline::default()),
            Outlining::Automatic | Outlining::Without => None,
            Outlining::With(outline) => Some(outline),
        }
    }
}

/// A style that cannot be drawn.
#[derive(Clone, Copy, Debug, Eq, PartialEq, thiserror::Error)]
#[error("the style's {field} is out of its bounds")]
pub struct BadStyle {
    /// Which part of it, such as `plate.color`.
    pub field: &'static str,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check_color(text: &str, expected: Option<[u8; 3]>) {
        assert_eq!(text.parse().ok(), expected.map(Color), "{text}");
    }

    #[test]
    fn colours_are_six_digits() {
        check_color("#FF8000", Some([255, 128, 0]));
        check_color("#ff8000", Some([255, 128, 0]));
        for bad in ["", "#", "FF8000", "#FF800", "#FF80000", "#GG0000", "#+12345", "#белый", "red"]
        {
            check_color(bad, None);
        }
        assert_eq!(Color([255, 128, 0]).to_string(), "#FF8000");
    }

    #[track_caller]
    fn check_contrast(color: [u8; 3], expected: Color) {
        assert_eq!(Color(color).contrast(), expected, "{color:?}");
    }

    #[test]
    fn dark_letters_get_a_light_outline() {
        check_contrast([255; 3], Color::BLACK);
        check_contrast([255, 230, 0], Color::BLACK);
        check_contrast([120; 3], Color::BLACK);
        check_contrast([0; 3], Color::WHITE);
        check_contrast([0, 0, 160], Color::WHITE);
        check_contrast([200, 0, 0], Color::WHITE);
    }

    #[test]
    fn a_percentage_keeps_to_its_bounds() {
        assert_eq!(Size::new(24).map(Size::get), None);
        assert_eq!(Size::new(250).map(Size::get), Some(250));
        assert_eq!(Size::new(251), None);
        assert_eq!(Size::new(-1), None);
        assert_eq!(Size::new(1_000_000), None);
        assert_eq!((Width::nearest(0).get(), Width::nearest(200).get()), (1, 20));
    }

    #[test]
    fn a_plate_takes_the_place_of_the_usual_outline() {
        let usual = TextStyle::default();
        let plated = TextStyle { plate: Some(Plate::default()), ..usual };
        let both = TextStyle { outline: Outlining::With(Outline::default()), ..plated };

        assert_eq!(usual.drawn_outline(), Some(Outline::default()));
        assert_eq!(plated.drawn_outline(), None);
        assert_eq!(both.drawn_outline(), Some(Outline::default()));
        assert_eq!(TextStyle { outline: Outlining::Without, ..usual }.drawn_outline(), None);
    }
}
