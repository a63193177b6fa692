//! An update is handled once it was received, whatever happens in between.

use bot_gateway::handlers::error::HandlerError;
use bot_gateway::schema::schema;
use bot_gateway::store::{Received, Store};
use rstest::rstest;
use serde_json::json;
use teloxide::dispatching::UpdateHandler;
use teloxide::dptree;
use teloxide::types::{Update, UpdateKind};

use crate::app::{App, Engine};

/// The bot, but for one word that a handler cannot stand.
fn touchy() -> UpdateHandler<HandlerError> {
    let is_dreaded = |update: Update| match update.kind {
        UpdateKind::Message(message) => message.text() == Some("паника"),
        _ => false,
    };
    dptree::entry()
        .branch(
            dptree::filter(is_dreaded).endpoint(|_: Update| async { panic!("as the test wants") }),
        )
        .branch(schema())
}

#[tokio::test]
async fn a_handler_that_panics_is_apologised_for_and_the_bot_goes_on() {
    let mut app = App::without_bot(Engine::Sqlite).await;
    app.start_bot(touchy()).await;
    let user = app.guest().await;

    let panic = user.writes("паника").await;
    user.reads(panic, "Что-то пошло не так. Деньги не списаны").await;

    let help = user.writes("/help").await;
    user.reads(help, "Что я умею").await;
    assert_eq!(user.count("Что-то пошло не так").await, 1);
    app.stop().await;
}

#[rstest]
#[case(Engine::Sqlite)]
#[case(Engine::Postgres)]
#[tokio::test]
async fn what_was_received_before_a_kill_is_handled_after_the_restart(#[case] engine: Engine) {
    let mut app = App::start_on(engine).await;
    let id = app.guest().await.id;
    app.stop_bot().await;
    // What a kill right after the commit leaves behind: Telegram has forgotten the update.
    let store = Store::open(&app.database_url).await.unwrap();
    let body = json!({
        "update_id": 5,
        "message": {
            "message_id": 1, "date": 1, "text": "/help",
            "chat": {"id": id, "type": "private", "first_name": "А"},
            "from": {"id": id, "is_bot": false, "first_name": "А"},
        },
    });
    let received = Received { update_id: 5, chat_id: id, body: body.to_string(), received_ms: 1 };
    store.receive(&[received]).await.unwrap();
    store.close().await;
    drop(store);

    app.start_bot(schema()).await;
    app.known(id).reads(0, "Что я умею").await;

    app.stop_bot().await;
    let store = Store::open(&app.database_url).await.unwrap();
    assert_eq!(store.waiting().await.unwrap(), []);
    drop(store);
    app.stop().await;
}

#[tokio::test]
async fn a_state_of_another_version_is_forgotten_politely() {
    let mut app = App::without_bot(Engine::Sqlite).await;
    let id = app.user().await.id;
    let store = Store::open(&app.database_url).await.unwrap();
    store.close().await;
    drop(store);
    {
        use sqlx::Connection as _;
        let mut connection = sqlx::SqliteConnection::connect(&app.database_url).await.unwrap();
        sqlx::query(
            "insert into dialogues (chat_id, version, state, updated_ms) values ($1, 0, 'x', 0)",
        )
        .bind(id)
        .execute(&mut connection)
        .await
        .unwrap();
        connection.close().await.unwrap();
    }
    app.start_bot(schema()).await;
    let user = app.known(id);

    let text = user.writes("кот").await;

    user.reads(text, "Бот обновился").await;
    let text = user.writes("кот").await;
    user.reads(text, "Сначала выберите").await;
    app.stop().await;
}

#[tokio::test]
async fn one_database_file_has_one_process() {
    let app = App::start().await;
    app.guest().await;

    let second = Store::open(&app.database_url).await;

    assert!(second.unwrap_err().to_string().contains("another process uses"));
    app.stop().await;
}

#[tokio::test]
async fn an_update_that_cannot_be_read_is_dropped_and_the_next_is_handled() {
    let mut app = App::without_bot(Engine::Sqlite).await;
    let store = Store::open(&app.database_url).await.unwrap();
    let id = app.user().await.id;
    let unreadable = |update_id: i64, body: &str| Received {
        update_id,
        chat_id: id,
        body: body.to_owned(),
        received_ms: update_id,
    };
    let batch = [
        unreadable(1, r#"{"update_id":1,"message":{"from":"nobody"}}"#),
        unreadable(2, "no json"),
        unreadable(3, r#"{"update_id":3,"something_new":{}}"#),
    ];
    store.receive(&batch).await.unwrap();
    assert_eq!(store.receive(&batch).await.unwrap(), [], "received once");
    store.close().await;
    drop(store);

    app.start_bot(schema()).await;
    let user = app.known(id);
    let start = user.writes("/start").await;

    user.reads(start, "Здравствуйте").await;
    app.stop_bot().await;
    let store = Store::open(&app.database_url).await.unwrap();
    assert_eq!(store.waiting().await.unwrap(), []);
    drop(store);
    app.stop().await;
}

#[tokio::test]
async fn an_answer_that_telegram_loses_is_sent_again() {
    let app = App::start().await;
    let user = app.guest().await;
    app.fault(&json!({"telegram": "drop_after", "telegram_count": 5})).await;

    let balance = user.writes("/balance").await;
    user.reads(balance, "Баланс").await;
    let help = user.writes("/help").await;

    user.reads(help, "Что я умею").await;
    assert_eq!(user.count("Что-то пошло не так").await, 0);
    app.stop().await;
}

#[tokio::test]
async fn an_update_that_keeps_killing_the_process_is_given_up_and_said() {
    let mut app = App::start().await;
    let id = app.guest().await.id;
    app.stop_bot().await;
    let store = Store::open(&app.database_url).await.unwrap();
    let body = json!({
        "update_id": 5,
        "message": {
            "message_id": 1, "date": 1, "text": "/help",
            "chat": {"id": id, "type": "private", "first_name": "А"},
            "from": {"id": id, "is_bot": false, "first_name": "А"},
        },
    });
    let received = Received { update_id: 5, chat_id: id, body: body.to_string(), received_ms: 1 };
    store.receive(&[received]).await.unwrap();
    for _kill in 0..3 {
        store.begin_attempt(5).await.unwrap();
    }
    store.close().await;
    drop(store);

    app.start_bot(schema()).await;

    app.known(id).reads(0, "Что-то пошло не так. Деньги не списаны").await;
    assert_eq!(app.known(id).count("Что я умею").await, 0);
    app.stop().await;
}
