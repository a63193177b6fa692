//! One operation: what its row says, and what its entries have moved.

use uuid::Uuid;

use super::finding::{Findings, Invariant};
use super::piles::Pile;
use crate::domain::{Cause, OperationState, PaymentSource};
use crate::store::raw::{RawEntry, RawOperation};

const AMOUNT_MAX: i64 = 1_000_000_000;
const DAY_MICROS: i64 = 86_400_000_000;

/// What entries of one operation have moved so far: away from the user, into the hold, to us.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
struct Net {
    purse: i128,
    held: i128,
    spent: i128,
}

impl std::fmt::Display for Net {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let Self { purse, held, spent } = self;
        write!(f, "purse {purse}, held {held}, spent {spent}")
    }
}

/// What is known of one operation of a user. Small: a user may have very many.
#[derive(Debug)]
pub(super) struct OperationCase {
    number: i64,
    price: i64,
    in_parts: i64,
    expires_at: i64,
    living_holds: u32,
    /// `None` if the row says something that cannot be, which is a finding already.
    state: Option<OperationState>,
    source: Option<PaymentSource>,
    net: Net,
    reserves: u32,
    parts: i128,
}

impl OperationCase {
    pub(super) fn open(row: &RawOperation, findings: &mut Findings) -> Self {
        let case = Self {
            number: row.number,
            price: row.price,
            in_parts: row.refunded_in_parts,
            expires_at: row.expires_at,
            living_holds: 0,
            state: OperationState::from_stored(&row.state),
            source: PaymentSource::from_stored(&row.source),
            net: Net::default(),
            reserves: 0,
            parts: 0,
        };
        if let Some((found, expected)) = case.what_cannot_be(row) {
            let about = (row.user, Invariant::OperationCanBe);
            findings.add(about, format_args!("operation {}", row.id), (found, expected));
        }
        case
    }

    /// What the schema keeps too, in case somebody has gone past it.
    fn what_cannot_be(&self, row: &RawOperation) -> Option<(String, &'static str)> {
        let is = |state| self.state == Some(state);
        let lives = row.expires_at.saturating_sub(row.created_at);
        let is_refunded = is(OperationState::Refunded);
        let has_parts = row.refunded_in_parts != 0;
        let can_have_parts = self.source == Some(PaymentSource::Balance)
            && (is(OperationState::Committed) || is_refunded);
        if self.state.is_none() || self.source.is_none() {
            let found = format!("state {}, source {}", row.state, row.source);
            Some((found, "a known state and source"))
        } else if !(1..=AMOUNT_MAX).contains(&row.price)
            || !(row.price..=AMOUNT_MAX).contains(&row.list_price)
        {
            let found = format!("price {}, list price {}", row.price, row.list_price);
            Some((found, "a price from 1 to 10^9, at most the list price"))
        } else if row.ended_at.is_none() != is(OperationState::Reserved) {
            let found = format!("state {}, ended at {:?}", row.state, row.ended_at);
            Some((found, "an end exactly if it is not reserved"))
        } else if row.refund_reason.is_some() != is_refunded
            || (row.refund_actor.is_some() && !is_refunded)
        {
            let found = format!("state {}, reason {}", row.state, row.refund_reason.is_some());
            Some((found, "a refund's reason exactly if it is refunded"))
        } else if !(0..=row.price).contains(&row.refunded_in_parts)
            || (has_parts && !can_have_parts)
        {
            let found = format!("{} in parts, state {}", row.refunded_in_parts, row.state);
            Some((found, "parts of a price that was committed"))
        } else if !(1..=DAY_MICROS).contains(&lives) {
            let found = format!("a hold of {lives} microseconds");
            Some((found, "a hold of up to a day"))
        } else {
            None
        }
    }

    /// What it takes, in units of its source.
    fn amount(&self) -> i64 {
        match self.source {
            Some(PaymentSource::Balance) => self.price,
            Some(PaymentSource::FreeOperation | PaymentSource::FreeAccess) | None => 1,
        }
    }

    /// Kopecks and free operations that it holds, if it is open.
    pub(super) fn holds(&self) -> (i128, i128) {
        match (self.state, self.source) {
            (Some(OperationState::Reserved), Some(PaymentSource::Balance)) => {
                (i128::from(self.price), 0)
            }
            (
                Some(OperationState::Reserved),
                Some(PaymentSource::FreeOperation | PaymentSource::FreeAccess),
            ) => (0, 1),
            _ => (0, 0),
        }
    }

    /// Takes in a hold of it; answers whether it ends when the operation says.
    pub(super) fn add_hold(&mut self, expires_at: i64) -> bool {
        self.living_holds += 1;
        self.expires_at == expires_at
    }

    pub(super) fn add_part(&mut self, amount: i64) {
        self.parts += i128::from(amount);
    }

    /// Follows one of its entries.
    pub(super) fn follow(
        &mut self,
        entry: &RawEntry,
        (from, to): (Pile<'_>, Pile<'_>),
        findings: &mut Findings,
    ) {
        let Some(source) = self.source else { return };
        let amount = i128::from(entry.amount);
        let moved = self.change(source, from, -amount) && self.change(source, to, amount);
        let is = |cause: Cause| entry.cause == cause.as_str();
        let [purse, hold, spent] = piles(source);
        let can_be = if is(Cause::Reserve) {
            (from, to) == (purse, hold)
        } else if is(Cause::Commit) {
            (from, to) == (hold, spent)
        } else if is(Cause::LateCommit) {
            (from, to) == (purse, spent)
        } else if is(Cause::Expiry) {
            (from, to) == (hold, purse)
        } else if is(Cause::Refund) {
            // Only a person takes delivered work back.
            to == purse && (from == hold || from == spent && entry.actor.is_some())
        } else {
            true
        };
        if !moved || !can_be {
            let about = (entry.user, Invariant::EntryCanBe);
            let found = format!("{} from {} to {}", entry.cause, entry.from, entry.to);
            let expected = format!("a movement of an operation paid by {}", source.as_str());
            findings.add(about, format_args!("entry {}", entry.number), (found, expected));
        }
        if is(Cause::Reserve) {
            self.reserves += 1;
            if (entry.number, entry.amount) != (self.number, self.amount()) {
                let about = (entry.user, Invariant::OperationIsReservedOnce);
                let found = format!("{} by entry {}", entry.amount, entry.number);
                let expected = format!("{} by entry {}", self.amount(), self.number);
                let id = entry.operation.unwrap_or_default();
                findings.add(about, format_args!("operation {id}"), (found, expected));
            }
        }
    }

    fn change(&mut self, source: PaymentSource, pile: Pile<'_>, by: i128) -> bool {
        let [purse, hold, spent] = piles(source);
        let sum = if pile == purse {
            &mut self.net.purse
        } else if pile == hold {
            &mut self.net.held
        } else if pile == spent {
            &mut self.net.spent
        } else {
            return false;
        };
        *sum += by;
        true
    }

    /// Compares all that its entries have moved with what its row says.
    pub(super) fn close(&self, (user, id): (i64, Uuid), findings: &mut Findings) {
        let row = format_args!("operation {id}");
        let about = |invariant| (user, invariant);
        if self.reserves != 1 {
            let found = format_args!("{} entries that reserve it", self.reserves);
            findings.add(about(Invariant::OperationIsReservedOnce), row, (found, 1));
        }
        findings.compare(
            about(Invariant::PartialRefundsSumToOperation),
            row,
            (i128::from(self.in_parts), self.parts),
        );
        let Some(state) = self.state else { return };
        let living_holds = u32::from(state == OperationState::Reserved);
        if self.living_holds != living_holds {
            let found = format!("{} holds, {}", self.living_holds, state.as_str());
            findings.add(about(Invariant::HoldIsOfAnOpenOperation), row, (found, living_holds));
        }
        let taken = i128::from(self.amount());
        let earned = taken - i128::from(self.in_parts);
        let expected = match state {
            OperationState::Reserved => Net { purse: -taken, held: taken, spent: 0 },
            OperationState::Committed => Net { purse: -earned, held: 0, spent: earned },
            OperationState::Refunded | OperationState::Expired => Net::default(),
        };
        if self.net != expected {
            let expected = format!("{expected} ({})", state.as_str());
            let about = about(Invariant::OperationNetsToItsState);
            findings.add(about, row, (self.net, expected));
        }
    }
}

/// Where what pays for an operation lies before, while and after it is held.
const fn piles(source: PaymentSource) -> [Pile<'static>; 3] {
    match source {
        PaymentSource::Balance => [Pile::Balance, Pile::Held, Pile::Revenue],
        PaymentSource::FreeOperation => [Pile::FreeAvailable, Pile::FreeHeld, Pile::FreeUsed],
        PaymentSource::FreeAccess => [Pile::FreeGranted, Pile::FreeHeld, Pile::FreeUsed],
    }
}
