use super::*;

/// A style in few words, to compare.
fn short(style: &TextStyle) -> String {
    let mut parts = vec![style.color.to_string()];
    if style.size.get() != 100 {
        parts.push(format!("size {}", style.size.get()));
    }
    if style.vertical != Vertical::Bottom {
        parts.push(format!("{:?}", style.vertical).to_lowercase());
    }
    if style.horizontal != Horizontal::Center {
        parts.push(format!("{:?}", style.horizontal).to_lowercase());
    }
    if let Some(plate) = style.plate {
        let (opacity, radius) = (plate.opacity.get(), plate.radius.get());
        parts.push(format!("plate {} {opacity} {radius}", plate.color));
    }
    match style.outline {
        Outlining::Automatic => {}
        Outlining::Without => parts.push("no outline".to_owned()),
        Outlining::With(Outline { color, width }) => {
            let color = color.map_or_else(|| "auto".to_owned(), |color| color.to_string());
            parts.push(format!("outline {color} {}", width.get()));
        }
    }
    if let Some(shadow) = style.shadow {
        parts.push(format!("shadow {} {}", shadow.color, shadow.opacity.get()));
    }
    parts.join(", ").replace("#FFFFFF", "white").replace("#000000", "black")
}

#[track_caller]
fn check(description: &str, expected: &str) {
    let described = describe(description, TextStyle::default()).unwrap();
    assert_eq!(short(&described.style), expected, "{description}");
    assert_eq!(described.words_not_understood, Vec::<String>::new(), "{description}");
}

#[test]
fn what_is_said_of_the_text_is_the_texts() {
    check("крупный белый текст снизу на чёрной плашке", "white, size 150, plate black 100 0");
    check("красный", "#E52020");
    check("красным цветом", "#E52020");
    check("жёлтые буквы", "#FFDD00");
    check("Синяя надпись", "#1E46DC");
    check("#ff8000", "#FF8000");
    check("текст #00FF00", "#00FF00");
    check("светло-зелёный текст", "#8ECF9D");
    check("тёмно-синий", "#122A84");
    check("тёмно синий", "#122A84");
    check("светлый серый", "#BFBFBF");
    check("белый", "white");
    check("чёрный текст", "black");
}

#[test]
fn sizes_are_large_and_small_and_more_or_less() {
    check("крупно", "white, size 150");
    check("очень крупный", "white, size 200");
    check("огромный текст", "white, size 250");
    check("мелкий", "white, size 60");
    check("очень мелкий текст", "white, size 35");
    check("обычный размер", "white");
    check("побольше", "white, size 125");
    check("текст поменьше", "white, size 80");
    check("большими розовыми буквами", "#FF82B4, size 150");
    check("маленькая подпись", "white, size 60");
}

#[test]
fn places_are_said_in_many_ways() {
    check("сверху", "white, top");
    check("вверху слева", "white, top, left");
    check("внизу справа", "white, right");
    check("по центру", "white, middle");
    check("в центре", "white, middle");
    check("посередине", "white, middle");
    check("снизу по центру", "white");
    check("по центру сверху", "white, top");
    check("слева по центру", "white, middle, left");
    check("в левом верхнем углу", "white, top, left");
    check("в правом нижнем углу", "white, right");
    check("в верхней части", "white, top");
    check("у нижнего края", "white");
}

#[test]
fn plates_have_colour_transparency_and_corners() {
    check("на плашке", "white, plate black 100 0");
    check("на белом", "white, plate white 100 0");
    check("чёрным по белому", "black, plate white 100 0");
    check("чёрный текст на жёлтом фоне", "black, plate #FFDD00 100 0");
    check("полупрозрачная плашка", "white, plate black 50 0");
    check("на прозрачной плашке", "white, plate black 30 0");
    check("плашка 40%", "white, plate black 40 0");
    check("плашка с прозрачностью 40%", "white, plate black 60 0");
    check("на красной скруглённой плашке", "white, plate #E52020 100 50");
    check("на сильно скруглённой плашке", "white, plate black 100 100");
    check("плашка с круглыми углами", "white, plate black 100 100");
    check("на серой полупрозрачной плашке со скруглёнными углами", "white, plate #808080 50 50");
    check("белая плашка, чёрный текст", "black, plate white 100 0");
    check("белый текст на чёрной плашке, полупрозрачной", "white, plate black 50 0");
    check("прямоугольная синяя плашка", "white, plate #1E46DC 100 0");
}

#[test]
fn outlines_and_shadows_are_put_on_and_taken_off() {
    check("с обводкой", "white, outline auto 6");
    check("без обводки", "white, no outline");
    check("белый текст с красной обводкой", "white, outline #E52020 6");
    check("жёлтый с толстой чёрной обводкой", "#FFDD00, outline black 10");
    check("тонкий контур", "white, outline auto 3");
    check("с тенью", "white, shadow black 70");
    check("белый текст с мягкой тенью", "white, shadow black 70");
    check("с синей тенью", "white, shadow #1E46DC 70");
    check("с прозрачной тенью", "white, shadow black 30");
    check("белый текст и чёрная тень", "white, shadow black 70");
    check("с тенью и без обводки", "white, no outline, shadow black 70");
    check(
        "Крупный жёлтый текст сверху с чёрной обводкой и тенью на полупрозрачной белой плашке",
        "#FFDD00, size 150, top, plate white 50 0, outline black 6, shadow black 70",
    );
}

#[test]
fn english_is_understood_too() {
    check("big red text at the top", "#E52020, size 150, top");
    check("white on black", "white, plate black 100 0");
    check("small yellow letters with a black outline", "#FFDD00, size 60, outline black 6");
    check("without outline, with shadow", "white, no outline, shadow black 70");
    check("dark blue text in the bottom left corner", "#122A84, left");
    check("rounded translucent white plate", "white, plate white 50 50");
}

#[test]
fn a_description_changes_what_it_speaks_of_and_nothing_else() {
    let first = describe("крупный белый текст сверху на чёрной плашке", TextStyle::default());
    let first = first.unwrap().style;

    let second = describe("красный, плашка белая", first).unwrap().style;
    assert_eq!(short(&second), "#E52020, size 150, top, plate white 100 0");
    let third = describe("поменьше и без плашки", second).unwrap().style;
    assert_eq!(short(&third), "#E52020, size 120, top");
    let largest = (0..9).fold(third, |style, _| describe("больше", style).unwrap().style);
    assert_eq!(largest.size.get(), 250);
}

#[test]
fn what_is_not_understood_is_given_back_as_it_was_written() {
    let described = describe("Крупный готический текст, Вверх ногами", TextStyle::default());
    let described = described.unwrap();
    assert_eq!(short(&described.style), "white, size 150, top");
    assert_eq!(described.words_not_understood, ["готический", "ногами"]);

    for (description, in_vain) in [
        ("жирный красный текст", "жирный"),
        ("белый без прозрачности", "прозрачности"),
        ("белый,готический", "готический"),
    ] {
        let described = describe(description, TextStyle::default()).unwrap();
        assert_eq!(described.words_not_understood, [in_vain]);
        assert!(described.words_understood > 0, "{description}");
    }

    let nothing = describe("квантовая суперпозиция", TextStyle::default()).unwrap();
    assert_eq!(nothing.style, TextStyle::default());
    assert_eq!((nothing.words_not_understood.len(), nothing.words_understood), (2, 0));
}

#[test]
fn nothing_and_too_much_are_refused() {
    for empty in ["", " \n", "...", "на", ", и с"] {
        let described = describe(empty, TextStyle::default());
        assert_eq!(described, Err(DescriptionError::Missing), "{empty:?}");
    }
    let long = "я".repeat(201);
    assert_eq!(describe(&long, TextStyle::default()), Err(DescriptionError::TooLong));
    assert!(describe(&"я".repeat(200), TextStyle::default()).is_ok());
}
