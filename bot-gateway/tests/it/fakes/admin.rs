//! `AdminService`, as far as the bot calls it.

use prost_types::Timestamp;
use proto::billing::v1::admin_service_server::AdminService;
use proto::billing::v1::find_user_request::By;
use proto::billing::v1::{
    AdjustBalanceRequest, AdjustBalanceResponse, CreatePromoCodeRequest, CreatePromoCodeResponse,
    FindUserRequest, FindUserResponse, GetStatsRequest, GetStatsResponse,
    GrantFreeOperationsRequest, GrantFreeOperationsResponse, ListPromoCodesRequest,
    ListPromoCodesResponse, PromoCode, StopPromoCodeRequest, StopPromoCodeResponse,
    VerifyLedgerRequest, VerifyLedgerResponse,
};
use proto::reason::{self, BILLING_DOMAIN, refusal};
use tonic::{Code, Request, Response, Status};

use super::Fakes;

type Answer<T> = Result<Response<T>, Status>;

fn named<T>(request: Request<T>) -> T {
    assert_eq!(request.metadata().get("x-medialab-operator").unwrap(), "bot-gateway");
    request.into_inner()
}

fn unknown() -> Status {
    refusal(Code::NotFound, (BILLING_DOMAIN, reason::USER_NOT_FOUND), "unknown", [])
}

#[tonic::async_trait]
impl AdminService for Fakes {
    async fn adjust_balance(
        &self,
        request: Request<AdjustBalanceRequest>,
    ) -> Answer<AdjustBalanceResponse> {
        let request = named(request);
        assert!(request.idempotency_key.starts_with("bot:operator:"));
        let mut model = self.model();
        let account = model.accounts.get_mut(&request.user_id).ok_or_else(unknown)?;
        if account.balance_kopecks + request.amount_kopecks < 0 {
            let told = (BILLING_DOMAIN, reason::INSUFFICIENT_FUNDS);
            return Err(refusal(Code::FailedPrecondition, told, "not so much <is> there", []));
        }
        account.balance_kopecks += request.amount_kopecks;
        let account = Some(account.clone());
        model.interventions.push((request.actor, request.reason));
        Ok(Response::new(AdjustBalanceResponse { account, entry_number: 1 }))
    }

    async fn grant_free_operations(
        &self,
        request: Request<GrantFreeOperationsRequest>,
    ) -> Answer<GrantFreeOperationsResponse> {
        let request = named(request);
        let mut model = self.model();
        if model.refuses_grants {
            return Err(Status::permission_denied("the test refuses it"));
        }
        let account = model.accounts.get(&request.user_id).ok_or_else(unknown)?;
        let mut account = account.clone();
        if !model.grant_keys.contains(&request.idempotency_key) {
            account.free_operations += request.count;
            model.accounts.insert(request.user_id, account.clone());
            model.grant_keys.push(request.idempotency_key);
            model.interventions.push((request.actor, request.reason));
        }
        let account = Some(account);
        Ok(Response::new(GrantFreeOperationsResponse { account, entry_number: 1 }))
    }

    async fn find_user(&self, request: Request<FindUserRequest>) -> Answer<FindUserResponse> {
        let model = self.model();
        let accounts = match named(request).by.unwrap() {
            By::UserId(id) => model.accounts.get(&id).cloned().into_iter().collect(),
            By::ReceiptEmail(email) => {
                let has = |id: &i64| model.email(*id).as_deref() == Some(email.as_str());
                let ids = model.accounts.keys().filter(|id| has(id));
                ids.map(|id| model.accounts[id].clone()).collect()
            }
            By::Payment(_) => Vec::new(),
        };
        Ok(Response::new(FindUserResponse { accounts }))
    }

    async fn get_stats(&self, request: Request<GetStatsRequest>) -> Answer<GetStatsResponse> {
        let request = named(request);
        assert_eq!(request.utc_offset_minutes, 180);
        assert!(request.from.unwrap().seconds < request.to.unwrap().seconds);
        Ok(Response::new(GetStatsResponse { rows: self.model().sales.clone() }))
    }

    async fn create_promo_code(
        &self,
        request: Request<CreatePromoCodeRequest>,
    ) -> Answer<CreatePromoCodeResponse> {
        let request = named(request);
        let code = PromoCode {
            code: request.code.to_uppercase(),
            effect: request.effect,
            redemptions_max: request.redemptions_max,
            valid_until: request.valid_until,
            created_by: request.actor,
            create_reason: request.reason,
            ..PromoCode::default()
        };
        self.model().offers_made.push(code.clone());
        Ok(Response::new(CreatePromoCodeResponse { promo_code: Some(code) }))
    }

    async fn stop_promo_code(
        &self,
        request: Request<StopPromoCodeRequest>,
    ) -> Answer<StopPromoCodeResponse> {
        let request = named(request);
        let mut model = self.model();
        let code = model.offers_made.iter_mut().find(|code| code.code == request.code);
        let code = code.ok_or_else(|| {
            let told = (BILLING_DOMAIN, reason::PROMO_CODE_NOT_FOUND);
            refusal(Code::NotFound, told, "no such code", [])
        })?;
        code.stopped_at = Some(Timestamp::default());
        code.stopped_by = request.actor;
        Ok(Response::new(StopPromoCodeResponse { promo_code: Some(code.clone()) }))
    }

    async fn list_promo_codes(
        &self,
        request: Request<ListPromoCodesRequest>,
    ) -> Answer<ListPromoCodesResponse> {
        named(request);
        let promo_codes = self.model().offers_made.clone();
        Ok(Response::new(ListPromoCodesResponse { promo_codes, ..Default::default() }))
    }

    async fn verify_ledger(&self, _: Request<VerifyLedgerRequest>) -> Answer<VerifyLedgerResponse> {
        Err(Status::unimplemented("the bot has no business with this call"))
    }
}
