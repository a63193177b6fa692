//! Inviting friends: a link for everybody, and a reward for both when the friend has paid in.
//!
//! Invariant: only who has no account yet comes by a link, once, and never by one's own. The reward
//! is two grants of billing whose keys name the friend, so it is given once.

use proto::billing::v1::{GetAccountRequest, GrantFreeOperationsRequest, TopUp};
use proto::reason;
use teloxide::types::Me;

use crate::app::App;
use crate::keyboard;
use crate::money::Kopecks;
use crate::talk::Talk;
use crate::text;

use super::error::{HandlerError, is_refusal};

/// A link `https://t.me/<bot>?start=ref_<Telegram id>`.
const PREFIX: &str = "ref_";
/// A smaller first top-up earns no reward, which would be worth more.
const TOP_UP_MIN: Kopecks = Kopecks::new(10_000);
/// Who grants.
const ACTOR: &str = "bot-gateway";

/// Shows the link, and what it has brought.
pub async fn invite(talk: Talk, me: Me) -> Result<(), HandlerError> {
    let each = talk.app.referral_free_operations;
    if each == 0 {
        talk.say(text::referrals::NOT_REWARDED, None).await?;
        return Ok(());
    }
    let referred = talk.app.store.referred(talk.user_id).await?;
    let link = format!("https://t.me/{}?start={PREFIX}{}", me.username(), talk.user_id);
    let said = text::referrals::invitation(&link, each, TOP_UP_MIN, referred);
    talk.say(&said, Some(keyboard::share(&link))).await?;
    Ok(())
}

/// Keeps by whose link somebody came; answers with what to say about it. Comes before the user is
/// registered: a repeat finds the same.
pub async fn come_by(talk: &Talk, payload: &str) -> Result<Option<String>, HandlerError> {
    let each = talk.app.referral_free_operations;
    let referrer = payload.strip_prefix(PREFIX).and_then(|id| id.parse::<i64>().ok());
    let Some(referrer) = referrer.filter(|id| *id > 0 && each > 0) else { return Ok(None) };
    if referrer == talk.user_id {
        return Ok(Some(text::referrals::OWN_LINK.to_owned()));
    }
    let request = GetAccountRequest { user_id: talk.user_id };
    match talk.app.billing.get_account(request).await {
        Ok(_known) => Ok(Some(text::referrals::NOT_NEW.to_owned())),
        Err(status) if reason::of(&status).as_deref() == Some(reason::USER_NOT_FOUND) => {
            talk.app.store.keep_referral(talk.user_id, referrer).await?;
            tracing::info!(user.id = talk.user_id, referrer.id = referrer, "came by invitation");
            Ok(Some(text::referrals::welcomed(each, TOP_UP_MIN)))
        }
        Err(status) => Err(HandlerError::of("GetAccount")(status)),
    }
}

/// Rewards both, where somebody who came by a link has paid in for the first time. Billing's events
/// tell them.
pub async fn reward(app: &App, user_id: i64, top_up: &TopUp) -> Result<(), HandlerError> {
    let each = app.referral_free_operations;
    if each == 0 || Kopecks::new(top_up.credited_kopecks) < TOP_UP_MIN {
        return Ok(());
    }
    let Some(referrer) = app.store.unrewarded_referrer(user_id).await? else { return Ok(()) };
    for (to, side) in [(user_id, "friend"), (referrer, "referrer")] {
        let request = GrantFreeOperationsRequest {
            user_id: to,
            count: each,
            actor: ACTOR.to_owned(),
            reason: format!("invitation: {user_id} came by the link of {referrer}"),
            idempotency_key: format!("bot:referral:{user_id}:{side}"),
        };
        match app.operators.grant_free_operations(request).await {
            Ok(_granted) => {}
            // Whoever made up a link without an account gets nothing.
            Err(status) if reason::of(&status).as_deref() == Some(reason::USER_NOT_FOUND) => {
                tracing::warn!(user.id = to, "nobody to reward");
            }
            // A mistake of ours must not keep the news of the top-up: the next one tries again.
            Err(status) if is_refusal(&status) => {
                tracing::error!(user.id = to, error.cause = ?status, "reward refused");
                return Ok(());
            }
            Err(status) => return Err(HandlerError::of("GrantFreeOperations")(status)),
        }
    }
    tracing::info!(user.id = user_id, referrer.id = referrer, each, "invitation rewarded");
    Ok(app.store.referral_rewarded(user_id, each).await?)
}
