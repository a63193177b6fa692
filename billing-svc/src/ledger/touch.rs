//! Releases the overdue holds of one account, which every decision does first, and nothing else.

use super::BillingError;
use super::books::Books;
use super::decision::{Decided, Decision, Line};
use super::needs::Needs;
use crate::domain::{Subject, UserId};

/// Touches an account.
#[derive(Debug)]
pub(super) struct Touch {
    pub(super) user: UserId,
}

impl Decision for Touch {
    type Answer = ();

    const NAME: &'static str = "touch";
    const DONE: &'static str = "touched";
    // What it releases has lines of its own.
    const IS_LOGGED: bool = false;

    fn user(&self) -> UserId {
        self.user
    }

    fn subject(&self) -> Subject {
        Subject::Account
    }

    fn needs(&self, _needs: &mut Needs) {}

    fn decide(&self, books: &mut Books<'_>) -> Result<Decided<()>, BillingError> {
        books.account(self.user)?;
        Ok(Decided::Done(()))
    }

    fn line((): &()) -> Line {
        Line::of_account()
    }
}
