//! The history in the chat, and the statement as a file.

use std::io::Cursor;

use calamine::{Data, Reader as _, Xlsx};
use prost_types::Timestamp;
use proto::billing::v1::{Entry, Operation, Unit};
use rstest::rstest;

use crate::app::{App, Engine, User, said};

/// The ledger of somebody who paid in, had `works` works of 10 ₽ done, and one given back.
fn ledger(app: &App, works: i64) {
    app.model(|model| {
        let now = std::time::SystemTime::UNIX_EPOCH.elapsed().unwrap().as_secs();
        let at = |ago: i64| Timestamp { seconds: i64::try_from(now).unwrap() - ago, nanos: 0 };
        let entry = |number, unit: Unit, places: (&str, &str), cause: &str| Entry {
            number,
            created_at: Some(at(1_000 - number)),
            unit: unit.into(),
            from_account: places.0.to_owned(),
            to_account: places.1.to_owned(),
            amount: 1_000,
            cause: cause.to_owned(),
            ..Entry::default()
        };
        let free = Entry {
            amount: 4,
            free_operations_after: 4,
            ..entry(1, Unit::FreeOperations, ("granted", "available"), "welcome")
        };
        let paid = Entry {
            amount: 50_000,
            balance_change_kopecks: 50_000,
            balance_after_kopecks: 50_000,
            ..entry(2, Unit::Kopecks, ("clearing:yookassa", "balance"), "top_up")
        };
        model.entries = vec![free, paid];
        for work in 1..=works {
            let left = 50_000 - work * 1_000;
            let operation_id = format!("operation-{work}");
            let begun = Entry {
                operation_id: operation_id.clone(),
                balance_change_kopecks: -1_000,
                balance_after_kopecks: left,
                ..entry(1 + work * 2, Unit::Kopecks, ("balance", "held"), "reserve")
            };
            let ended = Entry {
                operation_id: operation_id.clone(),
                balance_after_kopecks: left,
                ..entry(2 + work * 2, Unit::Kopecks, ("held", "revenue"), "commit")
            };
            model.entries.extend([begun, ended]);
            let operation_type = "edit".to_owned();
            model.operations.push(Operation {
                operation_id,
                operation_type,
                ..Operation::default()
            });
        }
        let last = model.entries.last_mut().unwrap();
        last.cause = "refund".to_owned();
        last.to_account = "balance".to_owned();
        last.balance_change_kopecks = 1_000;
        last.balance_after_kopecks += 1_000;
    });
}

async fn opened(user: User<'_>) -> serde_json::Value {
    let asked = user.writes("/history").await;
    user.reads(asked, "История").await
}

#[rstest]
#[case(Engine::Sqlite)]
#[case(Engine::Postgres)]
#[tokio::test]
async fn each_change_is_one_line_and_pages_turn_in_their_place(#[case] engine: Engine) {
    let app = App::start_on(engine).await;
    let user = app.guest().await;
    ledger(&app, 12);

    let first = opened(user).await;
    let shown = said(&first);
    assert!(shown.contains("↩️ Возврат: ✏️ Редактировать\n+10 ₽, баланс 390 ₽"), "{shown}");
    assert!(shown.contains("✏️ Редактировать\n−10 ₽, баланс 380 ₽"), "{shown}");
    assert!(!shown.contains("Пополнение"), "{shown}");
    assert!(!first["buttons"].to_string().contains("Последние"), "{first:#}");

    user.presses(&first, "Раньше").await;
    let id = first["message_id"].as_i64();
    let second = user
        .sees("the last page", |message| {
            message["message_id"].as_i64() == id && said(message).contains("Пополнение")
        })
        .await;
    let shown = said(&second);
    assert!(shown.contains("💰 Пополнение\n+500 ₽, баланс 500 ₽"), "{shown}");
    assert!(shown.contains("Подарок новичку\n+4 бесплатные операции, осталось 4"), "{shown}");
    assert!(!second["buttons"].to_string().contains("Раньше"), "{second:#}");

    user.presses(&second, "Последние").await;
    let is_first = |message: &serde_json::Value| {
        message["message_id"].as_i64() == id && said(message).contains("Возврат")
    };
    user.sees("the first page again", is_first).await;
    app.stop().await;
}

#[tokio::test]
async fn who_has_no_history_yet_and_who_forges_a_page_get_an_answer() {
    let app = App::start().await;
    let user = app.user().await;

    let empty = opened(user).await;
    assert!(said(&empty).contains("пока ничего нет"), "{empty:#}");
    let id = empty["message_id"].as_i64().unwrap();
    user.presses_data(id, "history_page:x").await;
    user.reads(id, "Эта кнопка больше не действует").await;
    user.presses(&empty, "Выписка за месяц").await;
    user.reads(id, "За это время ничего не было").await;
    app.stop().await;
}

#[tokio::test]
async fn a_statement_is_a_table_that_spreadsheets_read() {
    let app = App::start().await;
    let user = app.guest().await;
    ledger(&app, 300);
    let history = opened(user).await;

    user.presses(&history, "Выписка за год").await;
    let id = history["message_id"].as_i64().unwrap();
    let sent = user.reads(id, "Выписка с").await;
    let bytes = user.downloads(&sent).await;

    let mut book: Xlsx<_> = Xlsx::new(Cursor::new(bytes)).unwrap();
    let sheet = book.worksheet_range("Выписка").unwrap();
    assert_eq!(sheet.height(), 1 + 2 + 300 + 1, "a title, and a line for each change");
    let row = |number: usize| sheet.rows().nth(number).unwrap().to_vec();
    assert_eq!(row(0)[1], Data::String("Что".into()));
    assert_eq!(row(1)[1], Data::String("↩️ Возврат: ✏️ Редактировать".into()));
    assert_eq!((&row(1)[2], &row(1)[3]), (&Data::Float(10.0), &Data::Float(-2_490.0)));
    assert!(matches!(row(1)[0], Data::DateTime(_)), "{:?}", row(1));
    assert_eq!(row(1)[6], Data::String("operation-300".into()));
    let oldest = row(303);
    assert_eq!((&oldest[4], &oldest[5]), (&Data::Float(4.0), &Data::Float(4.0)));
    app.stop().await;
}
