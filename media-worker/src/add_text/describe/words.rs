//! What single words mean, in every inflection. Words are in lower case, with «е» for «ё».

use crate::add_text::style::{Color, Horizontal, Vertical};

/// What a description speaks of.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) enum Noun {
    Text,
    Plate,
    Outline,
    Shadow,
}

/// What a word says of it.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) enum Word {
    Noun(Noun),
    Color(Color),
    /// Of the colour that comes next: how much white or black is mixed in, in percent.
    Light,
    Dark,
    /// Percent of the size that looks good.
    Size(u8),
    /// Percent of the size that it has.
    Resize(u8),
    /// Percent of the letters' size.
    Thickness(u8),
    Vertical(Vertical),
    Horizontal(Horizontal),
    /// In the middle of whatever direction is not said otherwise.
    Center,
    /// In percent.
    Opacity(u8),
    /// The next number is how much can be seen through.
    Transparency,
    Percent(u8),
    /// In percent.
    Roundness(u8),
    /// The next word is meant more strongly.
    Very,
    /// Says nothing by itself.
    Filler,
}

/// Endings of Russian adjectives, after the stem.
const ENDINGS: &[&str] = &[
    "", "ый", "ий", "ой", "ая", "яя", "ое", "ее", "ые", "ие", "ого", "его", "ому", "ему", "ым",
    "им", "ом", "ем", "ую", "юю", "ою", "ею", "ей", "ых", "их", "ыми", "ими", "о",
];
/// Endings of nouns.
const NOUN_ENDINGS: &[&str] = &[
    "", "а", "у", "ы", "и", "е", "о", "я", "ю", "ь", "ой", "ою", "ей", "ом", "ем", "ам", "ям",
    "ами", "ями", "ах", "ях", "ов", "ью", "ию",
];

const COLORS: &[(&str, [u8; 3])] = &[
    ("бел", [255, 255, 255]),
    ("черн", [0, 0, 0]),
    ("сер", [128, 128, 128]),
    ("красн", [229, 32, 32]),
    ("ал", [229, 32, 32]),
    ("оранжев", [255, 140, 0]),
    ("рыж", [215, 110, 30]),
    ("желт", [255, 221, 0]),
    ("золот", [212, 175, 55]),
    ("золотист", [212, 175, 55]),
    ("серебрян", [192, 192, 192]),
    ("серебрист", [192, 192, 192]),
    ("зелен", [30, 160, 60]),
    ("салатов", [160, 220, 60]),
    ("оливков", [128, 128, 0]),
    ("изумрудн", [0, 150, 100]),
    ("бирюзов", [48, 200, 200]),
    ("голуб", [100, 180, 255]),
    ("син", [30, 70, 220]),
    ("фиолетов", [130, 50, 200]),
    ("сиренев", [190, 140, 220]),
    ("лилов", [170, 110, 200]),
    ("пурпурн", [160, 0, 120]),
    ("розов", [255, 130, 180]),
    ("малинов", [220, 30, 110]),
    ("бордов", [110, 10, 40]),
    ("коричнев", [120, 70, 30]),
    ("бежев", [235, 215, 180]),
    ("кремов", [255, 245, 215]),
];

const ENGLISH_COLORS: &[(&str, [u8; 3])] = &[
    ("white", [255, 255, 255]),
    ("black", [0, 0, 0]),
    ("gray", [128, 128, 128]),
    ("grey", [128, 128, 128]),
    ("red", [229, 32, 32]),
    ("orange", [255, 140, 0]),
    ("yellow", [255, 221, 0]),
    ("gold", [212, 175, 55]),
    ("golden", [212, 175, 55]),
    ("silver", [192, 192, 192]),
    ("green", [30, 160, 60]),
    ("cyan", [48, 200, 200]),
    ("blue", [30, 70, 220]),
    ("purple", [130, 50, 200]),
    ("violet", [130, 50, 200]),
    ("pink", [255, 130, 180]),
    ("brown", [120, 70, 30]),
    ("beige", [235, 215, 180]),
];

/// Stems of nouns.
const NOUNS: &[(&str, Noun)] = &[
    ("текст", Noun::Text),
    ("букв", Noun::Text),
    ("надпис", Noun::Text),
    ("подпис", Noun::Text),
    ("шрифт", Noun::Text),
    ("слов", Noun::Text),
    ("text", Noun::Text),
    ("letters", Noun::Text),
    ("font", Noun::Text),
    ("плашк", Noun::Plate),
    ("плашечк", Noun::Plate),
    ("подложк", Noun::Plate),
    ("фон", Noun::Plate),
    ("табличк", Noun::Plate),
    ("прямоугольник", Noun::Plate),
    ("plate", Noun::Plate),
    ("background", Noun::Plate),
    ("box", Noun::Plate),
    ("обводк", Noun::Outline),
    ("обводочк", Noun::Outline),
    ("контур", Noun::Outline),
    ("окантовк", Noun::Outline),
    ("outline", Noun::Outline),
    ("stroke", Noun::Outline),
    ("тен", Noun::Shadow),
    ("shadow", Noun::Shadow),
];

/// Stems of adjectives, and adverbs as they are.
const QUALITIES: &[(&str, Word)] = &[
    ("огромн", Word::Size(250)),
    ("гигантск", Word::Size(250)),
    ("крупн", Word::Size(150)),
    ("больш", Word::Size(150)),
    ("средн", Word::Size(100)),
    ("обычн", Word::Size(100)),
    ("нормальн", Word::Size(100)),
    ("мелк", Word::Size(60)),
    ("маленьк", Word::Size(60)),
    ("небольш", Word::Size(70)),
    ("крошечн", Word::Size(35)),
    ("толст", Word::Thickness(10)),
    ("жирн", Word::Thickness(10)),
    ("широк", Word::Thickness(10)),
    ("тонк", Word::Thickness(3)),
    ("верхн", Word::Vertical(Vertical::Top)),
    ("нижн", Word::Vertical(Vertical::Bottom)),
    ("лев", Word::Horizontal(Horizontal::Left)),
    ("прав", Word::Horizontal(Horizontal::Right)),
    ("прозрачн", Word::Opacity(30)),
    ("полупрозрачн", Word::Opacity(50)),
    ("непрозрачн", Word::Opacity(100)),
    ("сплошн", Word::Opacity(100)),
    ("скругленн", Word::Roundness(50)),
    ("закругленн", Word::Roundness(50)),
    ("округл", Word::Roundness(50)),
    ("кругл", Word::Roundness(100)),
    ("овальн", Word::Roundness(100)),
    ("прямоугольн", Word::Roundness(0)),
    ("квадратн", Word::Roundness(0)),
    ("остр", Word::Roundness(0)),
    ("прям", Word::Roundness(0)),
    ("светл", Word::Light),
    ("темн", Word::Dark),
    ("ярк", Word::Filler),
    ("мягк", Word::Filler),
];

const EXACT: &[(&str, Word)] = &[
    ("побольше", Word::Resize(125)),
    ("больше", Word::Resize(125)),
    ("крупнее", Word::Resize(125)),
    ("покрупнее", Word::Resize(125)),
    ("поменьше", Word::Resize(80)),
    ("меньше", Word::Resize(80)),
    ("мельче", Word::Resize(80)),
    ("помельче", Word::Resize(80)),
    ("сверху", Word::Vertical(Vertical::Top)),
    ("вверху", Word::Vertical(Vertical::Top)),
    ("наверху", Word::Vertical(Vertical::Top)),
    ("вверх", Word::Vertical(Vertical::Top)),
    ("верху", Word::Vertical(Vertical::Top)),
    ("снизу", Word::Vertical(Vertical::Bottom)),
    ("внизу", Word::Vertical(Vertical::Bottom)),
    ("вниз", Word::Vertical(Vertical::Bottom)),
    ("низу", Word::Vertical(Vertical::Bottom)),
    ("слева", Word::Horizontal(Horizontal::Left)),
    ("влево", Word::Horizontal(Horizontal::Left)),
    ("справа", Word::Horizontal(Horizontal::Right)),
    ("вправо", Word::Horizontal(Horizontal::Right)),
    ("центру", Word::Center),
    ("центре", Word::Center),
    ("центр", Word::Center),
    ("середине", Word::Center),
    ("середину", Word::Center),
    ("посередине", Word::Center),
    ("посредине", Word::Center),
    ("прозрачность", Word::Transparency),
    ("прозрачности", Word::Transparency),
    ("прозрачностью", Word::Transparency),
    ("очень", Word::Very),
    ("сильно", Word::Very),
    ("совсем", Word::Very),
    ("top", Word::Vertical(Vertical::Top)),
    ("bottom", Word::Vertical(Vertical::Bottom)),
    ("left", Word::Horizontal(Horizontal::Left)),
    ("right", Word::Horizontal(Horizontal::Right)),
    ("center", Word::Center),
    ("centre", Word::Center),
    ("middle", Word::Center),
    ("huge", Word::Size(250)),
    ("big", Word::Size(150)),
    ("large", Word::Size(150)),
    ("small", Word::Size(60)),
    ("tiny", Word::Size(35)),
    ("bigger", Word::Resize(125)),
    ("larger", Word::Resize(125)),
    ("smaller", Word::Resize(80)),
    ("thick", Word::Thickness(10)),
    ("thin", Word::Thickness(3)),
    ("transparent", Word::Opacity(30)),
    ("translucent", Word::Opacity(50)),
    ("opaque", Word::Opacity(100)),
    ("round", Word::Roundness(100)),
    ("rounded", Word::Roundness(50)),
    ("square", Word::Roundness(0)),
    ("light", Word::Light),
    ("dark", Word::Dark),
    ("very", Word::Very),
];

/// Words that may stand anywhere.
const FILLERS: &[&str] = &[
    "цвет",
    "цвета",
    "цветом",
    "размер",
    "размера",
    "размером",
    "угол",
    "углу",
    "углы",
    "углами",
    "краю",
    "края",
    "край",
    "часть",
    "части",
    "слегка",
    "чуть",
    "немного",
    "пожалуйста",
    "сделай",
    "сделайте",
    "хочу",
    "нужен",
    "нужна",
    "пусть",
    "будет",
    "мне",
    "у",
    "фото",
    "картинке",
    "картинки",
    "самый",
    "самом",
    "the",
    "a",
    "an",
    "please",
    "corner",
    "corners",
    "make",
    "of",
    "in",
    "at",
    "color",
    "colour",
];

/// What a word means; `None` where it is not known.
pub(super) fn read(word: &str) -> Option<Word> {
    if let Some(digits) = word.strip_suffix('%') {
        return Some(Word::Percent(digits.parse().ok().filter(|percent| *percent <= 100)?));
    }
    if word.starts_with('#') {
        return word.parse().ok().map(Word::Color);
    }
    if let Some((shade, color)) = word.split_once('-') {
        let Some(Word::Color(color)) = read(color) else { return None };
        return Some(Word::Color(match shade {
            "светло" | "бледно" | "нежно" => lighter(color),
            "темно" => darker(color),
            "ярко" => color,
            _ => return None,
        }));
    }
    exact(word).or_else(|| inflected(word))
}

fn exact(word: &str) -> Option<Word> {
    if FILLERS.contains(&word) {
        return Some(Word::Filler);
    }
    if let Some((_, word)) = EXACT.iter().find(|(known, _)| *known == word) {
        return Some(*word);
    }
    let color = ENGLISH_COLORS.iter().find(|(known, _)| *known == word);
    color.map(|(_, color)| Word::Color(Color(*color)))
}

fn inflected(word: &str) -> Option<Word> {
    let is = |stem: &str, endings: &[&str]| {
        word.strip_prefix(stem).is_some_and(|ending| endings.contains(&ending))
    };
    if let Some((_, noun)) = NOUNS.iter().find(|(stem, _)| is(stem, NOUN_ENDINGS)) {
        return Some(Word::Noun(*noun));
    }
    if let Some((_, word)) = QUALITIES.iter().find(|(stem, _)| is(stem, ENDINGS)) {
        return Some(*word);
    }
    let color = COLORS.iter().find(|(stem, _)| is(stem, ENDINGS));
    color.map(|(_, color)| Word::Color(Color(*color)))
}

/// The same colour with white in it.
pub(super) fn lighter(Color(color): Color) -> Color {
    Color(color.map(|part| part.midpoint(255)))
}

/// The same colour with black in it.
pub(super) fn darker(Color(color): Color) -> Color {
    Color(color.map(|part| part / 5 * 3))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(words: &str, expected: Option<Word>) {
        for word in words.split(' ') {
            assert_eq!(read(word), expected, "{word}");
        }
    }

    #[test]
    fn words_are_known_in_every_inflection() {
        check("белый белая белое белые белого белому белым белыми белой белую", color("#FFFFFF"));
        check("синий синяя синего синему синим синюю синей синих", color("#1E46DC"));
        check("плашка плашки плашке плашку плашкой", Some(Word::Noun(Noun::Plate)));
        check("тень тени тенью тенями", Some(Word::Noun(Noun::Shadow)));
        check("обводка обводкой контур контуром", Some(Word::Noun(Noun::Outline)));
        check("крупный крупными крупно большим", Some(Word::Size(150)));
    }

    fn color(text: &str) -> Option<Word> {
        Some(Word::Color(text.parse().unwrap()))
    }

    #[test]
    fn shades_are_mixed() {
        check("светло-серый", color("#BFBFBF"));
        check("темно-серый", color("#4B4B4B"));
        check("#ff8000", color("#FF8000"));
        check("светло-круглый косо-серый #ff80 150% абв", None);
        check("45%", Some(Word::Percent(45)));
    }

    #[test]
    fn what_looks_alike_is_told_apart() {
        check("середине", Some(Word::Center));
        check("серебристый", color("#C0C0C0"));
        check("прямоугольник", Some(Word::Noun(Noun::Plate)));
        check("прямоугольный", Some(Word::Roundness(0)));
        check("фото", Some(Word::Filler));
        check("сера синица чернила белка красота", None);
    }
}
