//! The operators' door: the same books, for named persons.

use std::net::IpAddr;

use proto::billing::v1 as wire;
use proto::billing::v1::admin_service_server::AdminService;
use proto::reason::{self, BILLING_DOMAIN};
use proto::service::callers::{Caller, Peer};
use tonic::metadata::MetadataMap;
use tonic::service::Interceptor;
use tonic::{Code, Request, Response, Status};

use super::{Answer, Service, answers, pages, promo_requests, requests, stats};
use crate::store::Store;

/// Which operators' tool calls.
const OPERATOR_HEADER: &str = "x-medialab-operator";
const OPERATOR_MAX: usize = 64;

/// Lets in who says which tool it is. Who has proven a name was held against the table of callers
/// before; in plain text nobody has, so only this machine is let in.
#[derive(Clone, Copy, Debug)]
pub struct AdminDoor;

impl Interceptor for AdminDoor {
    fn call(&mut self, request: Request<()>) -> Result<Request<()>, Status> {
        check(request.extensions().get::<Peer>(), request.metadata())?;
        Ok(request)
    }
}

fn check(peer: Option<&Peer>, metadata: &MetadataMap) -> Result<(), Status> {
    let may_enter = peer.is_some_and(|peer| match peer.caller {
        Caller::Known(_) => true,
        Caller::Other(_) => false,
        Caller::Unproven => peer.address.is_some_and(|address| is_loopback(address.ip())),
    });
    if !may_enter {
        return Err(reason::refusal(
            Code::PermissionDenied,
            (BILLING_DOMAIN, reason::OPERATOR_NOT_ALLOWED),
            "operators call with their certificate, or in plain text from this machine",
            [],
        ));
    }
    let operator = metadata.get(OPERATOR_HEADER).and_then(|value| value.to_str().ok());
    match operator {
        Some(name) if (1..=OPERATOR_MAX).contains(&name.len()) => {
            tracing::info!(operator = name, "billing: an operator's call");
            Ok(())
        }
        Some(_) | None => Err(reason::refusal(
            Code::Unauthenticated,
            (BILLING_DOMAIN, reason::OPERATOR_UNKNOWN),
            format!("send the metadata {OPERATOR_HEADER}: 1 to 64 printable ASCII characters"),
            [],
        )),
    }
}

/// A socket for both families shows an IPv4 peer as a mapped address.
fn is_loopback(ip: IpAddr) -> bool {
    ip.to_canonical().is_loopback()
}

#[tonic::async_trait]
impl<S: Store> AdminService for Service<S> {
    async fn adjust_balance(
        &self,
        request: Request<wire::AdjustBalanceRequest>,
    ) -> Answer<wire::AdjustBalanceResponse> {
        let adjusted = self.ledger.decide(promo_requests::adjust(request.into_inner())?).await?;
        let entry_number = adjusted.entry_number;
        let account = Some(answers::account(adjusted.standing));
        Ok(Response::new(wire::AdjustBalanceResponse { account, entry_number }))
    }

    async fn grant_free_operations(
        &self,
        request: Request<wire::GrantFreeOperationsRequest>,
    ) -> Answer<wire::GrantFreeOperationsResponse> {
        let grant = promo_requests::grant_free_operations(request.into_inner())?;
        let granted = self.ledger.decide(grant).await?;
        let entry_number = granted.entry_number;
        let account = Some(answers::account(granted.standing));
        Ok(Response::new(wire::GrantFreeOperationsResponse { account, entry_number }))
    }

    async fn find_user(
        &self,
        request: Request<wire::FindUserRequest>,
    ) -> Answer<wire::FindUserResponse> {
        let known = promo_requests::known(request.into_inner())?;
        let found = self.ledger.find_users(&known).await?;
        let accounts = found.into_iter().map(answers::account).collect();
        Ok(Response::new(wire::FindUserResponse { accounts }))
    }

    async fn get_stats(
        &self,
        request: Request<wire::GetStatsRequest>,
    ) -> Answer<wire::GetStatsResponse> {
        let asked = stats::asked(&request.into_inner())?;
        let sales = self.ledger.sales(asked.period).await?;
        Ok(Response::new(stats::answer(sales, asked.usd_kopecks)?))
    }

    async fn create_promo_code(
        &self,
        request: Request<wire::CreatePromoCodeRequest>,
    ) -> Answer<wire::CreatePromoCodeResponse> {
        let offer = promo_requests::offer(request.into_inner())?;
        let promo_code = Some(answers::promo_code(self.ledger.create_promo_code(offer).await?));
        Ok(Response::new(wire::CreatePromoCodeResponse { promo_code }))
    }

    async fn stop_promo_code(
        &self,
        request: Request<wire::StopPromoCodeRequest>,
    ) -> Answer<wire::StopPromoCodeResponse> {
        let (name, by) = promo_requests::stop(request.into_inner())?;
        let promo_code = Some(answers::promo_code(self.ledger.stop_promo_code(name, by).await?));
        Ok(Response::new(wire::StopPromoCodeResponse { promo_code }))
    }

    async fn list_promo_codes(
        &self,
        request: Request<wire::ListPromoCodesRequest>,
    ) -> Answer<wire::ListPromoCodesResponse> {
        let request = request.into_inner();
        let limit = pages::promo_codes_limit(request.page_size)?;
        let after = pages::promo_codes_place(&request.page_token)?;
        let read = self.ledger.promo_codes(&after, limit.with_one_more()).await?;
        let page =
            pages::Page::cut(read, limit, (pages::promo_code_weight, pages::promo_code_place_text));
        Ok(Response::new(wire::ListPromoCodesResponse {
            promo_codes: page.items.into_iter().map(answers::promo_code).collect(),
            next_page_token: page.next,
        }))
    }

    async fn verify_ledger(
        &self,
        request: Request<wire::VerifyLedgerRequest>,
    ) -> Answer<wire::VerifyLedgerResponse> {
        let request = request.into_inner();
        let limit = pages::verify_limit(request.page_size)?;
        let place = pages::verify_place(&request.page_token)?;
        let page = match request.user_id {
            0 => self.ledger.verify_page(&place, limit).await?,
            id => self.ledger.verify_user(requests::user(id)?).await?,
        };
        Ok(Response::new(answers::verified(page)))
    }
}

#[cfg(test)]
mod tests {
    use proto::service::callers::Known;

    use super::*;

    fn peer(address: &str, caller: Caller) -> Option<Peer> {
        Some(Peer { address: address.parse().ok(), caller })
    }

    #[test]
    fn only_a_named_tool_of_an_operator_or_on_this_machine_is_let_in() {
        let mut named = MetadataMap::new();
        named.insert(OPERATOR_HEADER, "cli".parse().unwrap());
        let here = peer("127.0.0.1:5000", Caller::Unproven);
        let mapped = peer("[::ffff:127.0.0.1]:5000", Caller::Unproven);
        let elsewhere = peer("10.0.0.7:5000", Caller::Unproven);
        let operator = peer("10.0.0.7:5000", Caller::Known(Known::Operator));
        let stranger = peer("127.0.0.1:5000", Caller::Other("somebody".into()));

        for let_in in [&here, &mapped, &operator] {
            assert!(check(let_in.as_ref(), &named).is_ok(), "{let_in:?}");
            let unnamed = check(let_in.as_ref(), &MetadataMap::new()).unwrap_err();
            assert_eq!(unnamed.code(), Code::Unauthenticated, "{let_in:?}");
        }
        for kept_out in [&elsewhere, &stranger, &None] {
            let refused = check(kept_out.as_ref(), &named).unwrap_err();
            assert_eq!(refused.code(), Code::PermissionDenied, "{kept_out:?}");
        }
    }
}
