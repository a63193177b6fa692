//! The page to which `confirmation_url` leads: the user pays, declines, or lets it expire.

use std::sync::Arc;

use axum::Router;
use axum::extract::{Path, Query, State};
use axum::response::{Html, IntoResponse, Json, Response};
use axum::routing::{get, post};
use bytes::Bytes;
use http::StatusCode;
use http::header::{CACHE_CONTROL, CONTENT_TYPE};
use serde::Deserialize;
use serde_json::{Value, json};

use super::shop::YooKassa;

const PAGE: &str = include_str!("checkout.html");
const STYLE: &str = include_str!("checkout.css");
const SCRIPT: &str = include_str!("checkout.js");

type Shop = State<Arc<YooKassa>>;

pub(super) fn routes(shop: &Arc<YooKassa>) -> Router {
    Router::new()
        .route("/checkout/payments/v2/contract", get(page))
        .route("/checkout/payments/{id}", get(show))
        .route("/checkout/payments/{id}/{action}", post(act))
        .route("/checkout/assets/checkout.css", get(style))
        .route("/checkout/assets/checkout.js", get(script))
        .with_state(Arc::clone(shop))
}

#[derive(Deserialize)]
struct Contract {
    #[serde(rename = "orderId", default)]
    order_id: String,
}

async fn page(State(shop): Shop, Query(contract): Query<Contract>) -> Response {
    let view = shop.view(&contract.order_id);
    let status = if view.is_some() { StatusCode::OK } else { StatusCode::NOT_FOUND };
    // A script element ends at the first "</", wherever it stands.
    let state = json!(view).to_string().replace('<', "\\u003c");
    (status, [(CACHE_CONTROL, "no-store")], Html(PAGE.replace("{{state}}", &state))).into_response()
}

async fn show(State(shop): Shop, Path(id): Path<String>) -> Response {
    match shop.view(&id) {
        Some(view) => Json(view).into_response(),
        None => StatusCode::NOT_FOUND.into_response(),
    }
}

async fn act(
    State(shop): Shop,
    Path((id, action)): Path<(String, String)>,
    body: Bytes,
) -> Response {
    let done = match action.as_str() {
        "pay" => {
            let body: Value = serde_json::from_slice(&body).unwrap_or_default();
            let number: String = body["number"]
                .as_str()
                .unwrap_or_default()
                .chars()
                .filter(char::is_ascii_digit)
                .collect();
            if super::cards::outcome(&number).is_none() {
                let error = "Это не тестовая карта. Выберите одну из списка ниже.";
                let body = Json(json!({ "error": error }));
                return (StatusCode::UNPROCESSABLE_ENTITY, body).into_response();
            }
            shop.step(&id, |stored, now| stored.pay(&number, false, now).map(Some))
        }
        "decline" => shop
            .step(&id, |stored, _| stored.decline("payment_network", "general_decline").map(Some)),
        "expire" => shop.step(&id, |stored, _| stored.expire().map(Some)),
        _ => return StatusCode::NOT_FOUND.into_response(),
    };
    match (done, shop.view(&id)) {
        (_, None) => StatusCode::NOT_FOUND.into_response(),
        (Ok(_), Some(view)) => Json(view).into_response(),
        // Paid in another window: the page shows how it ended.
        (Err(_), Some(view)) => (StatusCode::CONFLICT, Json(view)).into_response(),
    }
}

async fn style() -> Response {
    ([(CONTENT_TYPE, "text/css; charset=utf-8")], STYLE).into_response()
}

async fn script() -> Response {
    ([(CONTENT_TYPE, "text/javascript; charset=utf-8")], SCRIPT).into_response()
}

impl YooKassa {
    /// What the page shows.
    fn view(&self, id: &str) -> Option<Value> {
        self.books.read(|books| {
            let stored = books.payments.get(id)?;
            let payment = &stored.payment;
            let mut view = json!({
                "id": payment.id,
                "shop": self.settings.shop_id,
                "amount": payment.amount,
                "status": payment.status,
            });
            view["description"] = payment.description.clone().unwrap_or_default().into();
            if let Some(url) = &stored.return_url {
                view["return_url"] = url.clone().into();
            }
            if let Some(details) = &payment.cancellation_details {
                view["reason"] = details.reason.clone().into();
            }
            Some(view)
        })
    }
}
