//! The models that a mode offers, with their prices: media-worker knows the one, billing the other.

use std::time::Duration;

use proto::billing::v1::{ListPricesRequest, Price};
use proto::media::v1 as media;
use tokio::time::timeout;

use crate::app::App;
use crate::dialogue::{Choices, Format};
use crate::handlers::error::HandlerError;
use crate::mode::Mode;
use crate::money::Kopecks;

/// How long a mode that is opened waits to hear of models. A worker that is away leaves the user
/// without a choice, and not without the mode.
const MODELS_WAIT: Duration = Duration::from_millis(500);

/// One model of a mode.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Model {
    /// How billing and media-worker call it; empty where only billing could be asked.
    pub name: String,
    /// How users know it.
    pub title: String,
    /// The price of one operation.
    pub price: Kopecks,
    /// Whether a free operation may pay for it.
    pub free_allowed: bool,
    /// The shapes that may be asked of it.
    pub formats: Vec<Format>,
    /// How many times larger it makes a side, the default first.
    pub upscale_factors: Vec<i32>,
    /// The languages of descriptions that it understands; empty where it is not limited.
    pub languages: Vec<String>,
}

impl Model {
    /// What is chosen where nobody has chosen.
    pub fn defaults(&self) -> Choices {
        Choices {
            model: self.name.clone(),
            format: None,
            upscale_factor: self.upscale_factors.first().copied(),
        }
    }

    /// The same choices, but for those that this model does not have.
    pub fn fit(&self, choices: &Choices) -> Choices {
        let defaults = self.defaults();
        let factor = choices.upscale_factor.filter(|factor| self.upscale_factors.contains(factor));
        Choices {
            format: choices.format.filter(|format| self.formats.contains(format)),
            upscale_factor: factor.or(defaults.upscale_factor),
            ..defaults
        }
    }
}

/// The models of a paid mode that are sold, the default first.
pub async fn read(app: &App, mode: Mode) -> Result<Vec<Model>, HandlerError> {
    let (prices, models) =
        tokio::join!(app.billing.list_prices(ListPricesRequest {}), offered(app, mode));
    let prices = prices.map_err(HandlerError::of("ListPrices"))?.prices;
    Ok(priced(mode, models, &prices))
}

async fn offered(app: &App, mode: Mode) -> Vec<media::Model> {
    let asked = timeout(MODELS_WAIT, app.media.list_models(media::ListModelsRequest {}));
    let Ok(Ok(answer)) = asked.await else {
        tracing::warn!("models are not known; the default is sold without a choice");
        return Vec::new();
    };
    let is_its = |model: &media::Model| Mode::of_job(model.mode()) == Some(mode);
    answer.models.into_iter().filter(is_its).collect()
}

/// Those that have a price. Where no model is known, the mode itself.
fn priced(mode: Mode, models: Vec<media::Model>, prices: &[Price]) -> Vec<Model> {
    let price_of = |name: &str| {
        let of_mode = |price: &&Price| price.operation_type == mode.name();
        let own = prices.iter().filter(of_mode).find(|price| price.model == name);
        own.or_else(|| prices.iter().filter(of_mode).find(|price| price.model.is_empty()))
    };
    let models = if models.is_empty() { vec![media::Model::default()] } else { models };
    let priced = |model: media::Model| {
        let price = price_of(&model.name)?;
        Some(Model {
            price: Kopecks::new(price.price_kopecks),
            free_allowed: price.free_operations_allowed,
            formats: model.formats().filter_map(Format::of_job).collect(),
            name: model.name,
            title: model.title,
            upscale_factors: model.upscale_factors,
            languages: model.languages,
        })
    };
    models.into_iter().filter_map(priced).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn model(name: &str) -> media::Model {
        media::Model { name: name.to_owned(), ..media::Model::default() }
    }

    fn price(operation_type: &str, model: &str, price_kopecks: i64) -> Price {
        let (operation_type, model) = (operation_type.to_owned(), model.to_owned());
        Price { operation_type, model, price_kopecks, ..Price::default() }
    }

    #[track_caller]
    fn check(models: &[&str], prices: &[Price], expected: &[(&str, i64)]) {
        let models = models.iter().map(|name| model(name)).collect();
        let priced = priced(Mode::Edit, models, prices);
        let found: Vec<_> =
            priced.iter().map(|model| (model.name.as_str(), model.price.get())).collect();
        assert_eq!(found, expected);
    }

    #[test]
    fn a_model_costs_its_own_price_or_that_of_its_mode() {
        let both = [price("edit", "", 1_000), price("edit", "b", 2_500), price("merge", "a", 1)];
        check(&["a", "b"], &both, &[("a", 1_000), ("b", 2_500)]);
        check(&["a", "b"], &both[1..], &[("b", 2_500)]);
        check(&[], &both, &[("", 1_000)]);
        check(&[], &both[1..], &[]);
    }

    #[test]
    fn another_model_keeps_of_the_choices_what_it_has() {
        let model = |formats: &[Format], upscale_factors: &[i32]| Model {
            name: "b".to_owned(),
            title: String::new(),
            price: Kopecks::new(0),
            free_allowed: false,
            formats: formats.to_vec(),
            upscale_factors: upscale_factors.to_vec(),
            languages: Vec::new(),
        };
        let chosen =
            |format, upscale_factor| Choices { model: "a".to_owned(), format, upscale_factor };
        let of_b = |choices: Choices| Choices { model: "b".to_owned(), ..choices };

        let square = chosen(Some(Format::Square), Some(4));
        assert_eq!(model(&[Format::Square], &[2, 4]).fit(&square), of_b(square.clone()));
        assert_eq!(model(&[], &[2, 3]).fit(&square), of_b(chosen(None, Some(2))));
        assert_eq!(model(&[], &[]).fit(&square), of_b(chosen(None, None)));
    }
}
