//! What can be made to go wrong, by the chat page's buttons and by `/_sandbox/faults`.
//!
//! A switch stays on until it is switched off, or until it has struck `…_count` times.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use serde::{Deserialize, Serialize};

/// What fal.ai does wrong.
#[derive(Clone, Copy, Debug, Deserialize, Eq, PartialEq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum FalFault {
    /// The job completes with HTTP 422 `content_policy_violation`.
    Refuse,
    /// The job completes with HTTP 422 `face_detection_error`.
    NoFace,
    /// The job completes with HTTP 500.
    Fail,
    /// The job stays in progress for as long as the switch is on.
    Hang,
    /// The job is accepted, and the connection is closed without an answer.
    DropSubmit,
    /// Submits are answered with 403: the balance at fal.ai is exhausted.
    Locked,
    /// The result's file is gone (404).
    FileGone,
    /// The picture comes back with `has_nsfw_concepts: [true]`.
    Nsfw,
}

/// What happens to fal.ai's webhooks.
#[derive(Clone, Copy, Debug, Deserialize, Eq, PartialEq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum WebhookFault {
    /// Never sent.
    Lose,
    /// Sent twice.
    Double,
    /// Sent ten seconds late.
    Delay,
    /// Sent once, with a signature that is not fal.ai's.
    Forge,
}

/// What happens to YooKassa's notifications.
#[derive(Clone, Copy, Debug, Deserialize, Eq, PartialEq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum NotificationFault {
    /// Never sent.
    Lose,
    /// Sent three times, at once.
    Double,
    /// Sent ten seconds late.
    Delay,
}

/// What YooKassa's API does wrong.
#[derive(Clone, Copy, Debug, Deserialize, Eq, PartialEq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum YookassaFault {
    /// 500, and nothing was done.
    FailBefore,
    /// 500 after the object was made or changed.
    FailAfter,
    /// The connection is closed after the object was made or changed.
    DropAfter,
    /// Answers come two seconds late.
    Slow,
    /// No answer for 31 seconds, then 500; nothing was done.
    Hang,
    /// An HTML page of something in between, 502; nothing was done.
    BadGateway,
    /// 429; nothing was done.
    TooManyRequests,
    /// 400 `invalid_request`, parameter `receipt`: the shop requires receipts.
    ReceiptRequired,
}

/// How refunds end, other than at once and well.
#[derive(Clone, Copy, Debug, Deserialize, Eq, PartialEq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum RefundFault {
    /// Not decided before somebody does, or before the next day.
    Pending,
    /// Refused: the shop has taken too little today.
    Refuse,
}

/// What Telegram does wrong.
#[derive(Clone, Copy, Debug, Deserialize, Eq, PartialEq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum TelegramFault {
    /// 429 with `retry_after` 1.
    TooManyRequests,
    /// The message is accepted, and the connection is closed without an answer.
    DropAfter,
    /// Each update is delivered twice.
    RepeatUpdates,
}

/// All switches; absent means off. A count of `null` means: until it is switched off.
#[derive(Clone, Copy, Debug, Default, Deserialize, Eq, PartialEq, Serialize)]
#[serde(default, deny_unknown_fields)]
pub struct Switches {
    /// fal.ai.
    pub fal: Option<FalFault>,
    /// How often it strikes.
    pub fal_count: Option<u32>,
    /// fal.ai's webhooks.
    pub fal_webhooks: Option<WebhookFault>,
    /// How often it strikes.
    pub fal_webhooks_count: Option<u32>,
    /// YooKassa's notifications.
    pub notifications: Option<NotificationFault>,
    /// How often it strikes.
    pub notifications_count: Option<u32>,
    /// YooKassa's API.
    pub yookassa: Option<YookassaFault>,
    /// How often it strikes.
    pub yookassa_count: Option<u32>,
    /// Refunds at YooKassa.
    pub refunds: Option<RefundFault>,
    /// How often it strikes.
    pub refunds_count: Option<u32>,
    /// Telegram.
    pub telegram: Option<TelegramFault>,
    /// How often it strikes.
    pub telegram_count: Option<u32>,
    /// How long fal.ai works on a picture, in milliseconds; `null` means the default.
    pub fal_work_ms: Option<u64>,
}

/// The switches, shared by the emulators. Clones are the same switches.
#[derive(Clone, Debug, Default)]
pub struct Faults {
    switches: Arc<Mutex<Switches>>,
}

impl Faults {
    /// All switches as they are.
    pub fn all(&self) -> Switches {
        *self.lock()
    }

    /// Sets all switches.
    pub fn set(&self, switches: Switches) {
        *self.lock() = switches;
    }

    /// The fault that strikes this request to fal.ai, if one does; counts it.
    pub fn strike_fal(&self) -> Option<FalFault> {
        let mut switches = self.lock();
        let Switches { fal, fal_count, .. } = &mut *switches;
        strike(fal, fal_count)
    }

    /// The fault that strikes this webhook of fal.ai, if one does; counts it.
    pub fn strike_webhook(&self) -> Option<WebhookFault> {
        let mut switches = self.lock();
        let Switches { fal_webhooks, fal_webhooks_count, .. } = &mut *switches;
        strike(fal_webhooks, fal_webhooks_count)
    }

    /// The fault that strikes this notification, if one does; counts it.
    pub fn strike_notification(&self) -> Option<NotificationFault> {
        let mut switches = self.lock();
        let Switches { notifications, notifications_count, .. } = &mut *switches;
        strike(notifications, notifications_count)
    }

    /// The fault that strikes this request to YooKassa, if one does; counts it.
    pub fn strike_yookassa(&self) -> Option<YookassaFault> {
        let mut switches = self.lock();
        let Switches { yookassa, yookassa_count, .. } = &mut *switches;
        strike(yookassa, yookassa_count)
    }

    /// How this refund ends, if not well; counts it.
    pub fn strike_refund(&self) -> Option<RefundFault> {
        let mut switches = self.lock();
        let Switches { refunds, refunds_count, .. } = &mut *switches;
        strike(refunds, refunds_count)
    }

    /// The fault that strikes this request to Telegram, if one does; counts it.
    pub fn strike_telegram(&self) -> Option<TelegramFault> {
        let mut switches = self.lock();
        let Switches { telegram, telegram_count, .. } = &mut *switches;
        strike(telegram, telegram_count)
    }

    fn lock(&self) -> MutexGuard<'_, Switches> {
        self.switches.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn strike<F: Copy>(fault: &mut Option<F>, count: &mut Option<u32>) -> Option<F> {
    let struck = *fault;
    if let (Some(_), Some(left)) = (struck, count.as_mut()) {
        *left = left.saturating_sub(1);
        if *left == 0 {
            *fault = None;
            *count = None;
        }
    }
    struck
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_counted_fault_strikes_so_often_and_no_more() {
        let faults = Faults::default();
        faults.set(Switches {
            fal: Some(FalFault::Fail),
            fal_count: Some(2),
            yookassa: Some(YookassaFault::Slow),
            ..Switches::default()
        });

        let struck: Vec<_> = (0..3).map(|_| faults.strike_fal()).collect();

        assert_eq!(struck, [Some(FalFault::Fail), Some(FalFault::Fail), None]);
        assert_eq!(faults.strike_yookassa(), Some(YookassaFault::Slow));
        assert_eq!(faults.strike_yookassa(), Some(YookassaFault::Slow));
    }
}
