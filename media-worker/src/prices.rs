//! Every model has a price for users, in billing's list: without one nobody could order it.

use std::time::Duration;

use anyhow::bail;
use proto::billing::v1::{ListPricesRequest, Price};
use proto::service::shutdown::Shutdown;
use tokio::time::sleep;

use crate::fal::Model;
use crate::worker::Parts;

/// Between two tries to ask a billing that is away. Meanwhile no operation can be reserved either.
const PAUSE: Duration = Duration::from_secs(2);

/// Asks billing for its list until it answers.
///
/// # Errors
/// Names a model without a price: the process ends.
pub(crate) async fn check(parts: Parts, shutdown: Shutdown) -> anyhow::Result<()> {
    loop {
        let asked = parts.billing.list_prices(ListPricesRequest {});
        match shutdown.until(asked).await {
            None => return Ok(()),
            Some(Ok(answer)) => {
                if let Some(model) = without_price(parts.models.all(), &answer.prices) {
                    bail!(
                        "MODELS_FILE: the model {:?} of the mode {} has no price: add one to billing's \
                         PRICES_FILE, or take the model out",
                        model.name,
                        model.mode
                    );
                }
                tracing::info!(models = parts.models.all().len(), "every model has a price");
                return Ok(());
            }
            Some(Err(status)) => {
                tracing::warn!(error.cause = %status, "prices are not known yet");
            }
        }
        if shutdown.until(sleep(PAUSE)).await.is_none() {
            return Ok(());
        }
    }
}

fn without_price<'m>(models: &'m [Model], prices: &[Price]) -> Option<&'m Model> {
    let has_price = |model: &Model| {
        prices.iter().any(|price| {
            price.operation_type == model.mode.name()
                && (price.model.is_empty() || price.model == model.name)
        })
    };
    models.iter().find(|model| !has_price(model))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::Mode;
    use crate::fal::Models;

    fn price(operation_type: &str, model: &str) -> Price {
        let (operation_type, model) = (operation_type.to_owned(), model.to_owned());
        Price { operation_type, model, ..Price::default() }
    }

    #[test]
    fn a_model_has_the_price_of_its_mode_or_one_of_its_own() {
        let models = Models::load(None).unwrap();
        let mut prices: Vec<Price> = Mode::ALL.iter().map(|mode| price(mode.name(), "")).collect();
        assert!(without_price(models.all(), &prices).is_none());

        prices.retain(|price| price.operation_type != "edit");
        prices.push(price("edit", "nano-banana-2"));
        let missing = without_price(models.all(), &prices).unwrap();
        assert_eq!((missing.mode, missing.name.as_str()), (Mode::Edit, "flux-2-pro"));

        prices.push(price("edit", "flux-2-pro"));
        assert!(without_price(models.all(), &prices).is_none());
    }
}
