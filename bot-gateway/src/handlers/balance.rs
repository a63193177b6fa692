//! /balance.

use crate::account;
use crate::keyboard;
use crate::promo::Gift;
use crate::talk::Talk;
use crate::text;

use super::error::HandlerError;

/// Shows what the user has. The dialogue goes on afterwards.
pub async fn balance(talk: Talk) -> Result<(), HandlerError> {
    let account = account::read(&talk.app, talk.user_id).await?;
    let email = account::receipt_email(&account);
    let gifts = Gift::active(&account);
    let said = text::payments::balance(account::purse(&account), &gifts, email);
    talk.say(&said, Some(keyboard::with_email(keyboard::balance(), email))).await?;
    Ok(())
}
