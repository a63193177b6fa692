//! RegisterUser: the account, the welcome grant once, the profile.

use super::BillingError;
use super::books::{Books, Posting, Standing};
use super::decision::{Decided, Decision, Line};
use super::needs::Needs;
use crate::domain::{Account, Cause, Movement, Place, Profile, Subject, UserId};

/// Registers a user, or meets the one there is.
#[derive(Debug)]
pub struct Register {
    pub user: UserId,
    /// Fields to store; absent ones stay.
    pub profile: Profile,
}

/// The account as it is now.
#[derive(Debug)]
pub struct Registered {
    pub standing: Standing,
    /// Whether this call made the account.
    pub created: bool,
}

impl Decision for Register {
    type Answer = Registered;

    const NAME: &'static str = "register_user";
    const DONE: &'static str = "registered";

    fn user(&self) -> UserId {
        self.user
    }

    fn subject(&self) -> Subject {
        Subject::Account
    }

    fn needs(&self, needs: &mut Needs) {
        needs.profiles.push(self.user);
    }

    fn decide(&self, books: &mut Books<'_>) -> Result<Decided<Registered>, BillingError> {
        let created = books.find_account(self.user).is_none();
        if created {
            open(self.user, books)?;
        }
        let stored = books.profile(self.user);
        let profile = stored.updated_with(&self.profile);
        if profile != stored {
            books.put_profile(self.user, profile);
        }
        let registered = Registered { standing: books.standing(self.user)?, created };
        Ok(if created { Decided::Done(registered) } else { Decided::Repeat(registered) })
    }

    fn line(_answer: &Registered) -> Line {
        Line::of_account()
    }
}

fn open(user: UserId, books: &mut Books<'_>) -> Result<(), BillingError> {
    books.add_account(Account::open(user, books.now));
    let amount = books.rules.welcome.get();
    if amount == 0 {
        return Ok(());
    }
    books.post(
        user,
        Posting {
            movement: Movement { from: Place::FreeGranted, to: Place::FreeAvailable, amount },
            cause: Cause::Welcome,
            subject: Subject::Account,
            actor: None,
        },
    )
}
