//! Runs stored updates through the schema: those of one chat in order, chats side by side, and those
//! of no chat at once.
//!
//! Invariant: an update stays in the inbox until its handler has succeeded, or was given up and
//! the user told. A handler that panics takes nothing with it but itself. A payment is never given
//! up while it may still be credited: it is set aside, so that its chat goes on.

use std::collections::{HashMap, VecDeque};
use std::ops::ControlFlow;
use std::panic::AssertUnwindSafe;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use futures_util::FutureExt as _;
use proto::request_id;
use proto::service::shutdown::Shutdown;
use teloxide::dispatching::UpdateHandler;
use teloxide::dptree;
use teloxide::types::{ChatId, Me, Update, UpdateKind};
use tokio::sync::Semaphore;
use tokio::time::{sleep, timeout};
use tokio_util::task::TaskTracker;
use tracing::Instrument as _;

use crate::app::App;
use crate::dialogue::State;
use crate::handlers::error::HandlerError;
use crate::handlers::stars;
use crate::store::{Attempt, NO_CHAT, Waiting};
use crate::talk::Talk;
use crate::telegram::{TelegramError, is_about_money};

/// Handlers that run at once.
const RUNNING_MAX: usize = 64;
/// How often an update may end its handler by a panic, or the process by a kill.
const CRASHES_MAX: i64 = 3;
/// How often a handler is run while a service is away. With the deadlines of the calls, a user
/// waits a quarter of a minute at most to be told.
const AWAY_MAX: u32 = 3;
/// How often a handler is run while Telegram is away: with the pauses, a quarter of an hour. There
/// is no other way to tell the user.
const TELEGRAM_AWAY_MAX: u32 = 40;
const PAUSE: Duration = Duration::from_secs(1);
const PAUSE_MAX: Duration = Duration::from_secs(30);
/// What is owed and seems to end the process is tried so long after its start, so that the others
/// are served in between.
const CRASHED_PAUSE: Duration = Duration::from_secs(10);
/// A store that does not answer is asked again this often; nothing can be done without it.
const STORE_PAUSE: Duration = Duration::from_secs(1);
/// How long running handlers may take at the end.
const DRAIN_MAX: Duration = Duration::from_secs(15);

/// Runs updates. Clones are the same executor.
#[derive(Clone)]
pub struct Executor {
    inner: Arc<Inner>,
}

impl std::fmt::Debug for Executor {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter.debug_struct("Executor").finish_non_exhaustive()
    }
}

struct Inner {
    app: Arc<App>,
    me: Me,
    schema: UpdateHandler<HandlerError>,
    shutdown: Shutdown,
    /// The chats that have a task, each with what waits behind the update being handled.
    chats: Mutex<HashMap<i64, VecDeque<Waiting>>>,
    places: Semaphore,
    tasks: TaskTracker,
}

impl Executor {
    /// An executor for the bot that is `me`.
    pub fn new(
        app: Arc<App>,
        me: Me,
        schema: UpdateHandler<HandlerError>,
        shutdown: Shutdown,
    ) -> Self {
        let inner = Inner {
            app,
            me,
            schema,
            shutdown,
            chats: Mutex::default(),
            places: Semaphore::new(RUNNING_MAX),
            tasks: TaskTracker::new(),
        };
        Self { inner: Arc::new(inner) }
    }

    /// Takes a stored update, behind those of the same chat that were taken before.
    pub fn add(&self, update: Waiting) {
        self.inner.add(update);
    }

    /// Waits until the running handlers have ended, for a while; what waits behind them stays in
    /// the inbox.
    pub async fn drain(&self) {
        self.inner.tasks.close();
        if timeout(DRAIN_MAX, self.inner.tasks.wait()).await.is_err() {
            tracing::warn!("handlers were still running; their updates stay in the inbox");
        }
    }
}

/// How one attempt ended.
enum Ending {
    /// Handled, with the chat's next state if it changes.
    Handled(Option<Box<State>>),
    Failed(HandlerError),
}

impl Inner {
    fn chats(&self) -> MutexGuard<'_, HashMap<i64, VecDeque<Waiting>>> {
        self.chats.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn add(self: &Arc<Self>, update: Waiting) {
        let inner = Arc::clone(self);
        if update.chat_id == NO_CHAT {
            self.tasks.spawn(async move { inner.run_named(update).await });
            return;
        }
        let mut chats = self.chats();
        if let Some(queue) = chats.get_mut(&update.chat_id) {
            queue.push_back(update);
            return;
        }
        chats.insert(update.chat_id, VecDeque::from([update]));
        self.tasks.spawn(async move { inner.run_chat(update.chat_id).await });
    }

    async fn run_chat(self: &Arc<Self>, chat_id: i64) {
        while let Some(update) = self.next(chat_id) {
            self.run_named(update).await;
        }
    }

    /// Runs an update under its name in the logs, here and at the services.
    async fn run_named(self: &Arc<Self>, update: Waiting) {
        let span =
            tracing::info_span!("update", update.id = update.update_id, chat.id = update.chat_id);
        let id = format!("bot:update:{}", update.update_id);
        request_id::scope(id, self.run(update)).instrument(span).await;
    }

    /// The next update of a chat; its task ends where there is none.
    fn next(&self, chat_id: i64) -> Option<Waiting> {
        let mut chats = self.chats();
        let next = match self.shutdown.is_requested() {
            true => None,
            false => chats.get_mut(&chat_id).and_then(VecDeque::pop_front),
        };
        if next.is_none() {
            chats.remove(&chat_id);
        }
        next
    }

    async fn run(self: &Arc<Self>, update: Waiting) {
        let mut failures = 0;
        while let Some(attempt) = self.begin(update).await {
            let Some(parsed) = read(&attempt.body) else {
                if is_about_money(&attempt.body) {
                    tracing::error!("a payment cannot be read; it stays in the inbox");
                    return;
                }
                tracing::warn!("update dropped");
                return self.strike_off(update, None).await;
            };
            let is_owed = stars::is_owed(&parsed);
            let ending = match attempt.number {
                ..=CRASHES_MAX => self.attempt(update, parsed.clone()).await,
                // Each attempt before this one ended with a panic or with the process.
                _ if !is_owed => Ending::Failed(HandlerError::Panic),
                _ => match self.shutdown.until(sleep(CRASHED_PAUSE)).await {
                    Some(()) => self.attempt(update, parsed.clone()).await,
                    None => return,
                },
            };
            let error = match ending {
                Ending::Handled(state) => return self.strike_off(update, state.as_deref()).await,
                Ending::Failed(error) => error,
            };
            failures += 1;
            let is_to_be_tried = match is_owed {
                true => !stars::is_settled_with_no(&error),
                false => is_worth_another(&error, attempt.number, failures),
            };
            if !is_to_be_tried {
                self.give_up(&parsed, &error).await;
                return self.strike_off(update, None).await;
            }
            tracing::warn!(error.cause = ?error, failures, "update not handled yet");
            if !matches!(error, HandlerError::Panic)
                && let Err(error) = self.app.store.forgive_attempt(update.update_id).await
            {
                tracing::error!(error.cause = ?error, "attempt not forgiven");
            }
            if is_owed && failures >= AWAY_MAX && update.chat_id != NO_CHAT {
                return self.set_aside(update, &parsed).await;
            }
            let pause = (PAUSE * failures).min(PAUSE_MAX);
            if self.shutdown.until(sleep(pause)).await.is_none() {
                return;
            }
        }
    }

    /// Begins an attempt; nothing where the update has been handled, or at the shutdown.
    async fn begin(&self, update: Waiting) -> Option<Attempt> {
        loop {
            match self.app.store.begin_attempt(update.update_id).await {
                Ok(attempt) => return attempt,
                Err(error) => {
                    tracing::error!(error.cause = ?error, "inbox not read");
                    self.shutdown.until(sleep(STORE_PAUSE)).await?;
                }
            }
        }
    }

    /// Lets what is owed wait by itself, and its chat go on.
    async fn set_aside(self: &Arc<Self>, update: Waiting, parsed: &Update) {
        while let Err(error) = self.app.store.set_aside(update.update_id).await {
            tracing::error!(error.cause = ?error, "update not set aside");
            if self.shutdown.until(sleep(STORE_PAUSE)).await.is_none() {
                return;
            }
        }
        tracing::warn!("update set aside: it is handled when the services are back");
        metrics::counter!("bot_updates_set_aside_total").increment(1);
        if let Some(said) = stars::told_to_wait(parsed) {
            self.tell(parsed, said).await;
        }
        self.add(Waiting { chat_id: NO_CHAT, ..update });
    }

    async fn attempt(&self, update: Waiting, parsed: Update) -> Ending {
        let _place = match parsed.kind {
            // Telegram waits for its answer.
            UpdateKind::PreCheckoutQuery(_) => None,
            _ => Some(self.places.acquire().await),
        };
        let Some((talk, state)) = (match self.talk(update, &parsed).await {
            Ok(talk) => talk,
            Err(error) => return Ending::Failed(error),
        }) else {
            return Ending::Handled(None);
        };
        let deps = dptree::deps![parsed, self.me.clone(), talk.clone(), state];
        match AssertUnwindSafe(self.schema.dispatch(deps)).catch_unwind().await {
            Ok(ControlFlow::Break(Ok(())) | ControlFlow::Continue(_)) => {
                Ending::Handled(talk.next().map(Box::new))
            }
            Ok(ControlFlow::Break(Err(error))) => Ending::Failed(error),
            Err(_panic) => Ending::Failed(HandlerError::Panic),
        }
    }

    /// Who the update is from, and what was asked before; nothing where it is from nobody.
    async fn talk(
        &self,
        update: Waiting,
        parsed: &Update,
    ) -> Result<Option<(Talk, State)>, HandlerError> {
        // A private chat has the id of its user, where a message does not say who it is from.
        let person = parsed.from().and_then(|user| i64::try_from(user.id.0).ok());
        let private = parsed.chat().filter(|chat| chat.is_private()).map(|chat| chat.id.0);
        let Some(user_id) = person.or(private) else { return Ok(None) };
        // A button of a message that is too old to be shown has no chat.
        let chat = parsed.chat().map_or(ChatId(user_id), |chat| chat.id);
        let stored = self.app.store.state(update.chat_id).await?;
        let is_forgotten = matches!(stored, Some(None));
        let state = stored.flatten().unwrap_or_default();
        Ok(Some((Talk::new(Arc::clone(&self.app), chat, user_id, is_forgotten), state)))
    }

    /// Tells the user that nothing came of it.
    async fn give_up(&self, update: &Update, error: &HandlerError) {
        tracing::error!(error.cause = ?error, "update given up");
        metrics::counter!("bot_updates_given_up_total").increment(1);
        let said = match stars::is_owed(update) {
            true => stars::told_at_the_end(update),
            false => error.told(),
        };
        if let Some(said) = said {
            self.tell(update, said).await;
        }
    }

    /// Says something to the person an update is from, if that is in private.
    async fn tell(&self, update: &Update, said: &str) {
        let chat = match update.chat() {
            Some(chat) if chat.is_private() => chat.id,
            Some(_) => return,
            // A button of a message that is too old to be shown has no chat.
            None => match update.from().map(|user| i64::try_from(user.id.0)) {
                Some(Ok(user_id)) => ChatId(user_id),
                _ => return,
            },
        };
        if let Err(error) = self.app.telegram.send(chat, said, None).await {
            tracing::warn!(error.cause = %error, "user not told");
        }
    }

    async fn strike_off(&self, update: Waiting, state: Option<&State>) {
        while let Err(error) = self.app.store.strike_off(update, state).await {
            tracing::error!(error.cause = ?error, "update not struck off");
            if self.shutdown.until(sleep(STORE_PAUSE)).await.is_none() {
                return;
            }
        }
        metrics::counter!("bot_updates_handled_total").increment(1);
    }
}

/// Reads an update; nothing where this version cannot.
fn read(body: &str) -> Option<Update> {
    let Ok(parsed) = serde_json::from_str::<Update>(body) else {
        tracing::warn!("update cannot be read");
        return None;
    };
    if let UpdateKind::Error(_) = parsed.kind {
        tracing::warn!("update is of a kind that this version does not know");
        return None;
    }
    Some(parsed)
}

/// Whether a handler that failed is run again: `crashes` is for ever, `failures` in this process.
fn is_worth_another(error: &HandlerError, crashes: i64, failures: u32) -> bool {
    match error {
        HandlerError::Panic => crashes < CRASHES_MAX && failures < AWAY_MAX,
        HandlerError::Telegram(TelegramError::Unknown(_)) => failures < TELEGRAM_AWAY_MAX,
        error => error.is_temporary() && failures < AWAY_MAX,
    }
}
