//! What is sold, and for how much.

use super::Kopecks;

/// The paid modes. `add_text` is not among them: it costs nothing and is not reserved.
const SOLD: [&str; 6] = ["edit", "face_swap", "generate", "merge", "retouch", "upscale"];

/// One line of the price list.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Price {
    pub operation_type: String,
    /// Empty for every model that has no line of its own.
    pub model: String,
    pub price: Kopecks,
    /// Whether a free operation may pay for it.
    pub free_operations_allowed: bool,
}

/// The price list, ordered by type and model.
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
        };
        Self { prices: SOLD.iter().map(line).collect() }
    }

    /// The whole list.
    pub fn lines(&self) -> &[Price] {
        &self.prices
    }

    /// The line of a type and model: the model's own, else the type's.
    pub fn find(&self, operation_type: &str, model: &str) -> Option<&Price> {
        let line = |model: &str| {
            self.prices
                .iter()
                .find(|line| line.operation_type == operation_type && line.model == model)
        };
        line(model).or_else(|| line(""))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn six_types_are_sold_and_adding_text_is_not() {
        let list = PriceList::flat(Kopecks::new(1_000).unwrap());

        for sold in ["generate", "edit", "merge", "face_swap", "retouch", "upscale"] {
            assert!(list.find(sold, "").is_some(), "{sold}");
            assert!(list.find(sold, "some-model").is_some(), "{sold} with a model");
        }
        assert_eq!(list.find("add_text", ""), None);
        assert_eq!(list.find("", ""), None);
    }
}
