//! Stars: an invoice is paid once, credited as it was promised, and taken back when it goes back,
//! beside the real billing-svc.

use std::time::{Duration, SystemTime};

use proto::billing::v1::TopUpState;
use proto::payments::v1::payments_service_client::PaymentsServiceClient;
use proto::payments::v1::{
    CheckPaymentRequest, CheckPreCheckoutRequest, ConfirmStarsPaymentRequest,
    ConfirmStarsPaymentResponse, CreateStarsInvoiceRequest, CreateStarsInvoiceResponse,
    FindStarsPaymentRequest, FindStarsPaymentResponse, ListStarsOffersRequest, PaymentState,
    ReverseStarsPaymentRequest, StarsPaymentOutcome, StarsReversalOutcome,
};
use proto::reason;
use rstest::rstest;
use tonic::transport::Channel;
use tonic::{Code, Status};

use crate::app::{AMOUNT, App, USER, reason, until};
use crate::with_billing::{Billing, Engine, beside};

const RATE: &str = "--stars-rate=150";
/// What 100 ₽ cost at 1.50 ₽ a Star, and what they bring.
const STARS: i64 = 67;
const CREDITED: i64 = 10_050;
const CHARGE: &str = "stxzmNSmhzhfmd9CMdU7qvRCXhWIcZCrLBsptM7nPY1cLd1PL_xJ71V0";
const DAY: Duration = Duration::from_secs(86_400);

/// The bot, as far as it brings Telegram's updates.
#[derive(Clone, Debug)]
struct Bot {
    payments: PaymentsServiceClient<Channel>,
    user_id: i64,
}

fn bot(app: &App) -> Bot {
    Bot { payments: app.payments.clone(), user_id: USER }
}

impl Bot {
    async fn invoice(&self, key: &str) -> Result<CreateStarsInvoiceResponse, Status> {
        let request = CreateStarsInvoiceRequest {
            user_id: self.user_id,
            amount_kopecks: AMOUNT,
            idempotency_key: key.to_owned(),
        };
        Ok(self.payments.clone().create_stars_invoice(request).await?.into_inner())
    }

    async fn may_pay(&self, payload: &str, currency: &str, total: i64) -> Result<(), Status> {
        let request = CheckPreCheckoutRequest {
            user_id: self.user_id,
            payload: payload.to_owned(),
            currency: currency.to_owned(),
            total_amount: total,
        };
        self.payments.clone().check_pre_checkout(request).await.map(|_| ())
    }

    async fn paid(
        &self,
        payload: &str,
        total_amount: i64,
        charge: &str,
    ) -> Result<ConfirmStarsPaymentResponse, Status> {
        let request = ConfirmStarsPaymentRequest {
            user_id: self.user_id,
            payload: payload.to_owned(),
            currency: "XTR".to_owned(),
            total_amount,
            telegram_payment_charge_id: charge.to_owned(),
        };
        Ok(self.payments.clone().confirm_stars_payment(request).await?.into_inner())
    }

    async fn refunded(&self, payload: &str, charge: &str) -> Result<StarsReversalOutcome, Status> {
        let request = ReverseStarsPaymentRequest {
            user_id: self.user_id,
            payload: payload.to_owned(),
            currency: "XTR".to_owned(),
            total_amount: STARS,
            telegram_payment_charge_id: charge.to_owned(),
        };
        Ok(self.payments.clone().reverse_stars_payment(request).await?.into_inner().outcome())
    }

    async fn find(&self, charge: &str) -> Result<FindStarsPaymentResponse, Status> {
        let request = FindStarsPaymentRequest {
            user_id: self.user_id,
            telegram_payment_charge_id: charge.to_owned(),
        };
        Ok(self.payments.clone().find_stars_payment(request).await?.into_inner())
    }
}

#[rstest]
#[case::sqlite(Engine::Sqlite)]
#[case::postgres(Engine::Postgres)]
#[tokio::test]
async fn a_charge_is_credited_once_at_the_rate_of_its_invoice(#[case] engine: Engine) {
    let billing = Billing::start_on(engine).await;
    let app = beside(&billing, &[RATE]).await;
    let bot = bot(&app);

    let invoice = bot.invoice("bot:stars:1").await.unwrap();
    assert_eq!((invoice.stars, invoice.credited_kopecks), (STARS, CREDITED));
    assert_eq!(invoice.state(), PaymentState::Pending);
    assert_eq!(bot.invoice("bot:stars:1").await.unwrap(), invoice);
    bot.may_pay(&invoice.payload, "XTR", STARS).await.unwrap();
    // The rate changes between the invoice and its payment.
    let later = beside(&billing, &["--stars-rate=300"]).await;
    let later_bot = self::bot(&later);
    assert_eq!(reason(later_bot.invoice("bot:stars:1").await), reason::IDEMPOTENCY_KEY_REUSED);
    later_bot.may_pay(&invoice.payload, "XTR", STARS).await.unwrap();
    let (first, second, third) = tokio::join!(
        bot.paid(&invoice.payload, STARS, CHARGE),
        bot.paid(&invoice.payload, STARS, CHARGE),
        later_bot.paid(&invoice.payload, STARS, CHARGE),
    );

    for answer in [first, second, third] {
        let answer = answer.unwrap();
        assert_eq!(answer.outcome(), StarsPaymentOutcome::Settled);
        assert_eq!(
            (answer.top_up_id, answer.credited_kopecks),
            (invoice.top_up_id.clone(), CREDITED)
        );
    }
    assert_eq!(billing.balance().await, CREDITED);
    let top_up = billing.top_up(&invoice.top_up_id).await;
    assert_eq!((top_up.provider.as_str(), top_up.provider_payment_id.as_str()), ("stars", CHARGE));
    assert_eq!(bot.invoice("bot:stars:1").await.unwrap().state(), PaymentState::Settled);
    app.finish();
    later.finish();
    billing.finish().await;
}

#[tokio::test]
async fn an_invoice_that_was_paid_twice_is_given_back_the_second_time() {
    let billing = Billing::start().await;
    let app = beside(&billing, &[RATE]).await;
    let bot = bot(&app);
    let payload = bot.invoice("bot:stars:1").await.unwrap().payload;

    let (first, second) =
        tokio::join!(bot.paid(&payload, STARS, "charge-1"), bot.paid(&payload, STARS, "charge-2"));

    let answers = [("charge-1", first.unwrap()), ("charge-2", second.unwrap())];
    let of = |outcome| answers.iter().filter(move |(_, answer)| answer.outcome() == outcome);
    assert_eq!(of(StarsPaymentOutcome::Settled).count(), 1);
    let (surplus, refused) = of(StarsPaymentOutcome::GiveBack).next().unwrap();
    assert_eq!(refused.refusal, reason::TOP_UP_PAYMENT_MISMATCH);
    assert_eq!(billing.balance().await, CREDITED);

    // Telegram tells that it was given back: that takes nothing of the other payment's credit.
    let reversal = bot.refunded(&payload, surplus).await.unwrap();
    assert_eq!(reversal, StarsReversalOutcome::NothingCredited);
    assert_eq!(reason(bot.find(surplus).await), reason::TOP_UP_NOT_FOUND);
    assert_eq!(billing.balance().await, CREDITED);
    app.finish();
}

#[tokio::test]
async fn what_is_not_asked_for_is_refused_before_and_given_back_after() {
    let billing = Billing::start().await;
    let app = beside(&billing, &[RATE]).await;
    let bot = bot(&app);
    let payload = bot.invoice("bot:stars:1").await.unwrap().payload;
    let stranger = Bot { user_id: USER + 1, ..bot.clone() };
    let unknown = "top_up:018e5f0a-1b2c-7d4e-9f0a-1b2c3d4e5f6a";

    for (bot, payload, total, expected) in [
        (&bot, unknown, STARS, reason::TOP_UP_NOT_FOUND),
        (&bot, "of another bot", STARS, reason::TOP_UP_NOT_FOUND),
        (&stranger, payload.as_str(), STARS, reason::TOP_UP_NOT_FOUND),
        (&bot, payload.as_str(), STARS - 1, reason::TOP_UP_AMOUNT_MISMATCH),
    ] {
        assert_eq!(reason(bot.may_pay(payload, "XTR", total).await), expected, "{payload}");
        let paid = bot.paid(payload, total, "charge-0").await.unwrap();
        assert_eq!(paid.outcome(), StarsPaymentOutcome::GiveBack, "{payload}");
        assert_eq!(paid.refusal, expected);
    }
    let roubles = bot.may_pay(&payload, "RUB", STARS).await;
    assert_eq!(reason(roubles), reason::TOP_UP_AMOUNT_MISMATCH);
    for wrong in [bot.paid(&payload, 0, CHARGE).await, bot.paid(&payload, STARS, "").await] {
        assert_eq!(reason(wrong), reason::INVALID_FIELD);
    }
    assert_eq!(billing.balance().await, 0);

    bot.paid(&payload, STARS, CHARGE).await.unwrap();
    assert_eq!(reason(bot.may_pay(&payload, "XTR", STARS).await), reason::TOP_UP_SETTLED);
    app.finish();
}

#[rstest]
#[case::sqlite(Engine::Sqlite, CHARGE)]
#[case::postgres(Engine::Postgres, CHARGE)]
#[case::longer_than_billing_keeps(Engine::Sqlite, &"stx0123456789".repeat(20))]
#[tokio::test]
async fn stars_that_went_back_are_taken_back_once(#[case] engine: Engine, #[case] charge: &str) {
    let billing = Billing::start_on(engine).await;
    let app = beside(&billing, &[RATE]).await;
    let bot = bot(&app);
    let invoice = bot.invoice("bot:stars:1").await.unwrap();
    bot.paid(&invoice.payload, STARS, charge).await.unwrap();
    let other = bot.invoice("bot:stars:2").await.unwrap();
    bot.paid(&other.payload, STARS, "charge-2").await.unwrap();

    let found = bot.find(charge).await.unwrap();
    assert_eq!((found.top_up_id, found.payload), (invoice.top_up_id, invoice.payload.clone()));
    assert_eq!((found.stars, found.credited_kopecks, found.reversed_kopecks), (STARS, CREDITED, 0));
    let (first, second) = tokio::join!(
        bot.refunded(&invoice.payload, charge),
        bot.refunded(&invoice.payload, charge),
    );

    assert_eq!(first.unwrap(), StarsReversalOutcome::Reversed);
    assert_eq!(second.unwrap(), StarsReversalOutcome::Reversed);
    assert_eq!(billing.balance().await, CREDITED);
    assert_eq!(bot.find(charge).await.unwrap().reversed_kopecks, CREDITED);
    // The payment is told of once more: it stays taken back.
    let again = bot.paid(&invoice.payload, STARS, charge).await.unwrap();
    assert_eq!(again.outcome(), StarsPaymentOutcome::Settled);
    assert_eq!(billing.balance().await, CREDITED);
    app.finish();
    billing.finish().await;
}

#[tokio::test]
async fn a_refund_that_is_told_before_its_payment_leaves_both_in_the_ledger() {
    let billing = Billing::start().await;
    let app = beside(&billing, &[RATE]).await;
    let bot = bot(&app);
    let invoice = bot.invoice("bot:stars:1").await.unwrap();

    let reversal = bot.refunded(&invoice.payload, CHARGE).await.unwrap();
    let paid = bot.paid(&invoice.payload, STARS, CHARGE).await.unwrap();

    assert_eq!(reversal, StarsReversalOutcome::Reversed);
    assert_eq!(paid.outcome(), StarsPaymentOutcome::Settled);
    assert_eq!(billing.balance().await, 0);
    assert_eq!(billing.top_up(&invoice.top_up_id).await.reversed_kopecks, CREDITED);
    app.finish();
}

#[tokio::test]
async fn a_payment_waits_for_billing_and_the_question_before_it_is_not_answered_with_yes() {
    let mut billing = Billing::start().await;
    let app = beside(&billing, &[RATE]).await;
    let bot = bot(&app);
    let payload = bot.invoice("bot:stars:1").await.unwrap().payload;

    billing.stop().await;
    let asked = tokio::time::Instant::now();
    assert_eq!(bot.may_pay(&payload, "XTR", STARS).await.unwrap_err().code(), Code::Unavailable);
    assert!(asked.elapsed() < Duration::from_secs(8), "telegram waits ten seconds");
    let paid = bot.paid(&payload, STARS, CHARGE).await;
    assert_eq!(paid.unwrap_err().code(), Code::Unavailable);
    billing.start_again().await;
    until("the payment is credited", || async { bot.paid(&payload, STARS, CHARGE).await.is_ok() })
        .await;

    assert_eq!(billing.balance().await, CREDITED);
    app.finish();
}

#[tokio::test]
async fn without_a_rate_no_stars_are_offered_and_those_that_come_are_credited() {
    let billing = Billing::start().await;
    let app = beside(&billing, &[RATE]).await;
    let payload = bot(&app).invoice("bot:stars:1").await.unwrap().payload;
    let without = beside(&billing, &[]).await;
    let bot = bot(&without);

    let offers = ListStarsOffersRequest { amounts_kopecks: vec![AMOUNT] };
    let offers = without.payments.clone().list_stars_offers(offers).await;
    assert_eq!(reason(offers), reason::STARS_NOT_OFFERED);
    assert_eq!(reason(bot.invoice("bot:stars:2").await), reason::STARS_NOT_OFFERED);
    assert_eq!(reason(bot.may_pay(&payload, "XTR", STARS).await), reason::STARS_NOT_OFFERED);
    let paid = bot.paid(&payload, STARS, CHARGE).await.unwrap();

    assert_eq!(paid.outcome(), StarsPaymentOutcome::Settled);
    assert_eq!(billing.balance().await, CREDITED);
    app.finish();
    without.finish();
}

#[tokio::test]
async fn offers_say_what_is_paid_and_what_is_credited() {
    let app = App::with(&[RATE]).await;
    let amounts_kopecks = vec![AMOUNT, 30_000, 0, i64::MAX];

    let offers = ListStarsOffersRequest { amounts_kopecks };
    let offers = app.payments.clone().list_stars_offers(offers).await.unwrap().into_inner();

    let offers: Vec<_> = offers
        .offers
        .iter()
        .map(|offer| (offer.amount_kopecks, offer.stars, offer.credited_kopecks))
        .collect();
    assert_eq!(offers, [(AMOUNT, STARS, CREDITED), (30_000, 200, 30_000)]);
    let request = CreateStarsInvoiceRequest {
        user_id: USER,
        amount_kopecks: 1_500_001,
        idempotency_key: "bot:stars:1".to_owned(),
    };
    let refused = app.payments.clone().create_stars_invoice(request).await.unwrap_err();
    assert_eq!(reason::of(&refused).as_deref(), Some(reason::AMOUNT_OUT_OF_RANGE));
    assert_eq!(reason::value(&refused, "max_kopecks").as_deref(), Some("1500000"));
    app.finish();
}

#[tokio::test]
async fn an_invoice_that_nobody_pays_ends_and_what_is_paid_late_is_credited() {
    let app = App::with(&[RATE, "--reconcile-every=100ms"]).await;
    let bot = bot(&app);
    let old = bot.invoice("bot:stars:1").await.unwrap();
    let new = bot.invoice("bot:stars:2").await.unwrap();
    let stale = SystemTime::now() - DAY - Duration::from_secs(60);
    app.billing.set_opened_at(&old.top_up_id, stale);
    assert_eq!(reason(bot.may_pay(&old.payload, "XTR", STARS).await), reason::INVOICE_EXPIRED);
    app.billing.set_opened_at(&old.top_up_id, stale - Duration::from_secs(3600));

    until("the old one has ended", || async {
        app.billing.top_up(&old.top_up_id).state() == TopUpState::Cancelled
    })
    .await;
    assert_eq!(reason(bot.may_pay(&old.payload, "XTR", STARS).await), reason::INVOICE_EXPIRED);
    assert_eq!(app.billing.top_up(&new.top_up_id).state(), TopUpState::Open);
    let paid = bot.paid(&old.payload, STARS, CHARGE).await.unwrap();

    assert_eq!(paid.outcome(), StarsPaymentOutcome::Settled);
    assert_eq!(app.balance(), CREDITED);
    // YooKassa's part of the service knows nothing of Stars, and asked nobody about them.
    let check = CheckPaymentRequest { user_id: USER, top_up_id: new.top_up_id };
    let check = app.payments.clone().check_payment(check).await;
    assert_eq!(reason(check), reason::TOP_UP_NOT_FOUND);
    assert_eq!(app.yookassa.count(), 0);
    app.finish();
}
