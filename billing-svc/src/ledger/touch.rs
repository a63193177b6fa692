//! Releases the overdue holds of one account, which every decision does first, and reads what the
//! user then has, under the account's lock.

use super::BillingError;
use super::books::{Books, Standing};
use super::decision::{Decided, Decision, Line};
use super::needs::Needs;
use crate::domain::{Subject, UserId};

/// Touches an account.
#[derive(Debug)]
pub(super) struct Touch {
    pub(super) user: UserId,
}

impl Decision for Touch {
    type Answer = Standing;

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

    fn needs(&self, needs: &mut Needs) {
        needs.profiles.push(self.user);
    }

    fn decide(&self, books: &mut Books<'_>) -> Result<Decided<Standing>, BillingError> {
        Ok(Decided::Done(books.standing(self.user)?))
    }

    fn line(_answer: &Standing) -> Line {
        Line::of_account()
    }
}
