//! Random calls about one user, from a seed: mostly sensible, often repeated, sometimes absurd.

use proto::billing::v1 as wire;

use super::request::Request;

/// A seeded generator (xorshift): the same calls on every run and on both engines.
#[derive(Clone, Debug)]
pub(crate) struct Dice(u64);

impl Dice {
    pub(crate) fn new(seed: u64) -> Self {
        // Seeds that are near each other give calls that are not; 0 would give nothing else.
        Self(seed.wrapping_add(1).wrapping_mul(0x9e37_79b9_7f4a_7c15) | 1)
    }

    /// A number from 0 to `sides` - 1.
    pub(crate) fn roll(&mut self, sides: usize) -> usize {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        usize::try_from(self.0 >> 33).unwrap() % sides
    }

    pub(crate) fn one_in(&mut self, times: usize) -> bool {
        self.roll(times) == 0
    }

    pub(crate) fn pick<T: Clone>(&mut self, from: &[T]) -> T {
        from[self.roll(from.len())].clone()
    }

    /// One of a list, the later the likelier.
    pub(crate) fn recent<T: Clone>(&mut self, from: &[T]) -> Option<T> {
        let back = self.roll(4) * self.roll(4) + self.roll(3);
        from.len().checked_sub(1 + back).or(from.len().checked_sub(1)).map(|i| from[i].clone())
    }
}

/// What has been asked about one user so far, which later calls are about.
#[derive(Clone, Debug)]
pub(crate) struct Lane {
    user_id: i64,
    price: i64,
    /// Whether calls may be made whose items stand each for itself.
    pub(crate) has_loose_batches: bool,
    dice: Dice,
    next: u32,
    reserves: Vec<wire::ReserveRequest>,
    parts: Vec<wire::RefundRequest>,
    top_ups: Vec<wire::OpenTopUpRequest>,
    reversals: Vec<wire::ReverseTopUpRequest>,
    redeems: Vec<wire::RedeemPromoCodeRequest>,
    adjusts: Vec<wire::AdjustBalanceRequest>,
    grants: Vec<wire::GrantFreeOperationsRequest>,
}

impl Lane {
    pub(crate) fn new(user_id: i64, price: i64, seed: u64) -> Self {
        Self {
            user_id,
            price,
            has_loose_batches: true,
            dice: Dice::new(seed.wrapping_mul(1_000_003).wrapping_add(user_id.unsigned_abs())),
            next: 0,
            reserves: Vec::new(),
            parts: Vec::new(),
            top_ups: Vec::new(),
            reversals: Vec::new(),
            redeems: Vec::new(),
            adjusts: Vec::new(),
            grants: Vec::new(),
        }
    }

    /// The next call; `codes` are the promo codes that it may redeem.
    pub(crate) fn next(&mut self, codes: &[String]) -> Request {
        let user_id = self.user_id;
        match self.dice.roll(100) {
            0..20 => Request::Reserve(self.reserve()),
            20..24 => Request::Reserve(self.repeated_reserve()),
            24..27 => Request::Reserve(self.dry_run()),
            27..40 => Request::Commit(self.commit()),
            40..47 => Request::Refund(self.refund()),
            47..52 => Request::Refund(self.refund_part()),
            52..55 => {
                Request::Extend(wire::ExtendRequest { user_id, operation_id: self.operation() })
            }
            55..63 => self.batch(),
            63..66 => Request::GetAccount(wire::GetAccountRequest { user_id }),
            66..68 => Request::GetOperation(wire::GetOperationRequest {
                user_id,
                operation_id: self.operation(),
            }),
            68 => Request::ListOperations(wire::ListOperationsRequest {
                user_id,
                page_size: 5,
                page_token: String::new(),
            }),
            69..75 => Request::OpenTopUp(self.open_top_up()),
            75..84 => Request::Settle(self.settle()),
            84..89 => self.end_top_up(),
            89..93 => Request::Reverse(self.reverse()),
            93..96 if !codes.is_empty() => Request::Redeem(self.redeem(codes)),
            96..98 => Request::Adjust(self.adjust()),
            98 => Request::Grant(self.grant()),
            _ => Request::Register(self.register()),
        }
    }

    fn key(&mut self) -> String {
        self.next += 1;
        format!("t:{}", self.next)
    }

    pub(crate) fn reserve(&mut self) -> wire::ReserveRequest {
        let types = ["generate", "edit", "upscale", "retouch"];
        let operation_type =
            if self.dice.one_in(40) { "add_text" } else { self.dice.pick(&types) }.to_owned();
        let expected_price_kopecks = match self.dice.roll(16) {
            0 => Some(self.price),
            1 => Some(self.price - 1),
            2 => Some(1),
            _ => None,
        };
        let metadata = if self.dice.one_in(4) {
            [("chat".to_owned(), "42 ж \" \\".to_owned())].into()
        } else {
            std::collections::HashMap::new()
        };
        let request = wire::ReserveRequest {
            user_id: self.user_id,
            operation_type,
            model: self.dice.pick(&["", "", "flux"]).to_owned(),
            idempotency_key: self.key(),
            expected_price_kopecks,
            metadata,
            dry_run: false,
        };
        self.reserves.push(request.clone());
        request
    }

    fn repeated_reserve(&mut self) -> wire::ReserveRequest {
        let Some(mut again) = self.dice.recent(&self.reserves) else { return self.reserve() };
        match self.dice.roll(6) {
            0 => again.operation_type = "merge".to_owned(),
            1 => again.model = "other".to_owned(),
            // Neither is compared.
            2 => again.metadata = [("other".to_owned(), String::new())].into(),
            3 => again.expected_price_kopecks = Some(1),
            _ => {}
        }
        again
    }

    fn dry_run(&mut self) -> wire::ReserveRequest {
        let mut request =
            if self.dice.one_in(3) { self.repeated_reserve() } else { self.reserve() };
        if self.dice.one_in(2) {
            request.idempotency_key.clear();
        }
        wire::ReserveRequest { dry_run: true, ..request }
    }

    /// An operation that there may be, or seldom one that there is not.
    fn operation(&mut self) -> String {
        let recent = self.dice.recent(&self.reserves).filter(|_| !self.dice.one_in(40));
        recent.map_or("nothing".to_owned(), |reserve| reserve.idempotency_key)
    }

    fn commit(&mut self) -> wire::CommitRequest {
        let cost_micro_usd = self.dice.pick(&[None, Some(0), Some(39_000)]);
        wire::CommitRequest {
            user_id: self.user_id,
            operation_id: self.operation(),
            cost_micro_usd,
        }
    }

    fn refund(&mut self) -> wire::RefundRequest {
        wire::RefundRequest {
            user_id: self.user_id,
            operation_id: self.operation(),
            reason: self.dice.pick(&["the provider failed", "жалоба"]).to_owned(),
            actor: self.dice.pick(&["", "", "olga"]).to_owned(),
            ..wire::RefundRequest::default()
        }
    }

    fn refund_part(&mut self) -> wire::RefundRequest {
        if self.dice.one_in(4)
            && let Some(mut again) = self.dice.recent(&self.parts)
        {
            match self.dice.roll(4) {
                0 => again.amount_kopecks = Some(2),
                1 => again.operation_id = self.operation(),
                _ => {}
            }
            return again;
        }
        let amounts = [1, self.price / 3, self.price / 2, self.price, self.price + 1];
        let part = wire::RefundRequest {
            actor: "olga".to_owned(),
            amount_kopecks: Some(self.dice.pick(&amounts)),
            idempotency_key: self.key(),
            ..self.refund()
        };
        self.parts.push(part.clone());
        part
    }

    fn batch(&mut self) -> Request {
        let size = 2 + self.dice.roll(16);
        let all_or_nothing = !self.has_loose_batches || self.dice.one_in(2);
        match self.dice.roll(4) {
            0 | 1 => {
                let item = |lane: &mut Self| {
                    if lane.dice.one_in(6) { lane.repeated_reserve() } else { lane.reserve() }
                };
                let items = (0..size).map(|_| item(self)).collect();
                Request::BatchReserve(wire::BatchReserveRequest { items, all_or_nothing })
            }
            2 => {
                let items = (0..size).map(|_| self.commit()).collect();
                Request::BatchCommit(wire::BatchCommitRequest { items, all_or_nothing })
            }
            _ => {
                let item = |lane: &mut Self| {
                    if lane.dice.one_in(3) { lane.refund_part() } else { lane.refund() }
                };
                let items = (0..size).map(|_| item(self)).collect();
                Request::BatchRefund(wire::BatchRefundRequest { items, all_or_nothing })
            }
        }
    }

    pub(crate) fn open_top_up(&mut self) -> wire::OpenTopUpRequest {
        if self.dice.one_in(6)
            && let Some(mut again) = self.dice.recent(&self.top_ups)
        {
            match self.dice.roll(4) {
                0 => again.credited_kopecks += 1,
                1 => again.provider = "stars".to_owned(),
                // Not compared.
                2 => again.snapshot = b"other".to_vec(),
                _ => {}
            }
            return again;
        }
        let kopecks = self.dice.pick(&[1, 999, self.price, 2_500, 10_000]);
        let is_stars = self.dice.one_in(4);
        let paid = if is_stars { (kopecks / 7 + 1, "XTR") } else { (kopecks, "RUB") };
        let request = wire::OpenTopUpRequest {
            user_id: self.user_id,
            provider: if is_stars { "stars" } else { "yookassa" }.to_owned(),
            paid: Some(wire::ProviderAmount { minor_units: paid.0, currency: paid.1.to_owned() }),
            credited_kopecks: kopecks,
            idempotency_key: self.key(),
            snapshot: vec![0, 255, 7],
        };
        self.top_ups.push(request.clone());
        request
    }

    /// A top-up that there may be, the payment that is its own, and what is paid for it.
    fn top_up(&mut self) -> (String, String, Option<wire::ProviderAmount>) {
        let recent = self.dice.recent(&self.top_ups).filter(|_| !self.dice.one_in(40));
        let (key, paid) = recent
            .map_or(("nothing".to_owned(), None), |top_up| (top_up.idempotency_key, top_up.paid));
        let paid = paid.or(Some(wire::ProviderAmount { minor_units: 1, currency: "RUB".into() }));
        (key.clone(), format!("p-{}-{key}", self.user_id), paid)
    }

    pub(crate) fn settle(&mut self) -> wire::SettleTopUpRequest {
        let (top_up_id, mut provider_payment_id, mut paid) = self.top_up();
        match self.dice.roll(24) {
            0 => paid = paid.map(|p| wire::ProviderAmount { currency: "USD".into(), ..p }),
            1 => paid.iter_mut().for_each(|paid| paid.minor_units += 1),
            // Of another top-up of the same user.
            2 => provider_payment_id = self.top_up().1,
            _ => {}
        }
        wire::SettleTopUpRequest { user_id: self.user_id, top_up_id, provider_payment_id, paid }
    }

    fn end_top_up(&mut self) -> Request {
        let (top_up_id, provider_payment_id, _) = self.top_up();
        let user_id = self.user_id;
        match self.dice.roll(4) {
            0 | 1 => Request::Cancel(wire::CancelTopUpRequest {
                user_id,
                top_up_id,
                reason: self.dice.pick(&["expired_on_confirmation", "fraud"]).to_owned(),
            }),
            2 => Request::RecordPayment(wire::RecordTopUpPaymentRequest {
                user_id,
                top_up_id,
                provider_payment_id,
                confirmation_url: self.dice.pick(&["", "https://pay.example/1"]).to_owned(),
            }),
            _ => Request::GetTopUp(wire::GetTopUpRequest { user_id, top_up_id }),
        }
    }

    fn reverse(&mut self) -> wire::ReverseTopUpRequest {
        if self.dice.one_in(5)
            && let Some(mut again) = self.dice.recent(&self.reversals)
        {
            match self.dice.roll(4) {
                0 => again.refunded.iter_mut().for_each(|refunded| refunded.minor_units += 1),
                1 => again.top_up_id = self.top_up().0,
                _ => {}
            }
            return again;
        }
        let (top_up_id, _, paid) = self.top_up();
        let whole = paid.unwrap();
        let parts = [whole.minor_units, whole.minor_units / 3, whole.minor_units / 2, 1, 7];
        let minor_units = self.dice.pick(&parts).max(1);
        let key = self.key();
        let currency = if self.dice.one_in(20) { "EUR".to_owned() } else { whole.currency };
        let request = wire::ReverseTopUpRequest {
            user_id: self.user_id,
            top_up_id,
            provider_refund_id: format!("r-{key}"),
            refunded: Some(wire::ProviderAmount { minor_units, currency }),
        };
        self.reversals.push(request.clone());
        request
    }

    pub(crate) fn redeem(&mut self, codes: &[String]) -> wire::RedeemPromoCodeRequest {
        if self.dice.one_in(4)
            && let Some(mut again) = self.dice.recent(&self.redeems)
        {
            match self.dice.roll(3) {
                0 => again.code = self.dice.pick(codes),
                1 => again.idempotency_key = self.key(),
                _ => {}
            }
            return again;
        }
        let code = if self.dice.one_in(20) { "NO-SUCH".to_owned() } else { self.dice.pick(codes) };
        let request = wire::RedeemPromoCodeRequest {
            user_id: self.user_id,
            // Case does not matter.
            code: if self.dice.one_in(2) { code.to_lowercase() } else { code },
            idempotency_key: self.key(),
        };
        self.redeems.push(request.clone());
        request
    }

    fn adjust(&mut self) -> wire::AdjustBalanceRequest {
        if self.dice.one_in(3)
            && let Some(mut again) = self.dice.recent(&self.adjusts)
        {
            again.amount_kopecks += i64::from(self.dice.one_in(2));
            return if again.amount_kopecks == 0 { self.adjust() } else { again };
        }
        let request = wire::AdjustBalanceRequest {
            user_id: self.user_id,
            amount_kopecks: self.dice.pick(&[1, 500, 3_000, -1, -500, -1_000_000_000]),
            actor: "olga".to_owned(),
            reason: "сбой".to_owned(),
            idempotency_key: self.key(),
        };
        self.adjusts.push(request.clone());
        request
    }

    fn grant(&mut self) -> wire::GrantFreeOperationsRequest {
        if self.dice.one_in(3)
            && let Some(mut again) = self.dice.recent(&self.grants)
        {
            again.count += i64::from(self.dice.one_in(2));
            return again;
        }
        let request = wire::GrantFreeOperationsRequest {
            user_id: self.user_id,
            count: self.dice.pick(&[1, 2, 3]),
            actor: "olga".to_owned(),
            reason: "сбой".to_owned(),
            idempotency_key: self.key(),
        };
        self.grants.push(request.clone());
        request
    }

    fn register(&mut self) -> wire::RegisterUserRequest {
        let language = self.dice.pick(&[None, Some("ru".to_owned()), Some("en".to_owned())]);
        let receipt_email = self.dice.pick(&[None, Some("anna@example.com".to_owned())]);
        let profile = Some(wire::Profile { language, receipt_email });
        wire::RegisterUserRequest { user_id: self.user_id, profile }
    }
}
