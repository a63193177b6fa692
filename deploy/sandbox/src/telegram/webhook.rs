//! `setWebhook`, and the deliveries: in order within a chat, again and again until a 2xx.
//!
//! Unlike Telegram itself, and like a Bot API server of one's own, plain HTTP is allowed, for
//! addresses of this machine.

use std::collections::{HashMap, HashSet};
use std::sync::{Arc, Weak};
use std::time::{Duration, Instant};

use serde_json::{Value, json};
use tokio::task::JoinSet;
use url::{Host, Url};

use super::error::Refusal;
use super::params::Params;
use super::state::{State, Update, Webhook};
use super::updates::allowed_updates;
use super::{CONNECT_TIMEOUT, HTTP_TIMEOUT, Telegram, now};

const CONNECTIONS_DEFAULT: i64 = 40;
const CONNECTIONS_MAX: i64 = 100;
const PORTS: [u16; 4] = [443, 80, 88, 8443];
const RETRY_FIRST: Duration = Duration::from_secs(1);
const RETRY_LONGEST: Duration = Duration::from_secs(60);
/// Upper bound of a nap when nothing is due.
const NAP: Duration = Duration::from_secs(60);
const SECRET_HEADER: &str = "x-telegram-bot-api-secret-token";

impl Telegram {
    /// `setWebhook`; an empty address deletes.
    pub(super) fn set_webhook(&self, params: &Params) -> Result<(Value, &'static str), Refusal> {
        let Some(url) = params.text("url") else { return Ok(self.delete_webhook(params)) };
        check_url(url)?;
        let secret_token = params.text("secret_token").map(str::to_owned);
        let is_legal = |c: char| c.is_ascii_alphanumeric() || c == '_' || c == '-';
        if secret_token.as_ref().is_some_and(|s| s.len() > 256 || !s.chars().all(is_legal)) {
            return Err(Refusal::bad("secret token contains unallowed characters"));
        }
        let connections = params.int("max_connections").unwrap_or(CONNECTIONS_DEFAULT);
        let certificate = params
            .file("certificate")
            .map(|upload| String::from_utf8_lossy(&upload.bytes).into_owned());
        let webhook = Webhook {
            url: url.to_owned(),
            secret_token,
            max_connections: usize::try_from(connections.clamp(1, CONNECTIONS_MAX)).unwrap_or(1),
            certificate,
            last_error_date: None,
            last_error_message: None,
        };
        client(&webhook)?;
        let allowed = allowed_updates(params)?;
        let was_there = self.state.write(|state| {
            if params.flag("drop_pending_updates") {
                state.updates.clear();
            }
            if let Some(allowed) = allowed {
                state.allowed_updates = allowed;
            }
            let same = state.webhook.as_ref().is_some_and(|old| old.url == webhook.url);
            state.webhook = Some(webhook);
            same
        });
        self.arrivals.send_replace(());
        let said = if was_there { "Webhook is already set" } else { "Webhook was set" };
        Ok((Value::Bool(true), said))
    }

    /// `deleteWebhook`.
    pub(super) fn delete_webhook(&self, params: &Params) -> (Value, &'static str) {
        let was_there = self.state.write(|state| {
            if params.flag("drop_pending_updates") {
                state.updates.clear();
            }
            state.webhook.take().is_some()
        });
        self.arrivals.send_replace(());
        let said = if was_there { "Webhook was deleted" } else { "Webhook is already deleted" };
        (Value::Bool(true), said)
    }

    /// `getWebhookInfo`.
    pub(super) fn webhook_info(&self) -> Value {
        self.state.read(|state| {
            let mut info = json!({
                "url": state.webhook.as_ref().map_or("", |webhook| webhook.url.as_str()),
                "has_custom_certificate":
                    state.webhook.as_ref().is_some_and(|webhook| webhook.certificate.is_some()),
                "pending_update_count": state.updates.len(),
            });
            if let Some(webhook) = &state.webhook {
                info["max_connections"] = webhook.max_connections.into();
                if let (Some(date), Some(message)) =
                    (webhook.last_error_date, &webhook.last_error_message)
                {
                    info["last_error_date"] = date.into();
                    info["last_error_message"] = message.as_str().into();
                }
            }
            if !state.allowed_updates.is_empty() {
                info["allowed_updates"] = json!(state.allowed_updates);
            }
            info
        })
    }
}

fn check_url(text: &str) -> Result<(), Refusal> {
    let wrong = |problem: &str| Refusal::bad(format_args!("bad webhook: {problem}"));
    let url = Url::parse(text).map_err(|_| wrong("invalid webhook URL specified"))?;
    let is_local = match url.host() {
        Some(Host::Domain(name)) => name == "localhost" || name.ends_with(".localhost"),
        Some(Host::Ipv4(address)) => address.is_loopback(),
        Some(Host::Ipv6(address)) => address.is_loopback(),
        None => return Err(wrong("invalid webhook URL specified")),
    };
    match url.scheme() {
        "https" if is_local => Ok(()),
        "https" if url.port_or_known_default().is_some_and(|port| PORTS.contains(&port)) => Ok(()),
        "https" => Err(wrong("Webhook can be set up only on ports 80, 88, 443 or 8443")),
        "http" if is_local => Ok(()),
        _ => Err(wrong("An HTTPS URL must be provided for webhook")),
    }
}

fn client(webhook: &Webhook) -> Result<reqwest::Client, Refusal> {
    let builder = reqwest::Client::builder()
        .no_proxy()
        .connect_timeout(CONNECT_TIMEOUT)
        .timeout(HTTP_TIMEOUT);
    let wrong = |_| Refusal::bad("bad webhook: certificate is not a PEM file");
    let builder = match &webhook.certificate {
        Some(pem) => {
            builder.tls_certs_only([reqwest::Certificate::from_pem(pem.as_bytes()).map_err(wrong)?])
        }
        None => builder,
    };
    builder.build().map_err(wrong)
}

/// Begins to deliver; ends when the emulator is dropped.
pub(super) fn start(telegram: &Arc<Telegram>) {
    let arrivals = telegram.arrivals.subscribe();
    let delivery = Delivery {
        telegram: Arc::downgrade(telegram),
        running: JoinSet::new(),
        busy: HashSet::new(),
        failed: HashMap::new(),
    };
    tokio::spawn(delivery.run(arrivals));
}

/// How one delivery ended.
struct Ended {
    webhook_url: String,
    chat_id: i64,
    update_id: i64,
    problem: Option<String>,
}

struct Delivery {
    telegram: Weak<Telegram>,
    running: JoinSet<Ended>,
    /// Chats with a delivery on its way.
    busy: HashSet<i64>,
    /// Chats whose last delivery failed: how often, and when the next may begin.
    failed: HashMap<i64, (u32, Instant)>,
}

impl Delivery {
    async fn run(mut self, mut arrivals: tokio::sync::watch::Receiver<()>) {
        loop {
            let Some(telegram) = self.telegram.upgrade() else { return };
            arrivals.mark_unchanged();
            self.begin(&telegram);
            drop(telegram);
            let next = self.failed.values().map(|&(_, at)| at).min();
            let nap = next.map_or(NAP, |at| at.saturating_duration_since(Instant::now()));
            tokio::select! {
                changed = arrivals.changed() => if changed.is_err() { return },
                Some(ended) = self.running.join_next() => {
                    if let (Some(telegram), Ok(ended)) = (self.telegram.upgrade(), ended) {
                        self.settle(&telegram, &ended);
                    }
                }
                () = tokio::time::sleep(nap) => {}
            }
        }
    }

    /// Begins what is due: the oldest update of each chat that is not waiting.
    fn begin(&mut self, telegram: &Telegram) {
        let Some((webhook, updates)) = telegram.state.read(pending) else {
            self.failed.clear();
            return;
        };
        let Ok(client) = client(&webhook) else { return };
        let mut passed = self.busy.clone();
        let now = Instant::now();
        for update in updates {
            let waits = self.failed.get(&update.chat_id).is_some_and(|&(_, at)| at > now);
            if !passed.insert(update.chat_id) || waits {
                continue;
            }
            if self.running.len() >= webhook.max_connections {
                return;
            }
            self.busy.insert(update.chat_id);
            // A chat that is on its way waits for its end and not for the clock.
            if let Some((_, at)) = self.failed.get_mut(&update.chat_id) {
                *at = now + NAP;
            }
            self.running.spawn(deliver(client.clone(), webhook.clone(), update));
        }
    }

    fn settle(&mut self, telegram: &Telegram, ended: &Ended) {
        self.busy.remove(&ended.chat_id);
        match &ended.problem {
            None => {
                self.failed.remove(&ended.chat_id);
            }
            Some(_) => {
                let tries = self.failed.get(&ended.chat_id).map_or(0, |&(tries, _)| tries);
                let delay = RETRY_FIRST.saturating_mul(1 << tries.min(6)).min(RETRY_LONGEST);
                self.failed.insert(ended.chat_id, (tries + 1, Instant::now() + delay));
            }
        }
        telegram.state.write(|state| record(state, ended));
    }
}

fn pending(state: &State) -> Option<(Webhook, Vec<Update>)> {
    Some((state.webhook.clone()?, state.updates.iter().cloned().collect()))
}

fn record(state: &mut State, ended: &Ended) {
    match &ended.problem {
        None => state.updates.retain_mut(|update| {
            if update.update_id == ended.update_id {
                update.deliveries = update.deliveries.saturating_sub(1);
            }
            update.deliveries > 0
        }),
        Some(problem) => {
            if let Some(webhook) = state.webhook.as_mut().filter(|w| w.url == ended.webhook_url) {
                webhook.last_error_date = Some(now());
                webhook.last_error_message = Some(problem.clone());
            }
        }
    }
}

async fn deliver(client: reqwest::Client, webhook: Webhook, update: Update) -> Ended {
    let mut request = client.post(&webhook.url).json(&update.wire());
    if let Some(secret) = &webhook.secret_token {
        request = request.header(SECRET_HEADER, secret);
    }
    let problem = match request.send().await {
        Ok(answer) if answer.status().is_success() => None,
        Ok(answer) => Some(format!("Wrong response from the webhook: {}", answer.status())),
        Err(error) if error.is_timeout() => Some("Read timeout expired".to_owned()),
        Err(error) if error.is_connect() => Some("Connection refused".to_owned()),
        Err(_) => Some("Connection closed".to_owned()),
    };
    Ended {
        webhook_url: webhook.url,
        chat_id: update.chat_id,
        update_id: update.update_id,
        problem,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_webhook_is_https_on_a_known_port_or_on_this_machine() {
        for good in [
            "https://bot.example.com/hook",
            "https://bot.example.com:8443/hook",
            "http://127.0.0.1:8443/telegram",
            "http://localhost:9000/",
            "https://[::1]:9000/",
        ] {
            assert_eq!(check_url(good), Ok(()), "{good}");
        }
        for bad in
            ["http://bot.example.com/", "https://bot.example.com:9000/", "bot", "ftp://localhost/"]
        {
            assert!(check_url(bad).is_err(), "{bad}");
        }
    }
}
