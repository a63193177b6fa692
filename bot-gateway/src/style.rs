//! How a user wants text to look: kept in the draft, changed by buttons.

use std::fmt;
use std::str::FromStr;

use proto::media::v1::{
    TextHorizontal, TextOutline, TextPlate, TextShadow, TextStyle, TextVertical,
};
use serde::{Deserialize, Serialize};

/// Percent of the usual size: the least and the most that media-worker draws.
const SIZE: (i32, i32) = (25, 250);
/// Percent: of a plate that can be seen through.
const TRANSLUCENT: i32 = 50;

/// A style as the draft keeps it.
#[derive(Clone, Debug, Default, Deserialize, Eq, PartialEq, Serialize)]
#[serde(from = "Kept", into = "Kept")]
pub struct Style(pub TextStyle);

/// What one press of a button changes.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Change {
    Smaller,
    Larger,
    Top,
    Middle,
    Bottom,
    Left,
    Center,
    Right,
    White,
    Black,
    Red,
    Yellow,
    Green,
    Blue,
    /// None, solid, translucent, and so on.
    Plate,
    /// Square, rounded, round, and so on.
    Corners,
    /// On and off.
    Outline,
    /// On and off.
    Shadow,
}

impl Change {
    /// All of them, with how buttons carry them.
    pub const ALL: [(Self, &str); 18] = [
        (Self::Smaller, "smaller"),
        (Self::Larger, "larger"),
        (Self::Top, "top"),
        (Self::Middle, "middle"),
        (Self::Bottom, "bottom"),
        (Self::Left, "left"),
        (Self::Center, "center"),
        (Self::Right, "right"),
        (Self::White, "white"),
        (Self::Black, "black"),
        (Self::Red, "red"),
        (Self::Yellow, "yellow"),
        (Self::Green, "green"),
        (Self::Blue, "blue"),
        (Self::Plate, "plate"),
        (Self::Corners, "corners"),
        (Self::Outline, "outline"),
        (Self::Shadow, "shadow"),
    ];
}

impl fmt::Display for Change {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let name = Self::ALL.iter().find(|(change, _)| change == self);
        formatter.write_str(name.map_or("", |(_, name)| name))
    }
}

/// No such change.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct UnknownChange;

impl FromStr for Change {
    type Err = UnknownChange;

    fn from_str(text: &str) -> Result<Self, UnknownChange> {
        let known = Self::ALL.into_iter().find(|(_, name)| *name == text);
        known.map(|(change, _)| change).ok_or(UnknownChange)
    }
}

impl Style {
    /// The style after a press.
    #[must_use]
    pub fn changed(&self, change: Change) -> Self {
        let mut style = self.0.clone();
        let color = |style: &mut TextStyle, color: &str| color.clone_into(&mut style.color);
        match change {
            Change::Smaller => style.size_percent = resized(style.size_percent, 80),
            Change::Larger => style.size_percent = resized(style.size_percent, 125),
            Change::Top => style.set_vertical(TextVertical::Top),
            Change::Middle => style.set_vertical(TextVertical::Middle),
            Change::Bottom => style.set_vertical(TextVertical::Bottom),
            Change::Left => style.set_horizontal(TextHorizontal::Left),
            Change::Center => style.set_horizontal(TextHorizontal::Center),
            Change::Right => style.set_horizontal(TextHorizontal::Right),
            Change::White => color(&mut style, "#FFFFFF"),
            Change::Black => color(&mut style, "#000000"),
            Change::Red => color(&mut style, "#E52020"),
            Change::Yellow => color(&mut style, "#FFDD00"),
            Change::Green => color(&mut style, "#1EA03C"),
            Change::Blue => color(&mut style, "#1E46DC"),
            Change::Plate => {
                style.plate = match style.plate {
                    None => Some(TextPlate::default()),
                    Some(plate) if opacity(&plate) > TRANSLUCENT => {
                        Some(TextPlate { opacity_percent: TRANSLUCENT, ..plate })
                    }
                    Some(_) => None,
                };
            }
            Change::Corners => {
                let plate = style.plate.get_or_insert_default();
                plate.radius_percent = match plate.radius_percent {
                    ..1 => 40,
                    1..100 => 100,
                    100.. => 0,
                };
            }
            Change::Outline => {
                let has = has_outline(&style);
                style.outline = (!has).then(TextOutline::default);
                style.no_outline = has;
            }
            Change::Shadow => {
                style.shadow = match style.shadow {
                    None => Some(TextShadow::default()),
                    Some(_) => None,
                };
            }
        }
        Self(style)
    }

    /// Whether what the change is about is there now.
    pub fn has(&self, change: Change) -> bool {
        match change {
            Change::Plate => self.0.plate.is_some(),
            Change::Outline => has_outline(&self.0),
            Change::Shadow => self.0.shadow.is_some(),
            _ => false,
        }
    }
}

/// As media-worker draws it: without a word about it, letters have one unless they have a plate.
fn has_outline(style: &TextStyle) -> bool {
    style.outline.is_some() || (!style.no_outline && style.plate.is_none())
}

fn resized(percent: i32, by: i32) -> i32 {
    let now = if percent == 0 { 100 } else { percent };
    (now.saturating_mul(by) / 100).clamp(SIZE.0, SIZE.1)
}

fn opacity(plate: &TextPlate) -> i32 {
    if plate.opacity_percent == 0 { 100 } else { plate.opacity_percent }
}

/// The same as the store keeps it; what is not there has its usual value.
#[derive(Clone, Debug, Default, Deserialize, Serialize)]
#[serde(default)]
struct Kept {
    size: i32,
    color: String,
    vertical: i32,
    horizontal: i32,
    plate: Option<(String, i32, i32)>,
    outline: Option<(String, i32)>,
    no_outline: bool,
    shadow: Option<(String, i32)>,
}

impl From<Style> for Kept {
    fn from(Style(style): Style) -> Self {
        Self {
            size: style.size_percent,
            color: style.color,
            vertical: style.vertical,
            horizontal: style.horizontal,
            plate: style.plate.map(|it| (it.color, it.opacity_percent, it.radius_percent)),
            outline: style.outline.map(|it| (it.color, it.width_percent)),
            no_outline: style.no_outline,
            shadow: style.shadow.map(|it| (it.color, it.opacity_percent)),
        }
    }
}

impl From<Kept> for Style {
    fn from(kept: Kept) -> Self {
        Self(TextStyle {
            size_percent: kept.size,
            color: kept.color,
            vertical: kept.vertical,
            horizontal: kept.horizontal,
            plate: kept.plate.map(|(color, opacity_percent, radius_percent)| TextPlate {
                color,
                opacity_percent,
                radius_percent,
            }),
            outline: kept
                .outline
                .map(|(color, width_percent)| TextOutline { color, width_percent }),
            no_outline: kept.no_outline,
            shadow: kept
                .shadow
                .map(|(color, opacity_percent)| TextShadow { color, opacity_percent }),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn after(changes: &[Change]) -> Style {
        changes.iter().fold(Style::default(), |style, change| style.changed(*change))
    }

    #[test]
    fn a_style_comes_back_from_the_store_as_it_was() {
        let changes: Vec<Change> = Change::ALL.into_iter().map(|(change, _)| change).collect();
        for style in [Style::default(), after(&changes), after(&[Change::Outline])] {
            let text = serde_json::to_string(&style).unwrap();
            assert_eq!(serde_json::from_str::<Style>(&text).unwrap(), style, "{text}");
        }
        assert_eq!(serde_json::from_str::<Style>("{}").unwrap(), Style::default());
    }

    #[test]
    fn presses_go_round() {
        let plates = |count: usize| after(&vec![Change::Plate; count]).0.plate.map(|p| opacity(&p));
        assert_eq!([0, 1, 2, 3].map(plates), [None, Some(100), Some(50), None]);
        let corners = |count: usize| after(&vec![Change::Corners; count]).0.plate.unwrap();
        assert_eq!([1, 2, 3].map(|count| corners(count).radius_percent), [40, 100, 0]);
        assert!(after(&[Change::Shadow]).has(Change::Shadow));
        assert!(!after(&[Change::Shadow, Change::Shadow]).has(Change::Shadow));
    }

    #[test]
    fn an_outline_is_there_unless_a_plate_is_or_it_was_taken_off() {
        assert!(after(&[]).has(Change::Outline));
        assert!(!after(&[Change::Outline]).has(Change::Outline));
        assert!(after(&[Change::Outline, Change::Outline]).has(Change::Outline));
        assert!(!after(&[Change::Plate]).has(Change::Outline));
        assert!(after(&[Change::Plate, Change::Outline]).has(Change::Outline));
    }

    #[test]
    fn sizes_keep_to_what_is_drawn() {
        assert_eq!(after(&[Change::Larger]).0.size_percent, 125);
        assert_eq!(after(&[Change::Larger; 20]).0.size_percent, 250);
        assert_eq!(after(&[Change::Smaller; 20]).0.size_percent, 25);
    }
}
