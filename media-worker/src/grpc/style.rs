//! Text styles on the wire ↔ as they are drawn.

use proto::media::v1 as wire;

use crate::add_text::{
    BadStyle, Color, Horizontal, Opacity, Outline, Outlining, Plate, Radius, Shadow, Size,
    TextStyle, Vertical, Width, describe,
};

use super::status::MediaError;

pub(super) fn describe_style(
    request: wire::DescribeTextStyleRequest,
) -> Result<wire::DescribeTextStyleResponse, MediaError> {
    let described = describe(&request.description, read(request.style)?)?;
    Ok(wire::DescribeTextStyleResponse {
        style: Some(written(&described.style)),
        words_not_understood: described.words_not_understood,
        words_understood: i32::try_from(described.words_understood).unwrap_or(i32::MAX),
    })
}

/// Reads and checks a style; the usual one where there is none.
pub(super) fn read(style: Option<wire::TextStyle>) -> Result<TextStyle, BadStyle> {
    let usual = TextStyle::default();
    let Some(style) = style else { return Ok(usual) };
    let field = |field| BadStyle { field };
    let vertical = match style.vertical() {
        wire::TextVertical::Top => Vertical::Top,
        wire::TextVertical::Middle => Vertical::Middle,
        wire::TextVertical::Unspecified | wire::TextVertical::Bottom => Vertical::Bottom,
    };
    let horizontal = match style.horizontal() {
        wire::TextHorizontal::Left => Horizontal::Left,
        wire::TextHorizontal::Right => Horizontal::Right,
        wire::TextHorizontal::Unspecified | wire::TextHorizontal::Center => Horizontal::Center,
    };
    if wire::TextVertical::try_from(style.vertical).is_err() {
        return Err(field("style.vertical"));
    }
    if wire::TextHorizontal::try_from(style.horizontal).is_err() {
        return Err(field("style.horizontal"));
    }
    let outline = match (style.outline, style.no_outline) {
        (None, false) => Outlining::Automatic,
        (None, true) => Outlining::Without,
        (Some(outline), false) => Outlining::With(read_outline(&outline)?),
        (Some(_), true) => return Err(field("style.no_outline")),
    };
    Ok(TextStyle {
        size: match style.size_percent {
            0 => usual.size,
            percent => Size::new(percent).ok_or(field("style.size_percent"))?,
        },
        color: color(&style.color, usual.color, "style.color")?,
        vertical,
        horizontal,
        plate: style.plate.as_ref().map(read_plate).transpose()?,
        outline,
        shadow: style.shadow.as_ref().map(read_shadow).transpose()?,
    })
}

fn read_plate(plate: &wire::TextPlate) -> Result<Plate, BadStyle> {
    let usual = Plate::default();
    let radius = Radius::new(plate.radius_percent);
    Ok(Plate {
        color: color(&plate.color, usual.color, "style.plate.color")?,
        opacity: opacity(plate.opacity_percent, usual.opacity, "style.plate.opacity_percent")?,
        radius: radius.ok_or(BadStyle { field: "style.plate.radius_percent" })?,
    })
}

fn read_outline(outline: &wire::TextOutline) -> Result<Outline, BadStyle> {
    let chosen = match outline.color.as_str() {
        "" => None,
        text => Some(color(text, Color::BLACK, "style.outline.color")?),
    };
    let width = match outline.width_percent {
        0 => Outline::WIDTH,
        percent => Width::new(percent).ok_or(BadStyle { field: "style.outline.width_percent" })?,
    };
    Ok(Outline { color: chosen, width })
}

fn read_shadow(shadow: &wire::TextShadow) -> Result<Shadow, BadStyle> {
    let usual = Shadow::default();
    Ok(Shadow {
        color: color(&shadow.color, usual.color, "style.shadow.color")?,
        opacity: opacity(shadow.opacity_percent, usual.opacity, "style.shadow.opacity_percent")?,
    })
}

fn color(text: &str, usual: Color, field: &'static str) -> Result<Color, BadStyle> {
    if text.is_empty() {
        return Ok(usual);
    }
    text.parse().map_err(|_| BadStyle { field })
}

fn opacity(percent: i32, usual: Opacity, field: &'static str) -> Result<Opacity, BadStyle> {
    match percent {
        0 => Ok(usual),
        percent => Opacity::new(percent).ok_or(BadStyle { field }),
    }
}

/// A style with nothing left open, but for what is `None`.
fn written(style: &TextStyle) -> wire::TextStyle {
    let vertical = match style.vertical {
        Vertical::Top => wire::TextVertical::Top,
        Vertical::Middle => wire::TextVertical::Middle,
        Vertical::Bottom => wire::TextVertical::Bottom,
    };
    let horizontal = match style.horizontal {
        Horizontal::Left => wire::TextHorizontal::Left,
        Horizontal::Center => wire::TextHorizontal::Center,
        Horizontal::Right => wire::TextHorizontal::Right,
    };
    let outline = match style.outline {
        Outlining::Automatic | Outlining::Without => None,
        Outlining::With(Outline { color, width }) => Some(wire::TextOutline {
            color: color.map_or_else(String::new, |color| color.to_string()),
            width_percent: width.get().into(),
        }),
    };
    wire::TextStyle {
        size_percent: style.size.get().into(),
        color: style.color.to_string(),
        vertical: vertical.into(),
        horizontal: horizontal.into(),
        plate: style.plate.map(|plate| wire::TextPlate {
            color: plate.color.to_string(),
            opacity_percent: plate.opacity.get().into(),
            radius_percent: plate.radius.get().into(),
        }),
        outline,
        no_outline: style.outline == Outlining::Without,
        shadow: style.shadow.map(|shadow| wire::TextShadow {
            color: shadow.color.to_string(),
            opacity_percent: shadow.opacity.get().into(),
        }),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_style_comes_back_as_it_was() {
        for description in [
            "белый",
            "огромный синий текст сверху слева на полупрозрачной круглой плашке с тенью",
            "мелкий текст справа посередине с толстой красной обводкой",
            "без обводки, с прозрачной белой тенью",
            "с обводкой",
        ] {
            let style = describe(description, TextStyle::default()).unwrap().style;
            assert_eq!(read(Some(written(&style))), Ok(style), "{description}");
        }
        assert_eq!(read(None), Ok(TextStyle::default()));
        assert_eq!(read(Some(wire::TextStyle::default())), Ok(TextStyle::default()));
    }
}
