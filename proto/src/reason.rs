//! Reason codes: what callers branch on, never on text.
//!
//! A refusal carries `google.rpc.ErrorInfo` with one of these as its `reason`; the comment of each
//! call in the `.proto` says which of them it can answer.

use std::collections::HashMap;

use tonic::{Code, Status};
use tonic_types::{ErrorDetails, StatusExt};

/// `domain` of billing-svc's refusals.
pub const BILLING_DOMAIN: &str = "billing.medialab";
/// `domain` of payment-gateway's refusals.
pub const PAYMENTS_DOMAIN: &str = "payments.medialab";
/// `domain` of media-worker's refusals.
pub const MEDIA_DOMAIN: &str = "media.medialab";

/// A field is missing, malformed or out of its bounds; metadata `field` names it.
pub const INVALID_FIELD: &str = "INVALID_FIELD";
/// The same key was used before with another payload.
pub const IDEMPOTENCY_KEY_REUSED: &str = "IDEMPOTENCY_KEY_REUSED";
/// Too many requests wait; try again after a moment.
pub const BUSY: &str = "BUSY";
/// The caller's certificate does not allow the call; metadata `method` and `caller`.
pub const CALLER_NOT_ALLOWED: &str = "CALLER_NOT_ALLOWED";

// billing-svc

/// The user was never registered.
pub const USER_NOT_FOUND: &str = "USER_NOT_FOUND";
/// The price list has no such type and model.
pub const OPERATION_TYPE_NOT_SOLD: &str = "OPERATION_TYPE_NOT_SOLD";
/// Neither a free operation nor enough balance.
pub const INSUFFICIENT_FUNDS: &str = "INSUFFICIENT_FUNDS";
/// The price is higher than the caller expected.
pub const PRICE_CHANGED: &str = "PRICE_CHANGED";
/// The user has no such operation.
pub const OPERATION_NOT_FOUND: &str = "OPERATION_NOT_FOUND";
/// The operation is committed.
pub const OPERATION_COMMITTED: &str = "OPERATION_COMMITTED";
/// The operation is refunded.
pub const OPERATION_REFUNDED: &str = "OPERATION_REFUNDED";
/// The hold has run out of time, and cannot be taken again.
pub const HOLD_EXPIRED: &str = "HOLD_EXPIRED";
/// The user has no such top-up.
pub const TOP_UP_NOT_FOUND: &str = "TOP_UP_NOT_FOUND";
/// The top-up is settled.
pub const TOP_UP_SETTLED: &str = "TOP_UP_SETTLED";
/// Amount or currency are not those of the top-up.
pub const TOP_UP_AMOUNT_MISMATCH: &str = "TOP_UP_AMOUNT_MISMATCH";
/// Another payment belongs to this top-up.
pub const TOP_UP_PAYMENT_MISMATCH: &str = "TOP_UP_PAYMENT_MISMATCH";
/// The payment was credited to another top-up.
pub const PAYMENT_ALREADY_CLAIMED: &str = "PAYMENT_ALREADY_CLAIMED";
/// Nothing was credited for the top-up.
pub const TOP_UP_NOT_SETTLED: &str = "TOP_UP_NOT_SETTLED";
/// The operation is not committed, so no part of it can be refunded.
pub const OPERATION_NOT_COMMITTED: &str = "OPERATION_NOT_COMMITTED";
/// More than what is left of the price; metadata `left_kopecks`.
pub const REFUND_EXCEEDS_PRICE: &str = "REFUND_EXCEEDS_PRICE";
/// Another item of the batch was refused, and all or nothing was asked for.
pub const BATCH_REFUSED: &str = "BATCH_REFUSED";
/// The statistics that were asked for are more than one answer, or a minute, has room for.
pub const STATS_TOO_LARGE: &str = "STATS_TOO_LARGE";
/// There is no such promo code.
pub const PROMO_CODE_NOT_FOUND: &str = "PROMO_CODE_NOT_FOUND";
/// The promo code is not valid yet, no longer, or was stopped.
pub const PROMO_CODE_NOT_VALID: &str = "PROMO_CODE_NOT_VALID";
/// The promo code was redeemed as often as it may be.
pub const PROMO_CODE_USED_UP: &str = "PROMO_CODE_USED_UP";
/// This user has redeemed the promo code before.
pub const PROMO_CODE_ALREADY_REDEEMED: &str = "PROMO_CODE_ALREADY_REDEEMED";
/// The call does not say which operator's tool it comes from.
pub const OPERATOR_UNKNOWN: &str = "OPERATOR_UNKNOWN";
/// Operators' calls are not taken from there.
pub const OPERATOR_NOT_ALLOWED: &str = "OPERATOR_NOT_ALLOWED";
/// The service was not started with such a consumer of events.
pub const CONSUMER_NOT_FOUND: &str = "CONSUMER_NOT_FOUND";

// payment-gateway

/// The amount cannot be paid at the provider.
pub const AMOUNT_OUT_OF_RANGE: &str = "AMOUNT_OUT_OF_RANGE";
/// The provider will not take the payment.
pub const PROVIDER_REFUSED: &str = "PROVIDER_REFUSED";
/// The provider does not answer.
pub const PROVIDER_UNAVAILABLE: &str = "PROVIDER_UNAVAILABLE";
/// The provider has not been answering for a while, and is not asked for now.
pub const PROVIDER_DOWN: &str = "PROVIDER_DOWN";
/// The provider refuses because of the shop's settings, there or here: an operator must act.
pub const SHOP_NOT_READY: &str = "SHOP_NOT_READY";
/// A receipt must be sent, and the user's profile has no e-mail address for it.
pub const RECEIPT_EMAIL_REQUIRED: &str = "RECEIPT_EMAIL_REQUIRED";
/// billing-svc does not answer.
pub const BILLING_UNAVAILABLE: &str = "BILLING_UNAVAILABLE";
/// The service was started without a rate for Telegram Stars.
pub const STARS_NOT_OFFERED: &str = "STARS_NOT_OFFERED";
/// The invoice is too old to be paid.
pub const INVOICE_EXPIRED: &str = "INVOICE_EXPIRED";

// media-worker

/// The bytes are not a JPEG, PNG or WebP picture.
pub const NOT_A_PICTURE: &str = "NOT_A_PICTURE";
/// The picture has too many bytes.
pub const PICTURE_TOO_LARGE: &str = "PICTURE_TOO_LARGE";
/// The picture has too many pixels.
pub const PICTURE_DIMENSIONS: &str = "PICTURE_DIMENSIONS";
/// No such mode.
pub const UNKNOWN_MODE: &str = "UNKNOWN_MODE";
/// Too few or too many inputs for the mode.
pub const WRONG_INPUTS: &str = "WRONG_INPUTS";
/// The mode needs a prompt.
pub const PROMPT_MISSING: &str = "PROMPT_MISSING";
/// The prompt is too long.
pub const PROMPT_TOO_LONG: &str = "PROMPT_TOO_LONG";
/// An input does not exist, belongs to another user, or was dropped.
pub const INPUT_NOT_FOUND: &str = "INPUT_NOT_FOUND";
/// The operation is not reserved.
pub const OPERATION_NOT_RESERVED: &str = "OPERATION_NOT_RESERVED";
/// The user has no such job.
pub const JOB_NOT_FOUND: &str = "JOB_NOT_FOUND";
/// The provider is at work on the job, or done.
pub const JOB_STARTED: &str = "JOB_STARTED";
/// The job has no result, or it is no longer kept.
pub const RESULT_NOT_FOUND: &str = "RESULT_NOT_FOUND";
/// There is no text to draw.
pub const TEXT_MISSING: &str = "TEXT_MISSING";
/// The text is too long to draw.
pub const TEXT_TOO_LONG: &str = "TEXT_TOO_LONG";
/// The text would have to be drawn too small to be read on this picture.
pub const TEXT_DOES_NOT_FIT: &str = "TEXT_DOES_NOT_FIT";
/// No font has these characters.
pub const TEXT_CHARACTERS_MISSING: &str = "TEXT_CHARACTERS_MISSING";
/// The description of a style is empty.
pub const DESCRIPTION_MISSING: &str = "DESCRIPTION_MISSING";
/// The description of a style is longer than `max_characters`.
pub const DESCRIPTION_TOO_LONG: &str = "DESCRIPTION_TOO_LONG";

/// The reason code that a refusal carries, if it carries one.
pub fn of(status: &Status) -> Option<String> {
    status.get_details_error_info().map(|info| info.reason)
}

/// One value of a refusal's metadata, such as `price_kopecks`.
pub fn value(status: &Status, key: &str) -> Option<String> {
    status.get_details_error_info().and_then(|mut info| info.metadata.remove(key))
}

/// Makes a refusal that [`of`] and [`value`] can read.
pub fn refusal<const N: usize>(
    code: Code,
    (domain, reason): (&str, &str),
    message: impl Into<String>,
    values: [(&str, String); N],
) -> Status {
    let metadata: HashMap<String, String> =
        values.into_iter().map(|(key, value)| (key.to_owned(), value)).collect();
    Status::with_error_details(
        code,
        message,
        ErrorDetails::with_error_info(reason, domain, metadata),
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_refusal_carries_its_reason_and_values() {
        let status = refusal(
            Code::FailedPrecondition,
            (BILLING_DOMAIN, INSUFFICIENT_FUNDS),
            "not enough",
            [("price_kopecks", "1000".to_owned())],
        );

        assert_eq!(of(&status).as_deref(), Some(INSUFFICIENT_FUNDS));
        assert_eq!(value(&status, "price_kopecks").as_deref(), Some("1000"));
        assert_eq!(value(&status, "absent"), None);
        assert_eq!(of(&Status::unavailable("no details")), None);
    }
}
