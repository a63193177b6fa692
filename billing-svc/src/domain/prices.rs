//! What is sold, and for how much, from which moment on.

use super::{Kopecks, Timestamp};

/// The paid modes. `add_text` is not among them: it costs nothing and is not reserved.
const SOLD: [&str; 6] = ["edit", "face_swap", "generate", "merge", "retouch", "upscale"];
const OPERATION_TYPE_MAX: usize = 64;
const MODEL_MAX: usize = 128;

/// Whether `text` can be a type of operation: 1 to 64 of a-z, 0-9 and _.
pub fn is_operation_type(text: &str) -> bool {
    (1..=OPERATION_TYPE_MAX).contains(&text.len())
        && text.bytes().all(|b| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'_')
}

/// Whether `text` can be a model: up to 128 characters, without NUL, which PostgreSQL does not
/// store.
pub fn is_model(text: &str) -> bool {
    text.chars().count() <= MODEL_MAX && !text.contains('\0')
}

/// One line of the price list.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Price {
    pub operation_type: String,
    /// Empty for every model that has no line of its own.
    pub model: String,
    pub price: Kopecks,
    /// Whether a free operation may pay for it.
    pub free_operations_allowed: bool,
    /// From when on; `None` since ever.
    pub valid_from: Option<Timestamp>,
}

impl Price {
    fn is_valid(&self, now: Timestamp) -> bool {
        self.valid_from.is_none_or(|from| from <= now)
    }

    fn is_for(&self, operation_type: &str, model: &str) -> bool {
        self.operation_type == operation_type && self.model == model
    }

    /// What may not be said twice.
    pub fn place(&self) -> (&str, &str, Option<Timestamp>) {
        (&self.operation_type, &self.model, self.valid_from)
    }
}

/// The price list, ordered by type, model and moment.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct PriceList {
    prices: Vec<Price>,
}

impl PriceList {
    /// Every paid mode at one price, with any model, free operations welcome.
    pub fn flat(price: Kopecks) -> Self {
        let line = |&operation_type: &&str| Price {
            operation_type: operation_type.to_owned(),
            model: String::new(),
            price,
            free_operations_allowed: true,
            valid_from: None,
        };
        Self { prices: SOLD.iter().map(line).collect() }
    }

    /// A list of these lines, in any order.
    ///
    /// # Errors
    /// The line that says again for which type, model and moment there is one.
    pub fn new(mut prices: Vec<Price>) -> Result<Self, Price> {
        prices.sort_by(|a, b| a.place().cmp(&b.place()));
        let twice = prices.windows(2).find_map(|pair| match pair {
            [a, b] if a.place() == b.place() => Some(b.clone()),
            _ => None,
        });
        twice.map_or(Ok(Self { prices }), Err)
    }

    /// What holds now, ordered by type and model; then what is announced, by moment.
    pub fn shown(&self, now: Timestamp) -> Vec<&Price> {
        let holds = |price: &&Price| {
            let latest = self.latest(&price.operation_type, &price.model, now);
            latest.is_some_and(|latest| latest == *price)
        };
        let mut announced: Vec<_> =
            self.prices.iter().filter(|price| !price.is_valid(now)).collect();
        // Stable: lines of one moment stay ordered by type and model.
        announced.sort_by_key(|price| price.valid_from);
        self.prices.iter().filter(holds).chain(announced).collect()
    }

    /// The types of which nothing is sold yet: all their lines begin later.
    pub fn not_sold_yet(&self, now: Timestamp) -> Vec<&str> {
        let is_sold = |operation_type: &str| {
            self.prices.iter().any(|p| p.operation_type == operation_type && p.is_valid(now))
        };
        let types = self.prices.iter().map(|price| price.operation_type.as_str());
        let mut types: Vec<_> = types.filter(|operation_type| !is_sold(operation_type)).collect();
        types.dedup();
        types
    }

    /// The line of a type and model that holds now: the model's own, else the type's.
    pub fn find(&self, operation_type: &str, model: &str, now: Timestamp) -> Option<&Price> {
        self.latest(operation_type, model, now).or_else(|| self.latest(operation_type, "", now))
    }

    /// Of the lines for exactly this type and model, the latest that has begun.
    fn latest(&self, operation_type: &str, model: &str, now: Timestamp) -> Option<&Price> {
        let has_begun = |price: &&Price| price.is_for(operation_type, model) && price.is_valid(now);
        self.prices.iter().rfind(has_begun)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(micros: i64) -> Timestamp {
        Timestamp::from_micros(micros)
    }

    fn line(operation_type: &str, model: &str, kopecks: i64, from: Option<i64>) -> Price {
        Price {
            operation_type: operation_type.into(),
            model: model.into(),
            price: Kopecks::new(kopecks).unwrap(),
            free_operations_allowed: true,
            valid_from: from.map(at),
        }
    }

    #[test]
    fn six_types_are_sold_and_adding_text_is_not() {
        let list = PriceList::flat(Kopecks::new(1_000).unwrap());

        for sold in ["generate", "edit", "merge", "face_swap", "retouch", "upscale"] {
            assert!(list.find(sold, "", at(0)).is_some(), "{sold}");
            assert!(list.find(sold, "some-model", at(0)).is_some(), "{sold} with a model");
        }
        assert_eq!(list.find("add_text", "", at(0)), None);
        assert_eq!(list.find("", "", at(0)), None);
        assert_eq!(list.shown(at(0)).len(), 6);
    }

    /// Given in no order: the moment decides, not the place in the file.
    fn rising() -> PriceList {
        PriceList::new(vec![
            line("generate", "", 1_500, Some(200)),
            line("generate", "large", 3_000, Some(100)),
            line("generate", "", 1_000, None),
            line("generate", "", 1_200, Some(100)),
            line("upscale", "", 700, Some(300)),
        ])
        .unwrap()
    }

    #[test]
    fn the_latest_line_that_has_begun_holds_and_a_models_own_comes_first() {
        let list = rising();
        for (operation_type, model, now, expected) in [
            ("generate", "", 0, Some(1_000)),
            ("generate", "", 99, Some(1_000)),
            ("generate", "", 100, Some(1_200)),
            ("generate", "", 199, Some(1_200)),
            ("generate", "", 200, Some(1_500)),
            ("generate", "large", 99, Some(1_000)),
            ("generate", "large", 100, Some(3_000)),
            ("generate", "large", 200, Some(3_000)),
            ("generate", "small", 200, Some(1_500)),
            ("upscale", "", 299, None),
            ("upscale", "large", 300, Some(700)),
            ("edit", "", 300, None),
        ] {
            let found = list.find(operation_type, model, at(now)).map(|line| line.price.get());
            assert_eq!(found, expected, "{operation_type} {model} at {now}");
        }
    }

    #[test]
    fn what_holds_is_shown_first_and_then_what_is_announced() {
        let list = rising();
        let shown = |now| {
            let of =
                |price: &&Price| (price.price.get(), price.valid_from.map(Timestamp::as_micros));
            list.shown(at(now)).iter().map(of).collect::<Vec<_>>()
        };

        assert_eq!(
            shown(0),
            [
                (1_000, None),
                (1_200, Some(100)),
                (3_000, Some(100)),
                (1_500, Some(200)),
                (700, Some(300))
            ]
        );
        assert_eq!(
            shown(150),
            [(1_200, Some(100)), (3_000, Some(100)), (1_500, Some(200)), (700, Some(300))]
        );
        assert_eq!(shown(300), [(1_500, Some(200)), (3_000, Some(100)), (700, Some(300))]);
        assert_eq!(list.not_sold_yet(at(0)), ["upscale"]);
        assert!(list.not_sold_yet(at(300)).is_empty());
    }

    #[test]
    fn a_type_model_and_moment_have_one_line() {
        let twice = line("edit", "large", 2_000, Some(5));
        let lines = vec![line("edit", "large", 1_000, Some(5)), twice.clone()];
        assert_eq!(PriceList::new(lines), Err(twice));

        let apart = [("edit", "", None), ("edit", "", Some(5)), ("edit", "large", Some(5))];
        let apart = apart.map(|(of, model, from)| line(of, model, 1_000, from));
        assert!(PriceList::new(apart.to_vec()).is_ok());
    }

    #[test]
    fn names_of_types_and_models_have_their_bounds() {
        for good in ["generate", "a", "x_2", &"a".repeat(64)] {
            assert!(is_operation_type(good), "{good}");
        }
        for bad in ["", "Generate", "gen erate", "создать", "a\0", &"a".repeat(65)] {
            assert!(!is_operation_type(bad), "{bad}");
        }
        assert!(is_model("") && is_model("fal-ai/flux") && is_model(&"м".repeat(128)));
        assert!(!is_model("m\0") && !is_model(&"m".repeat(129)));
    }
}
