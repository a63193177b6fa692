//! What operators, promo codes and providers' refunds do, in the product's words.

use proto::billing::v1 as wire;
use proto::client::Admin;
use tonic::Status;

use crate::app::{App, roubles};

impl App {
    /// The operators' door.
    pub(crate) fn operators(&self) -> Admin {
        self.replica.operators.clone()
    }

    /// The moment so many seconds from now, below zero for the past.
    pub(crate) fn moment(&self, seconds: i64) -> Option<prost_types::Timestamp> {
        use billing_svc::clock::Clock as _;
        let now = self.clock.now().as_micros() / 1_000_000;
        Some(prost_types::Timestamp { seconds: now + seconds, nanos: 0 })
    }

    // ---- promo codes ----------------------------------------------------------------------------

    pub(crate) async fn create_promo_code(
        &self,
        request: wire::CreatePromoCodeRequest,
    ) -> Result<wire::PromoCode, Status> {
        let response = self.operators().create_promo_code(request).await?;
        Ok(response.into_inner().promo_code.unwrap())
    }

    /// A code without limits.
    pub(crate) async fn offer(&self, code: &str, effect: wire::promo_effect::Effect) {
        self.create_promo_code(offer(code, effect)).await.unwrap();
    }

    pub(crate) async fn stop_promo_code(&self, code: &str) -> Result<wire::PromoCode, Status> {
        let request = wire::StopPromoCodeRequest {
            code: code.to_owned(),
            actor: "olga".to_owned(),
            reason: "the season is over".to_owned(),
        };
        Ok(self.operators().stop_promo_code(request).await?.into_inner().promo_code.unwrap())
    }

    pub(crate) async fn redeem(
        &self,
        user_id: i64,
        code: &str,
        key: &str,
    ) -> Result<wire::RedeemPromoCodeResponse, Status> {
        self.billing().redeem_promo_code(redeem(user_id, code, key)).await
    }

    // ---- persons --------------------------------------------------------------------------------

    pub(crate) async fn adjust(
        &self,
        user_id: i64,
        amount_kopecks: i64,
        key: &str,
    ) -> Result<wire::AdjustBalanceResponse, Status> {
        let request = wire::AdjustBalanceRequest {
            user_id,
            amount_kopecks,
            actor: "olga".to_owned(),
            reason: "a promise was kept".to_owned(),
            idempotency_key: key.to_owned(),
        };
        Ok(self.operators().adjust_balance(request).await?.into_inner())
    }

    pub(crate) async fn grant(
        &self,
        user_id: i64,
        count: i64,
        key: &str,
    ) -> Result<wire::GrantFreeOperationsResponse, Status> {
        let request = wire::GrantFreeOperationsRequest {
            user_id,
            count,
            actor: "olga".to_owned(),
            reason: "the picture was bad".to_owned(),
            idempotency_key: key.to_owned(),
        };
        Ok(self.operators().grant_free_operations(request).await?.into_inner())
    }

    pub(crate) async fn refund_part(
        &self,
        of: &wire::Operation,
        kopecks: i64,
        key: &str,
    ) -> Result<wire::Operation, Status> {
        let request = wire::RefundRequest {
            user_id: of.user_id,
            operation_id: of.operation_id.clone(),
            reason: "half of it was bad".to_owned(),
            actor: "olga".to_owned(),
            amount_kopecks: Some(kopecks),
            idempotency_key: key.to_owned(),
        };
        Ok(self.billing().refund(request).await?.operation.unwrap())
    }

    // ---- providers' refunds ---------------------------------------------------------------------

    /// A settled top-up.
    pub(crate) async fn settled(&self, user_id: i64, kopecks: i64, key: &str) -> wire::TopUp {
        let top_up = self.open_top_up(user_id, kopecks, key).await;
        self.settle(&top_up, &format!("payment-{key}")).await.unwrap().top_up.unwrap()
    }

    pub(crate) async fn reverse(
        &self,
        of: &wire::TopUp,
        refund: &str,
        kopecks: i64,
    ) -> Result<wire::ReverseTopUpResponse, Status> {
        let request = wire::ReverseTopUpRequest {
            user_id: of.user_id,
            top_up_id: of.top_up_id.clone(),
            provider_refund_id: refund.to_owned(),
            refunded: roubles(kopecks),
        };
        self.billing().reverse_top_up(request).await
    }

    // ---- what was written -----------------------------------------------------------------------

    /// A user's whole statement, the oldest entry first.
    pub(crate) async fn statement(&self, user_id: i64) -> Vec<wire::Entry> {
        let request = wire::ListStatementRequest { user_id, page_size: 500, ..Default::default() };
        let mut entries = self.billing().list_statement(request).await.unwrap().entries;
        entries.reverse();
        entries
    }

    /// Kind and amount of a user's events, in order.
    pub(crate) async fn events(&self, user_id: i64) -> Vec<(String, i64)> {
        let look = self.look().await;
        let rows = look
            .texts(
                "select cast(user_id as text), kind, cast(amount as text)
                 from events
                 order by user_id, number",
            )
            .await;
        look.close().await;
        rows.into_iter()
            .filter(|row| row[0] == user_id.to_string())
            .map(|row| (row[1].clone(), row[2].parse().unwrap()))
            .collect()
    }
}

/// A CreatePromoCode without limits.
pub(crate) fn offer(
    code: &str,
    effect: wire::promo_effect::Effect,
) -> wire::CreatePromoCodeRequest {
    wire::CreatePromoCodeRequest {
        code: code.to_owned(),
        effect: Some(wire::PromoEffect { effect: Some(effect) }),
        actor: "olga".to_owned(),
        reason: "spring".to_owned(),
        ..wire::CreatePromoCodeRequest::default()
    }
}

pub(crate) fn redeem(user_id: i64, code: &str, key: &str) -> wire::RedeemPromoCodeRequest {
    wire::RedeemPromoCodeRequest { user_id, code: code.to_owned(), idempotency_key: key.to_owned() }
}

/// So many percent off, for ever.
pub(crate) fn percent_off(percent: i32) -> wire::promo_effect::Effect {
    let discount = wire::OperationDiscount { percent, until: None };
    wire::promo_effect::Effect::OperationDiscount(discount)
}

/// So many percent more on a top-up, for ever.
pub(crate) fn bonus(percent: i32, bonus_max_kopecks: i64) -> wire::promo_effect::Effect {
    let bonus = wire::TopUpBonus { percent, bonus_max_kopecks, until: None };
    wire::promo_effect::Effect::TopUpBonus(bonus)
}

pub(crate) fn free_operations(count: i64) -> wire::promo_effect::Effect {
    wire::promo_effect::Effect::FreeOperations(wire::FreeOperations { count })
}

pub(crate) fn free_access(until: Option<prost_types::Timestamp>) -> wire::promo_effect::Effect {
    wire::promo_effect::Effect::FreeAccess(wire::FreeAccess { until })
}
