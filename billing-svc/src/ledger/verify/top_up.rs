//! One top-up: what its row says, what its entries have moved, and its reversals.

use uuid::Uuid;

use super::finding::{Findings, Invariant};
use super::piles::Pile;
use crate::domain::TopUpState;
use crate::store::raw::{RawEntry, RawReversal, RawTopUp};

/// What is known of one top-up of a user.
#[derive(Debug)]
pub(super) struct TopUpCase {
    row: RawTopUp,
    state: Option<TopUpState>,
    credited: i128,
    bonus: i128,
    reversed: i128,
    reversed_bonus: i128,
    reversals: [i128; 3],
    redeemed: u32,
}

impl TopUpCase {
    pub(super) fn open(row: RawTopUp, findings: &mut Findings) -> Self {
        let state = TopUpState::from_stored(&row.state);
        let case = Self {
            row,
            state,
            credited: 0,
            bonus: 0,
            reversed: 0,
            reversed_bonus: 0,
            reversals: [0; 3],
            redeemed: 0,
        };
        case.check(findings);
        case
    }

    fn is_settled(&self) -> bool {
        self.state == Some(TopUpState::Settled)
    }

    fn check(&self, findings: &mut Findings) {
        let row = &self.row;
        let name = format!("top-up {}", row.id);
        let in_bounds = (0..=row.paid_minor_units).contains(&row.refunded_minor_units)
            && (0..=row.credited).contains(&row.reversed)
            && (0..=row.bonus).contains(&row.reversed_bonus)
            && (self.is_settled() || (row.bonus, row.refunded_minor_units) == (0, 0));
        let is_known = self.state.is_some()
            && row.ended_at.is_none() == (self.state == Some(TopUpState::Open));
        if !is_known || !in_bounds {
            let found = format!(
                "{}, ended at {:?}, credited {}, bonus {}, reversed {} and {}",
                row.state, row.ended_at, row.credited, row.bonus, row.reversed, row.reversed_bonus
            );
            let expected = "a known state with its end, nothing reversed beyond what was credited";
            findings.add((row.user, Invariant::TopUpCanBe), &name, (found, expected));
        }
        if self.is_settled() && row.claimed_by != Some((row.user, row.id)) {
            let payment = row.payment.as_deref().unwrap_or("none");
            let found = match row.claimed_by {
                None => format!("payment {payment} is not claimed"),
                Some((user, id)) => format!("payment {payment} is top-up {id} of user {user}"),
            };
            let expected = format!("payment {payment} is claimed for it");
            findings.add((row.user, Invariant::TopUpIsClaimed), &name, (found, expected));
        }
    }

    pub(super) fn add_reversal(&mut self, reversal: &RawReversal, findings: &mut Findings) {
        if (&reversal.provider, &reversal.refunded_currency)
            != (&self.row.provider, &self.row.paid_currency)
        {
            let found = format!("{} {}", reversal.provider, reversal.refunded_currency);
            let expected = format!("{} {}", self.row.provider, self.row.paid_currency);
            let about = (reversal.user, Invariant::ReversalNamesItsTopUp);
            findings.add(about, format_args!("reversal {}", reversal.refund), (found, expected));
        }
        self.reversals[0] += i128::from(reversal.refunded_minor_units);
        self.reversals[1] += i128::from(reversal.reversed);
        self.reversals[2] += i128::from(reversal.reversed_bonus);
    }

    pub(super) fn add_redemption(&mut self) {
        self.redeemed += 1;
    }

    /// Follows one of its entries.
    pub(super) fn follow(
        &mut self,
        entry: &RawEntry,
        ends: (Pile<'_>, Pile<'_>),
        findings: &mut Findings,
    ) {
        let provider = self.row.provider.as_str();
        let amount = i128::from(entry.amount);
        match (entry.cause.as_str(), ends) {
            ("top_up", (Pile::Clearing(from), Pile::Balance)) if from == provider => {
                self.credited += amount;
            }
            ("bonus", (Pile::Promo, Pile::Balance)) => self.bonus += amount,
            ("reversal", (Pile::Balance, Pile::Clearing(to))) if to == provider => {
                self.reversed += amount;
            }
            ("reversal", (Pile::Balance, Pile::Promo)) => self.reversed_bonus += amount,
            (cause, _) => {
                let about = (entry.user, Invariant::EntryCanBe);
                let found = format!("{cause} from {} to {}", entry.from, entry.to);
                let expected = format!("a movement of a top-up at {provider}");
                findings.add(about, format_args!("entry {}", entry.number), (found, expected));
            }
        }
    }

    /// Compares all that its entries have moved with what its row says.
    pub(super) fn close(&self, (user, id): (i64, Uuid), findings: &mut Findings) {
        let row = &self.row;
        let name = format!("top-up {id}");
        let sums = |[credited, bonus, reversed, reversed_bonus]: [i128; 4]| {
            format!(
                "credited {credited}, bonus {bonus}, reversed {reversed} and {reversed_bonus} of it"
            )
        };
        let expected = if self.is_settled() {
            [row.credited, row.bonus, row.reversed, row.reversed_bonus].map(i128::from)
        } else {
            [0; 4]
        };
        let found = [self.credited, self.bonus, self.reversed, self.reversed_bonus];
        findings.compare(
            (user, Invariant::TopUpNetsToItsState),
            &name,
            (sums(found), sums(expected)),
        );
        let parts = |[paid, credit, bonus]: [i128; 3]| {
            format!("{paid} paid back, {credit} and {bonus} of the bonus taken back")
        };
        let expected = [row.refunded_minor_units, row.reversed, row.reversed_bonus].map(i128::from);
        findings.compare(
            (user, Invariant::ReversalsSumToTopUp),
            &name,
            (parts(expected), parts(self.reversals)),
        );
        findings.compare(
            (user, Invariant::BonusIsRedeemed),
            &name,
            (
                format!("{} redemptions", self.redeemed),
                format!("{} redemptions", u32::from(row.bonus != 0)),
            ),
        );
    }
}
