//! Asks the service what the model was asked, and reads its answer in the model's words.

use std::collections::HashMap;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use proto::billing::v1 as wire;
use proto::client::{self, Admin, Billing};
use tonic::Status;

use super::request::{Answer, Ended, Refusal, Request};

/// On a machine that does much else; a call that is given up is a difference.
const PATIENCE: Duration = Duration::from_secs(90);

/// Asks the operators' part as the thin client asks the other: again while the outcome is unknown.
macro_rules! ask_admin {
    ($caller:ident, $method:ident, $message:ident) => {
        client::call($caller.patience, $message, |request| {
            let mut admin = $caller.admin.clone();
            async move { admin.$method(request).await }
        })
        .await?
    };
}

/// Whether the service's clock is the model's.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) enum Times {
    Compared,
    /// It is a real one: every time is left out.
    LeftOut,
}

/// The service's ids by whose they are and what the model calls them. An operation and a top-up
/// are kept apart by the first letter.
type Ids = HashMap<(char, i64, String), String>;

/// Speaks with one process. Clones, and callers of other processes, share the ids.
#[derive(Clone, Debug)]
pub(crate) struct Caller {
    billing: Billing,
    admin: Admin,
    patience: Duration,
    ids: Arc<Mutex<Ids>>,
    times: Times,
}

impl Caller {
    pub(crate) fn new(url: &str, times: Times) -> Self {
        let channel = client::channel(url).unwrap();
        let admin = client::admin(channel.clone(), "tests").unwrap();
        let billing = Billing::new(channel);
        Self { billing, admin, patience: PATIENCE, ids: Arc::default(), times }.within(PATIENCE)
    }

    /// The same ids at another process.
    pub(crate) fn at(&self, url: &str) -> Self {
        Self { ids: Arc::clone(&self.ids), ..Self::new(url, self.times) }
    }

    /// The same with another patience for what is not answered.
    pub(crate) fn within(self, patience: Duration) -> Self {
        Self { billing: self.billing.with_deadline(patience), patience, ..self }
    }

    pub(super) fn compares_times(&self) -> bool {
        self.times == Times::Compared
    }

    /// Whether the service has named everything that the request is about.
    pub(crate) fn knows(&self, request: &Request) -> bool {
        let ids = self.ids.lock().unwrap();
        request.names().into_iter().all(|name| ids.contains_key(&name))
    }

    /// Asks once (the thin client asks again where the outcome is unknown, for as long as it has
    /// patience).
    pub(crate) async fn call(&self, request: &Request) -> Ended {
        let ended = self.send(request.clone()).await;
        match ended {
            Ok(answer) => Ok(self.in_our_words(answer)),
            Err(status) => Err(Refusal::of_status(&status)),
        }
    }

    async fn send(&self, request: Request) -> Result<Answer, Status> {
        let (billing, operation, top_up) = (&self.billing, Answer::operation, Answer::top_up);
        Ok(match request {
            Request::Register(r) => {
                let wire::RegisterUserResponse { account, created } =
                    billing.register_user(r).await?;
                Answer { account, created, ..Answer::default() }
            }
            Request::GetAccount(r) => {
                let account = billing.get_account(r).await?.account;
                Answer { account, ..Answer::default() }
            }
            Request::Reserve(r) => operation(billing.reserve(r).await?.operation),
            Request::Extend(mut r) => {
                self.operation_id(r.user_id, &mut r.operation_id);
                operation(billing.extend(r).await?.operation)
            }
            Request::Commit(r) => operation(billing.commit(self.commit(r)).await?.operation),
            Request::Refund(r) => operation(billing.refund(self.refund(r)).await?.operation),
            Request::BatchReserve(r) => results(billing.batch_reserve(r).await?.results),
            Request::BatchCommit(mut r) => {
                r.items = r.items.into_iter().map(|item| self.commit(item)).collect();
                results(billing.batch_commit(r).await?.results)
            }
            Request::BatchRefund(mut r) => {
                r.items = r.items.into_iter().map(|item| self.refund(item)).collect();
                results(billing.batch_refund(r).await?.results)
            }
            Request::GetOperation(mut r) => {
                self.operation_id(r.user_id, &mut r.operation_id);
                operation(billing.get_operation(r).await?.operation)
            }
            Request::ListOperations(r) => {
                let operations = billing.list_operations(r).await?.operations;
                Answer { operations, ..Answer::default() }
            }
            Request::OpenTopUp(r) => top_up(billing.open_top_up(r).await?.top_up),
            Request::RecordPayment(mut r) => {
                self.top_up_id(r.user_id, &mut r.top_up_id);
                top_up(billing.record_top_up_payment(r).await?.top_up)
            }
            Request::Settle(mut r) => {
                self.top_up_id(r.user_id, &mut r.top_up_id);
                let settled = billing.settle_top_up(r).await?;
                Answer { account: settled.account, ..top_up(settled.top_up) }
            }
            Request::Cancel(mut r) => {
                self.top_up_id(r.user_id, &mut r.top_up_id);
                top_up(billing.cancel_top_up(r).await?.top_up)
            }
            Request::Reverse(mut r) => {
                self.top_up_id(r.user_id, &mut r.top_up_id);
                let reversed = billing.reverse_top_up(r).await?;
                Answer { account: reversed.account, ..top_up(reversed.top_up) }
            }
            Request::GetTopUp(mut r) => {
                self.top_up_id(r.user_id, &mut r.top_up_id);
                top_up(billing.get_top_up(r).await?.top_up)
            }
            Request::Redeem(r) => {
                let wire::RedeemPromoCodeResponse { redemption, account } =
                    billing.redeem_promo_code(r).await?;
                Answer { redemption, account, ..Answer::default() }
            }
            Request::Adjust(_)
            | Request::Grant(_)
            | Request::CreatePromoCode(_)
            | Request::StopPromoCode(_) => self.send_to_operators(request).await?,
        })
    }

    async fn send_to_operators(&self, request: Request) -> Result<Answer, Status> {
        Ok(match request {
            Request::Adjust(r) => {
                let adjusted = ask_admin!(self, adjust_balance, r);
                let (account, entry_number) = (adjusted.account, adjusted.entry_number);
                Answer { account, entry_number, ..Answer::default() }
            }
            Request::Grant(r) => {
                let granted = ask_admin!(self, grant_free_operations, r);
                let (account, entry_number) = (granted.account, granted.entry_number);
                Answer { account, entry_number, ..Answer::default() }
            }
            Request::CreatePromoCode(r) => {
                let promo_code = ask_admin!(self, create_promo_code, r).promo_code;
                Answer { promo_code, ..Answer::default() }
            }
            Request::StopPromoCode(r) => {
                let promo_code = ask_admin!(self, stop_promo_code, r).promo_code;
                Answer { promo_code, ..Answer::default() }
            }
            other => panic!("{other:?} is not for operators"),
        })
    }

    fn commit(&self, mut r: wire::CommitRequest) -> wire::CommitRequest {
        self.operation_id(r.user_id, &mut r.operation_id);
        r
    }

    fn refund(&self, mut r: wire::RefundRequest) -> wire::RefundRequest {
        self.operation_id(r.user_id, &mut r.operation_id);
        r
    }

    fn operation_id(&self, user_id: i64, id: &mut String) {
        *id = self.id(('o', user_id, id.clone()));
    }

    fn top_up_id(&self, user_id: i64, id: &mut String) {
        *id = self.id(('t', user_id, id.clone()));
    }

    /// What the service calls it; what it has never named gets an id that it does not know.
    fn id(&self, ours: (char, i64, String)) -> String {
        self.ids.lock().unwrap().get(&ours).cloned().unwrap_or(uuid::Uuid::nil().to_string())
    }

    fn in_our_words(&self, mut answer: Answer) -> Answer {
        let listed = answer.operations.iter_mut().chain(answer.operation.as_mut());
        for operation in listed.chain(answer.results.iter_mut().flatten()) {
            let ours = ('o', operation.user_id, operation.idempotency_key.clone());
            self.rename(ours, &mut operation.operation_id);
        }
        if let Some(top_up) = &mut answer.top_up {
            let ours = ('t', top_up.user_id, top_up.idempotency_key.clone());
            self.rename(ours, &mut top_up.top_up_id);
        }
        if self.times == Times::LeftOut { answer.without_times() } else { answer }
    }

    /// The id that the service gave first is the thing's for ever; another one is left as it is.
    fn rename(&self, ours: (char, i64, String), theirs: &mut String) {
        if theirs.is_empty() {
            return;
        }
        let mut ids = self.ids.lock().unwrap();
        if ids.entry(ours.clone()).or_insert_with(|| theirs.clone()) == theirs {
            *theirs = ours.2;
        }
    }

    /// A user's whole statement, by pages, the oldest entry first.
    pub(super) async fn statement(&self, user_id: i64) -> Vec<wire::Entry> {
        let ids = self.ids.lock().unwrap().clone();
        let theirs = ids.into_iter().filter(|((_, id, _), _)| *id == user_id);
        let ours: HashMap<String, String> = theirs.map(|((_, _, key), id)| (id, key)).collect();
        let name = |id: &mut String| *id = ours.get(id).cloned().unwrap_or_default();
        let mut request =
            wire::ListStatementRequest { user_id, page_size: 500, ..Default::default() };
        let mut entries = Vec::new();
        loop {
            let page = self.billing.list_statement(request.clone()).await.unwrap();
            entries.extend(page.entries);
            if page.next_page_token.is_empty() {
                break;
            }
            request.page_token = page.next_page_token;
        }
        for entry in &mut entries {
            name(&mut entry.operation_id);
            name(&mut entry.top_up_id);
        }
        entries.reverse();
        entries
    }

    /// The model's answer as this service could give it.
    pub(crate) fn comparable(&self, ended: Ended) -> Ended {
        ended.map(
            |answer| {
                if self.times == Times::LeftOut { answer.without_times() } else { answer }
            },
        )
    }
}

impl Answer {
    fn without_times(mut self) -> Self {
        let listed = self.operations.iter_mut().chain(self.operation.as_mut());
        for operation in listed.chain(self.results.iter_mut().flatten()) {
            (operation.created_at, operation.expires_at, operation.ended_at) = (None, None, None);
        }
        if let Some(top_up) = &mut self.top_up {
            (top_up.created_at, top_up.ended_at) = (None, None);
        }
        if let Some(account) = &mut self.account {
            account.created_at = None;
            account.redemptions.iter_mut().for_each(|redemption| redemption.redeemed_at = None);
            account.redemptions.sort_by(|a, b| a.code.cmp(&b.code));
        }
        if let Some(redemption) = &mut self.redemption {
            redemption.redeemed_at = None;
        }
        if let Some(code) = &mut self.promo_code {
            (code.created_at, code.stopped_at) = (None, None);
        }
        self
    }
}

fn results(results: Vec<wire::OperationResult>) -> Answer {
    use wire::operation_result::Outcome;
    let result = |result: wire::OperationResult| match result.outcome {
        Some(Outcome::Operation(operation)) => Ok(operation),
        Some(Outcome::Refusal(refusal)) => Err(Refusal {
            code: refusal.code.into(),
            reason: refusal.reason,
            metadata: refusal.metadata.into_iter().collect(),
        }),
        None => panic!("an item without an outcome"),
    };
    Answer { results: results.into_iter().map(result).collect(), ..Answer::default() }
}
