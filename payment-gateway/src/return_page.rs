//! `GET /return`: where a user's browser comes to after paying. Says what is known about the
//! payment, and leads on to the bot.
//!
//! That somebody comes here proves nothing: the payment is looked at the way that notifications go.
//! The page is shown only to who has the payment's token, which stands in the address that YooKassa
//! was given and nowhere else; to anybody else every payment is the same unknown one.

use std::sync::Arc;
use std::time::Duration;

use axum::extract::rejection::QueryRejection;
use axum::extract::{Query, State};
use axum::http::{HeaderName, StatusCode, header};
use axum::response::{Html, IntoResponse, Response};
use serde::Deserialize;
use subtle::ConstantTimeEq as _;
use tokio::sync::Semaphore;
use tokio::time::timeout;
use tokio_util::task::TaskTracker;
use url::Url;

use crate::billing::{Billing, BillingError, TopUp, TopUpState};
use crate::create::return_token;
use crate::ids::{PaymentId, TopUpId, UserId};
use crate::looks::Desk;
use crate::money::Kopecks;
use crate::resolve::{Owner, Resolution, Resolver, Via};
use crate::yookassa::READS_AT_ONCE;

const TEMPLATE: &str = include_str!("return_page.html");
/// Fewer than the client lets through, so that nobody waits for people who reload.
const LOOKS_AT_ONCE: usize = READS_AT_ONCE / 4;
/// Payments that are looked at or wait for it; of others is shown what billing knows.
const PAYMENTS_MAX: usize = LOOKS_AT_ONCE * 8;
/// How long a browser waits for a look, which goes on without it.
const LOOK_WITHIN: Duration = Duration::from_secs(4);
/// A page that waits is loaded anew by itself so often, each time after one more second.
const RELOADS_MAX: u32 = 15;

/// What the page needs.
#[derive(Clone, Debug)]
pub struct ReturnPage {
    billing: Billing,
    resolver: Arc<Resolver>,
    looks: Desk<PaymentId, Resolution>,
    bot: Arc<Url>,
}

/// The query of the address that YooKassa was given.
#[derive(Clone, Debug, Deserialize)]
pub struct Asked {
    user: String,
    top_up: String,
    token: String,
    /// How often the page has loaded itself anew.
    #[serde(default)]
    reloads: u32,
}

/// What is known about a payment.
#[derive(Debug, Eq, PartialEq)]
enum Known {
    Paid(Kopecks),
    Waits,
    Cancelled(String),
    /// No such payment, or no right to see it.
    Nothing,
    /// Billing does not answer.
    Later,
}

/// Shows what is known about a payment.
pub async fn show(
    State(page): State<ReturnPage>,
    asked: Result<Query<Asked>, QueryRejection>,
) -> Response {
    let asked = asked.ok().map(|Query(asked)| asked);
    let known = match &asked {
        Some(asked) => page.known(asked).await,
        None => Known::Nothing,
    };
    let outcome = match known {
        Known::Paid(_) => "paid",
        Known::Waits => "waits",
        Known::Cancelled(_) => "cancelled",
        Known::Nothing => "unknown",
        Known::Later => "unavailable",
    };
    metrics::counter!("payments_return_pages_total", "outcome" => outcome).increment(1);
    let status = match known {
        Known::Paid(_) | Known::Waits | Known::Cancelled(_) => StatusCode::OK,
        Known::Nothing => StatusCode::NOT_FOUND,
        Known::Later => StatusCode::SERVICE_UNAVAILABLE,
    };
    let again = asked.filter(|_| matches!(known, Known::Waits | Known::Later));
    (status, headers(), Html(html(&known, again.as_ref(), &page.bot))).into_response()
}

/// The address holds a token: it is kept by no cache, and told to no other site.
fn headers() -> [(HeaderName, &'static str); 4] {
    [
        (header::CACHE_CONTROL, "no-store"),
        (header::REFERRER_POLICY, "no-referrer"),
        (header::X_CONTENT_TYPE_OPTIONS, "nosniff"),
        (
            header::CONTENT_SECURITY_POLICY,
            "default-src 'none'; style-src 'unsafe-inline'; base-uri 'none'; form-action 'none'; \
         frame-ancestors 'none'",
        ),
    ]
}

impl ReturnPage {
    /// Puts it together; `bot` is where the page leads on to, `tasks` holds looks whose browsers
    /// have gone.
    pub fn new(billing: Billing, resolver: Arc<Resolver>, bot: Url, tasks: &TaskTracker) -> Self {
        let turns = Arc::new(Semaphore::new(LOOKS_AT_ONCE));
        let looks = Desk::new(turns, PAYMENTS_MAX, tasks.clone());
        Self { billing, resolver, looks, bot: Arc::new(bot) }
    }

    async fn known(&self, asked: &Asked) -> Known {
        let (Ok(user_id), Ok(top_up_id)) = (asked.user.parse(), asked.top_up.parse()) else {
            return Known::Nothing;
        };
        let top_up = match self.allowed(user_id, top_up_id, &asked.token).await {
            Ok(Some(top_up)) => top_up,
            Ok(None) => return Known::Nothing,
            Err(_) => return Known::Later,
        };
        if top_up.state == TopUpState::Settled {
            return known(&top_up);
        }
        if let Some(payment_id) = &top_up.payment_id {
            self.look(payment_id, (&top_up).into()).await;
        }
        match self.billing.get(user_id, top_up_id).await {
            Ok(now) => known(&now.unwrap_or(top_up)),
            Err(_) => known(&top_up),
        }
    }

    /// The top-up, if the token is its own.
    async fn allowed(
        &self,
        user_id: UserId,
        top_up_id: TopUpId,
        token: &str,
    ) -> Result<Option<TopUp>, BillingError> {
        let found = self.billing.get(user_id, top_up_id).await?;
        Ok(found.filter(|top_up| {
            return_token(top_up).is_some_and(|own| own.as_bytes().ct_eq(token.as_bytes()).into())
        }))
    }

    /// Asks YooKassa, if it answers soon. What comes of it is in billing then.
    async fn look(&self, payment_id: &PaymentId, owner: Owner) {
        let (resolver, payment) = (Arc::clone(&self.resolver), payment_id.clone());
        let look = async move { resolver.resolve(&payment, Some(owner), Via::ReturnPage).await };
        if let Ok(look) = self.looks.look(payment_id, look) {
            drop(timeout(LOOK_WITHIN, look).await);
        }
    }
}

fn known(top_up: &TopUp) -> Known {
    match top_up.state {
        TopUpState::Open => Known::Waits,
        TopUpState::Settled => Known::Paid(top_up.credited),
        TopUpState::Cancelled => Known::Cancelled(top_up.cancel_reason.clone()),
    }
}

fn html(known: &Known, again: Option<&Asked>, bot: &Url) -> String {
    let (title, text) = words(known);
    let mut links = format!("<a href=\"{}\">{BACK}</a>", escaped(bot.as_str()));
    let mut refresh = String::new();
    if let Some(Asked { user, top_up, token, reloads }) = again {
        // Each part was read as a number, a UUID, or is the payment's own token; but a page that
        // could not ask billing has only what it was given.
        let address = |reloads: u32| {
            let query = url::form_urlencoded::Serializer::new(String::new())
                .extend_pairs([("user", user), ("top_up", top_up), ("token", token)])
                .append_pair("reloads", &reloads.to_string())
                .finish();
            escaped(&format!("?{query}"))
        };
        links.push_str(&format!("\n<a class=\"second\" href=\"{}\">{CHECK_AGAIN}</a>", address(0)));
        if *reloads < RELOADS_MAX {
            let (seconds, next) = (reloads.saturating_add(2), address(reloads.saturating_add(1)));
            refresh = format!("<meta http-equiv=\"refresh\" content=\"{seconds}; url={next}\">\n");
        }
    }
    TEMPLATE
        .replace("{refresh}", &refresh)
        .replace("{title}", title)
        .replace("{text}", &text)
        .replace("{links}", &links)
}

/// "Back to the bot".
const BACK: &str = "Вернуться в бот";
/// "Check again".
const CHECK_AGAIN: &str = "Проверить ещё раз";

/// Title and text.
fn words(known: &Known) -> (&'static str, String) {
    match known {
        // "Paid": "The balance was topped up by … ."
        Known::Paid(credited) => {
            ("Оплачено", format!("Баланс пополнен на {}.", roubles(*credited)))
        }
        // "Waiting for the payment": "If you have paid, the money will come within a minute; this
        // page checks by itself. The bot will write when the balance is topped up."
        Known::Waits => (
            "Ждём оплату",
            "Если вы уже оплатили, деньги придут в течение минуты: страница проверяет сама. \
             Когда баланс пополнится, бот напишет вам."
                .to_owned(),
        ),
        // "The payment did not go through": "… No money was taken. You can try again in the bot."
        Known::Cancelled(reason) => (
            "Платёж не прошёл",
            format!("{}Деньги не списаны. Попробовать снова можно в боте.", because(reason)),
        ),
        // "Payment not found": "Open the link from the bot, or check the balance there."
        Known::Nothing => (
            "Платёж не найден",
            "Ссылка неполная или чужая. Баланс и платежи видны в боте.".to_owned(),
        ),
        // "Cannot check now": "Nothing is lost: if you have paid, the balance will be topped up."
        Known::Later => (
            "Сейчас не проверить",
            "Ничего не потеряно: если вы оплатили, баланс пополнится, и бот напишет вам."
                .to_owned(),
        ),
    }
}

/// The commonest reasons; YooKassa's list grows.
fn because(reason: &str) -> &'static str {
    match reason {
        // "The time to pay is over."
        "expired_on_confirmation" => "Время на оплату вышло. ",
        // "The card has not enough money."
        "insufficient_funds" => "На карте не хватило денег. ",
        // "The bank declined the payment."
        "general_decline" | "call_issuer" | "payment_method_restricted" | "issuer_unavailable" => {
            "Банк отклонил платёж. "
        }
        // "The card's data are wrong or out of date."
        "card_expired" | "invalid_csc" | "invalid_card_number" => {
            "Данные карты неверны или устарели. "
        }
        // "The bank did not confirm that it was you."
        "3d_secure_failed" => "Банк не подтвердил, что это вы. ",
        _ => "",
    }
}

fn roubles(sum: Kopecks) -> String {
    let text = sum.to_roubles();
    format!("{}\u{a0}₽", text.strip_suffix(".00").map_or(text.replace('.', ","), str::to_owned))
}

/// Text into HTML, also between quotes.
fn escaped(text: &str) -> String {
    text.replace('&', "&amp;")
        .replace('<', "&lt;")
        .replace('>', "&gt;")
        .replace('"', "&quot;")
        .replace('\'', "&#39;")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn asked(token: &str, reloads: u32) -> Asked {
        let (user, top_up, token) = ("77".to_owned(), "t".to_owned(), token.to_owned());
        Asked { user, top_up, token, reloads }
    }

    #[test]
    fn what_was_asked_cannot_become_part_of_the_page() {
        let bot = "https://t.me/bot?start=a&b=\"c\"".parse().unwrap();

        let page = html(&Known::Later, Some(&asked("\"><script>", 0)), &bot);

        assert!(!page.contains("<script"), "{page}");
        assert!(page.contains("start=a&amp;b="), "{page}");
    }

    #[test]
    fn a_page_that_waits_loads_itself_anew_less_and_less_often_and_not_for_ever() {
        let bot = "https://t.me/bot".parse().unwrap();
        let page = |reloads| html(&Known::Waits, Some(&asked("x", reloads)), &bot);

        for reloads in [0, 1, 14] {
            let expected = format!("http-equiv=\"refresh\" content=\"{}; url=?", reloads + 2);
            assert!(page(reloads).contains(&expected), "{}", page(reloads));
        }
        let last = page(15);
        assert!(!last.contains("http-equiv") && last.contains(CHECK_AGAIN), "{last}");
    }

    #[test]
    fn sums_are_read_as_people_write_them() {
        assert_eq!(roubles(Kopecks::new(10_000).unwrap()), "100\u{a0}₽");
        assert_eq!(roubles(Kopecks::new(10_050).unwrap()), "100,50\u{a0}₽");
    }
}
