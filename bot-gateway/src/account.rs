//! What a user has, as billing tells it.

use proto::billing::v1::{Account, GetAccountRequest, Profile, RegisterUserRequest};
use proto::reason;
use proto::service::email::Email;

use crate::app::App;
use crate::handlers::error::HandlerError;
use crate::money::Kopecks;
use crate::text::payments::Purse;

/// Longer language tags than billing takes are not sent.
const LANGUAGE_CHARACTERS_MAX: usize = 35;

/// Registers a user, or reads the account there is.
pub async fn register(
    app: &App,
    user_id: i64,
    language: Option<&str>,
) -> Result<Account, HandlerError> {
    let language = language.filter(|tag| tag.chars().count() <= LANGUAGE_CHARACTERS_MAX);
    let profile = Profile { language: language.map(ToOwned::to_owned), receipt_email: None };
    update(app, user_id, profile).await
}

/// Keeps where a user's receipts go. Registers a user who was not.
pub async fn keep_email(app: &App, user_id: i64, email: &Email) -> Result<Account, HandlerError> {
    let receipt_email = Some(email.as_str().to_owned());
    update(app, user_id, Profile { language: None, receipt_email }).await
}

async fn update(app: &App, user_id: i64, profile: Profile) -> Result<Account, HandlerError> {
    let request = RegisterUserRequest { user_id, profile: Some(profile) };
    let answer = app.billing.register_user(request).await;
    let answer = answer.map_err(HandlerError::of("RegisterUser"))?;
    answer.account.ok_or(HandlerError::Incomplete("RegisterUser"))
}

/// Reads what a user has; who was never registered (an old button, a chat without /start) is
/// registered.
pub async fn read(app: &App, user_id: i64) -> Result<Account, HandlerError> {
    match app.billing.get_account(GetAccountRequest { user_id }).await {
        Ok(answer) => answer.account.ok_or(HandlerError::Incomplete("GetAccount")),
        Err(status) if reason::of(&status).as_deref() == Some(reason::USER_NOT_FOUND) => {
            register(app, user_id, None).await
        }
        Err(status) => Err(HandlerError::of("GetAccount")(status)),
    }
}

/// Where a user's receipts go, if that is known.
pub fn receipt_email(account: &Account) -> Option<&str> {
    let email = account.profile.as_ref()?.receipt_email.as_deref()?;
    Some(email).filter(|email| !email.is_empty())
}

/// An account as it is shown.
pub fn purse(account: &Account) -> Purse {
    Purse {
        balance: Kopecks::new(account.balance_kopecks),
        held: Kopecks::new(account.held_kopecks),
        free_operations: account.free_operations,
        held_free_operations: account.held_free_operations,
    }
}
