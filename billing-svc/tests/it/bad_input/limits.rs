//! The largest values that are allowed are no bad input.

use std::collections::HashMap;

use proto::billing::v1 as wire;
use rstest::rstest;

use crate::app::{ANNA, App, open_top_up, reserve};
use crate::database::Engine;

#[rstest]
#[tokio::test]
async fn the_largest_values_that_are_allowed_are_taken_and_come_back(
    #[values(Engine::Sqlite, Engine::Postgres)] engine: Engine,
) {
    let app = App::with_anna(engine).await;
    let metadata: HashMap<String, String> = (0..16)
        .map(|number| (format!("{number:02}{}", "ж".repeat(62)), "🎨\"\\\n".repeat(128)))
        .collect();
    let request = wire::ReserveRequest {
        model: "м".repeat(128),
        metadata: metadata.clone(),
        expected_price_kopecks: Some(1_000_000_000),
        ..reserve(ANNA, &"~".repeat(128))
    };
    let reserved = app.billing().reserve(request).await.unwrap().operation.unwrap();
    assert_eq!(reserved.metadata, metadata);
    assert_eq!(app.operation(&reserved).await, reserved);

    let mut request = open_top_up(ANNA, 1_000_000_000, &"k".repeat(128));
    request.snapshot = vec![0; 16 * 1024];
    let top_up = app.billing().open_top_up(request).await.unwrap().top_up.unwrap();
    app.settle(&top_up, &"p".repeat(128)).await.unwrap();
    assert_eq!(app.has(ANNA).await.0, 1_000_000_000);
    app.finish().await;
}
