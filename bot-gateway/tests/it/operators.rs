//! What operators do in the chat, and that nobody else can.

use std::io::Cursor;

use calamine::{Data, Reader as _, Xlsx};
use proto::billing::v1::StatsRow;
use rstest::rstest;

use crate::app::{App, Engine, OPERATOR, said};

fn row(day: &str, operation_type: &str, committed: i64) -> StatsRow {
    StatsRow {
        day: day.to_owned(),
        operation_type: operation_type.to_owned(),
        committed,
        committed_free: 1,
        revenue_kopecks: (committed - 1) * 1_000,
        refunds: 1,
        refunded_kopecks: 1_000,
        cost_micro_usd: committed * 39_000,
        ..StatsRow::default()
    }
}

#[rstest]
#[case(Engine::Sqlite)]
#[case(Engine::Postgres)]
#[tokio::test]
async fn an_operator_finds_a_user_and_gives_and_takes_with_a_reason(#[case] engine: Engine) {
    let app = App::start_on(engine).await;
    let operator = app.guest().await;
    assert_eq!(operator.id, OPERATOR);
    let user = app.guest().await;
    let id = user.id;

    let found = operator.writes(&format!("/user {id}")).await;
    let shown = said(&operator.reads(found, "Баланс 0 ₽").await);
    assert!(shown.contains(&id.to_string()) && shown.contains("4 бесплатные операции"), "{shown}");
    let given = operator.writes(&format!("/adjust {id} +100 за баг")).await;
    operator.reads(given, "Сделано. Баланс 100 ₽").await;
    let taken = operator.writes(&format!("/adjust {id} -300 ошибка")).await;
    operator.reads(taken, "Отказано: INSUFFICIENT_FUNDS: not so much <is> there").await;
    let granted = operator.writes(&format!("/grant {id} 5 подарок другу")).await;
    operator.reads(granted, "9 бесплатных операций").await;
    let nobody = operator.writes("/grant 5 5 подарок").await;
    operator.reads(nobody, "Такого пользователя нет").await;
    let unclear = operator.writes(&format!("/grant {id} пять")).await;
    operator.reads(unclear, "Не понял").await;

    let by = format!("telegram:{OPERATOR}");
    app.model(|model| {
        let written = [(by.clone(), "за баг".to_owned()), (by, "подарок другу".to_owned())];
        assert_eq!(model.interventions, written);
        assert_eq!(model.accounts[&id].balance_kopecks, 10_000);
    });
    app.stop().await;
}

#[tokio::test]
async fn an_operator_refunds_a_work() {
    let app = App::start().await;
    let operator = app.guest().await;
    let user = app.guest().await;
    app.set_account(&user, 0, 1_000);
    user.opens("mode_generate", "Стоимость").await;
    user.writes("кот").await;
    let operation = app.submitted().await;
    app.model(|model| model.commit(&operation));

    let refund = operator.writes(&format!("/refund {} {operation} не то", user.id)).await;

    operator.reads(refund, "Возвращено").await;
    app.model(|model| {
        assert_eq!(model.refunds, std::slice::from_ref(&operation));
        assert_eq!(model.accounts[&user.id].balance_kopecks, 1_000);
    });
    let unknown = operator.writes(&format!("/refund {} nothing не то", user.id)).await;
    operator.reads(unknown, "Отказано: OPERATION_NOT_FOUND").await;
    app.stop().await;
}

#[tokio::test]
async fn an_operator_makes_and_stops_promo_codes() {
    let app = App::start().await;
    let operator = app.guest().await;

    let none = operator.writes("/promo_list").await;
    operator.reads(none, "Промокодов нет").await;
    let made = operator.writes("/promo_new autumn discount 20 30 100 осень <2026>").await;
    let shown = said(&operator.reads(made, "AUTUMN").await);
    assert!(shown.contains("скидка 20 % на работы") && shown.contains("0 из 100"), "{shown}");
    let stopped = operator.writes("/promo_stop AUTUMN утёк").await;
    operator.reads(stopped, "остановлен").await;
    let list = operator.writes("/promo_list").await;
    operator.reads(list, "осень <2026>").await;
    let unknown = operator.writes("/promo_stop WINTER утёк").await;
    operator.reads(unknown, "Отказано: PROMO_CODE_NOT_FOUND").await;

    app.model(|model| {
        assert_eq!(model.offers_made[0].created_by, format!("telegram:{OPERATOR}"));
    });
    app.stop().await;
}

#[tokio::test]
async fn sales_are_summed_and_come_as_a_table() {
    let app = App::start().await;
    let operator = app.guest().await;
    let none = operator.writes("/stats").await;
    operator.reads(none, "продаж не было").await;
    app.model(|model| {
        model.sales = vec![
            row("2026-11-26", "generate", 3),
            row("2026-11-27", "edit", 2),
            row("2026-11-27", "generate", 5),
        ];
    });

    let stats = operator.writes("/stats 30").await;
    let shown = said(&operator.reads(stats, "Всего").await);
    assert!(shown.contains("Всего: 10 работ (бесплатно 3), 70 ₽, возвратов 3 на 30 ₽"), "{shown}");
    assert!(
        shown.contains("2026-11-27: 7 работ") && shown.contains("🎨 Создать: 8 работ"),
        "{shown}"
    );
    let wrong = operator.writes("/stats 1000").await;
    operator.reads(wrong, "Не понял").await;
    let file = operator.writes("/stats_file 30").await;
    let sent = operator.reads(file, "Продажи").await;
    let mut book: Xlsx<_> = Xlsx::new(Cursor::new(operator.downloads(&sent).await)).unwrap();
    let sheet = book.worksheet_range("Продажи").unwrap();
    assert_eq!(sheet.height(), 4);
    assert_eq!(sheet.get((3, 5)), Some(&Data::Float(40.0)));
    app.stop().await;
}

#[tokio::test]
async fn to_anybody_else_these_are_no_commands() {
    let app = App::start().await;
    let _operator = app.guest().await;
    let user = app.guest().await;

    for command in [
        "/admin",
        "/user 7",
        "/ledger 7",
        "/adjust 7 +100 мне",
        "/grant 7 5 мне",
        "/refund 7 a мне",
        "/promo_new A free 5 1 0 мне",
        "/promo_stop A b",
        "/promo_list",
        "/stats",
        "/stats_file",
    ] {
        let written = user.writes(command).await;
        user.reads(written, "Такой команды нет").await;
    }
    app.model(|model| assert!(model.interventions.is_empty() && model.offers_made.is_empty()));
    app.stop().await;
}
