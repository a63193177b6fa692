//! CancelTopUp: an open top-up ends without money.

use super::BillingError;
use super::books::Books;
use super::decision::{Decided, Decision, Line};
use super::needs::Needs;
use crate::domain::{EventKind, Subject, TopUp, TopUpId, TopUpState, TopUpStep, UserId};

/// Cancels a top-up.
#[derive(Debug)]
pub struct Cancel {
    pub user: UserId,
    pub top_up: TopUpId,
    /// In the provider's words.
    pub reason: String,
}

impl Decision for Cancel {
    type Answer = TopUp;

    const NAME: &'static str = "cancel_top_up";
    const DONE: &'static str = "top-up cancelled";

    fn user(&self) -> UserId {
        self.user
    }

    fn subject(&self) -> Subject {
        Subject::TopUp(self.top_up)
    }

    fn needs(&self, needs: &mut Needs) {
        needs.top_ups.push((self.user, self.top_up));
    }

    fn decide(&self, books: &mut Books<'_>) -> Result<Decided<TopUp>, BillingError> {
        let mut top_up = books.top_up(self.user, self.top_up)?;
        match top_up.state.cancel()? {
            TopUpStep::AlreadyThere => Ok(Decided::Repeat(top_up)),
            TopUpStep::Move => {
                top_up.state = TopUpState::Cancelled;
                top_up.cancel_reason = Some(self.reason.clone());
                top_up.ended_at = Some(books.now);
                books.put_top_up(top_up.clone());
                books.emit(self.user, EventKind::TopUpCancelled(top_up.clone()))?;
                Ok(Decided::Done(top_up))
            }
        }
    }

    fn line(answer: &TopUp) -> Line {
        Line::of_top_up(answer)
    }
}
