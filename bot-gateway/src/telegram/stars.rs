//! Payments in Telegram Stars: invoices, the answer before a payment, and giving back.

use serde_json::json;
use teloxide::ApiError;
use teloxide::types::{ChatId, PreCheckoutQueryId};

use super::calls::{Sent, Telegram, message_id};
use super::error::TelegramError;

/// What Telegram calls Stars.
pub const CURRENCY: &str = "XTR";
/// Makes a forwarded copy of an invoice lead to the bot, so that nobody else pays it.
const START_PARAMETER: &str = "stars";

/// What an invoice says.
#[derive(Clone, Debug)]
pub struct Invoice {
    /// 1 to 32 characters.
    pub title: String,
    /// 1 to 255 characters.
    pub description: String,
    /// What a payment of it brings back: 1 to 128 bytes.
    pub payload: String,
    /// What the price is for.
    pub label: String,
    /// What is to be paid, in whole Stars.
    pub stars: i64,
}

impl Telegram {
    /// Sends an invoice in Stars, with a button that pays.
    pub async fn send_invoice(
        &self,
        chat: ChatId,
        invoice: &Invoice,
    ) -> Result<Sent, TelegramError> {
        let message = json!({
            "chat_id": chat,
            "title": invoice.title,
            "description": invoice.description,
            "payload": invoice.payload,
            "currency": CURRENCY,
            "prices": [{ "label": invoice.label, "amount": invoice.stars }],
            "start_parameter": START_PARAMETER,
        });
        self.call("sendInvoice", message).await.map(|message| message_id(&message))
    }

    /// Lets a payment go on, or says why it must not.
    pub async fn answer_pre_checkout(
        &self,
        id: &PreCheckoutQueryId,
        refusal: Option<&str>,
    ) -> Result<(), TelegramError> {
        let mut answer = json!({ "pre_checkout_query_id": id, "ok": refusal.is_none() });
        if let Some(refusal) = refusal {
            answer["error_message"] = refusal.into();
        }
        self.call("answerPreCheckoutQuery", answer).await.map(drop)
    }

    /// Gives the Stars of a payment back, all of them. That they went back before is as good.
    pub async fn refund_stars(&self, user_id: i64, charge: &str) -> Result<(), TelegramError> {
        let refund = json!({ "user_id": user_id, "telegram_payment_charge_id": charge });
        match self.call("refundStarPayment", refund).await {
            Err(TelegramError::Refused(ApiError::Unknown(text)))
                if text.contains("CHARGE_ALREADY_REFUNDED") =>
            {
                Ok(())
            }
            other => other.map(drop),
        }
    }
}
