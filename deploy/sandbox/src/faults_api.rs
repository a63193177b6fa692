//! `/_sandbox/faults`: reads and sets the switches.

use axum::extract::State;
use axum::response::{IntoResponse, Response};
use axum::routing::get;
use axum::{Json, Router};
use bytes::Bytes;
use http::StatusCode;
use serde_json::{Value, json};

use crate::faults::{Faults, Switches};

/// `GET`, `PUT` (the whole object) and `PATCH` (only what is there; `null` switches off).
pub fn routes(faults: Faults) -> Router {
    Router::new().route("/_sandbox/faults", get(show).put(replace).patch(change)).with_state(faults)
}

async fn show(State(faults): State<Faults>) -> Json<Switches> {
    Json(faults.all())
}

async fn replace(State(faults): State<Faults>, body: Bytes) -> Response {
    let switches = serde_json::from_slice(&body)
        .map_err(|error| format!("send the switches as a JSON object: {error}"))
        .and_then(checked);
    answer(&faults, switches)
}

async fn change(State(faults): State<Faults>, body: Bytes) -> Response {
    let switches = changed(&faults.all(), &body).and_then(checked);
    answer(&faults, switches)
}

fn changed(current: &Switches, body: &[u8]) -> Result<Switches, String> {
    let changes: Value = serde_json::from_slice(body)
        .map_err(|error| format!("send the changes as a JSON object: {error}"))?;
    let changes = changes.as_object().ok_or("send the changes as a JSON object")?;
    let mut all = serde_json::to_value(current).map_err(|error| error.to_string())?;
    let fields = all.as_object_mut().ok_or("switches are an object")?;
    for (name, value) in changes {
        if !fields.contains_key(name) {
            let known: Vec<_> = fields.keys().map(String::as_str).collect();
            return Err(format!("there is no switch {name:?}; there are {}", known.join(", ")));
        }
        fields.insert(name.clone(), value.clone());
    }
    serde_json::from_value(all).map_err(|error| format!("unreadable switch: {error}"))
}

fn checked(switches: Switches) -> Result<Switches, String> {
    let counts = [
        switches.fal_count,
        switches.fal_webhooks_count,
        switches.notifications_count,
        switches.yookassa_count,
        switches.refunds_count,
        switches.telegram_count,
    ];
    if counts.contains(&Some(0)) {
        return Err("a count is at least 1; null means: until it is switched off".to_owned());
    }
    Ok(switches)
}

fn answer(faults: &Faults, switches: Result<Switches, String>) -> Response {
    match switches {
        Ok(switches) => {
            faults.set(switches);
            Json(switches).into_response()
        }
        Err(error) => (StatusCode::BAD_REQUEST, Json(json!({ "error": error }))).into_response(),
    }
}
