//! The Bot API on the wire: one request, one answer, of which only what we need is read.
//!
//! Methods and files are asked for as Telegram's documentation spells them, and pictures are sent
//! as plain form files, so that any server that speaks the protocol understands.

use std::fmt;
use std::time::Duration;

use secrecy::{ExposeSecret as _, SecretString};
use serde::Deserialize;
use serde_json::Value;
use telegram_http::multipart::Form;
use telegram_http::{Client, Response};
use teloxide::ApiError;
use teloxide::net::default_reqwest_settings;
use url::{Host, Url};

use super::error::{TelegramError, Verdict, chain, judge, redact};

/// Uploads and downloads take longer than the 17 s that other calls have.
const TRANSFER_TIMEOUT: Duration = Duration::from_secs(90);
/// What Telegram means where it asks to wait and does not say how long.
const WAIT: Duration = Duration::from_secs(1);

/// The way to the Bot API, with the token.
#[derive(Clone)]
pub(super) struct Wire {
    /// For calls that are answered at once.
    quick: Client,
    /// For files.
    transfer: Client,
    api_url: Url,
    token: SecretString,
}

impl fmt::Debug for Wire {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.debug_struct("Wire").finish_non_exhaustive()
    }
}

/// What a method is told.
pub(super) enum Told {
    Json(Value),
    Form(Form),
}

/// What Telegram answered, before it is judged.
#[derive(Debug, Default, Deserialize)]
#[serde(default)]
pub(super) struct Answer {
    ok: bool,
    result: Value,
    error_code: u16,
    description: String,
    parameters: Option<Parameters>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default)]
struct Parameters {
    retry_after: Option<u64>,
    migrate_to_chat_id: Option<i64>,
}

impl Wire {
    pub(super) fn new(token: SecretString, mut api_url: Url) -> Result<Self, TelegramError> {
        let path = api_url.path().trim_end_matches('/').to_owned();
        api_url.set_path(&path);
        // A proxy that is set up for the way to Telegram does not lead back to this machine.
        let is_local = match api_url.host() {
            Some(Host::Domain(name)) => name == "localhost",
            Some(Host::Ipv4(address)) => address.is_loopback(),
            Some(Host::Ipv6(address)) => address.is_loopback(),
            None => false,
        };
        let client = |timeout: Option<Duration>| {
            let mut settings = default_reqwest_settings();
            if is_local {
                settings = settings.no_proxy();
            }
            if let Some(timeout) = timeout {
                settings = settings.timeout(timeout);
            }
            settings.build().map_err(|error| TelegramError::Unknown(chain(&error)))
        };
        let (quick, transfer) = (client(None)?, client(Some(TRANSFER_TIMEOUT))?);
        Ok(Self { quick, transfer, api_url, token })
    }

    /// Calls a method, once.
    pub(super) async fn call(&self, method: &str, told: Told) -> Result<Value, Verdict> {
        let bot = format!("bot{}", self.token.expose_secret());
        let url = self.url([bot.as_str(), method]);
        let request = match told {
            Told::Json(body) => self.quick.post(url).json(&body),
            Told::Form(form) => self.transfer.post(url).multipart(form),
        };
        let answer = request.send().await.map_err(|error| self.unknown(&error))?;
        let status = answer.status().as_u16();
        let body = answer.bytes().await.map_err(|error| self.unknown(&error))?;
        read(status, &body)
    }

    /// Asks for a file; its body is still to be read.
    pub(super) async fn file(&self, path: &str) -> Result<Response, TelegramError> {
        let bot = format!("bot{}", self.token.expose_secret());
        let url = self.url(["file", bot.as_str()].into_iter().chain(path.split('/')));
        let answer = self.transfer.get(url).send().await;
        let answer = answer.map_err(|error| TelegramError::Unknown(self.redacted(&error)))?;
        match answer.status().as_u16() {
            200..=299 => Ok(answer),
            code @ (408 | 429 | 500..=599) => Err(TelegramError::Unknown(format!("HTTP {code}"))),
            code => Err(TelegramError::Refused(ApiError::Unknown(format!("HTTP {code}")))),
        }
    }

    /// An address below the Bot API's; empty parts are left out.
    fn url<'a>(&self, parts: impl IntoIterator<Item = &'a str>) -> Url {
        let mut url = self.api_url.clone();
        if let Ok(mut segments) = url.path_segments_mut() {
            segments.pop_if_empty().extend(parts.into_iter().filter(|part| !part.is_empty()));
        }
        url
    }

    fn unknown(&self, error: &dyn std::error::Error) -> Verdict {
        Verdict::Failed(TelegramError::Unknown(self.redacted(error)))
    }

    /// An error's causes, without the bot's token.
    pub(super) fn redacted(&self, error: &dyn std::error::Error) -> String {
        redact(&chain(error), self.token.expose_secret())
    }

    /// The bot's id, which the token begins with.
    pub(super) fn bot_id(&self) -> Option<u64> {
        self.token.expose_secret().split(':').next()?.parse().ok()
    }
}

/// Reads an answer: the result, or what is to be done instead.
pub(super) fn read(status: u16, body: &[u8]) -> Result<Value, Verdict> {
    let unknown = |cause: String| Verdict::Failed(TelegramError::Unknown(cause));
    let Ok(answer) = serde_json::from_slice::<Answer>(body) else {
        // A page of something in between.
        return Err(unknown(format!("answer {status} cannot be read")));
    };
    if answer.ok {
        return Ok(answer.result);
    }
    let code = if answer.error_code == 0 { status } else { answer.error_code };
    let parameters = answer.parameters.unwrap_or_default();
    if let Some(seconds) = parameters.retry_after {
        return Err(Verdict::Wait(Duration::from_secs(seconds)));
    }
    if parameters.migrate_to_chat_id.is_some() {
        return Err(Verdict::Failed(TelegramError::Gone));
    }
    match code {
        429 => Err(Verdict::Wait(WAIT)),
        // It says nothing about what was done.
        500..=599 => Err(unknown(format!("{code} {}", answer.description))),
        401 => Err(Verdict::Failed(TelegramError::Unauthorized)),
        409 => Err(Verdict::Failed(TelegramError::Conflict(answer.description))),
        _ => judge(code, answer.description),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn wire(api_url: &str) -> Wire {
        Wire::new("12:AbC".into(), api_url.parse().unwrap()).unwrap()
    }

    #[test]
    fn addresses_are_those_of_the_documentation() {
        for base in ["http://127.0.0.1:1/tg", "http://127.0.0.1:1/tg/"] {
            let wire = wire(base);
            let method = wire.url(["bot12:AbC", "getMe"]);
            assert_eq!(method.as_str(), "http://127.0.0.1:1/tg/bot12:AbC/getMe");
            let file = wire.url("file/bot12:AbC//photos/a b.jpg".split('/'));
            assert_eq!(file.as_str(), "http://127.0.0.1:1/tg/file/bot12:AbC/photos/a%20b.jpg");
        }
        let bare = wire("https://api.telegram.org").url(["bot12:AbC", "getMe"]);
        assert_eq!(bare.as_str(), "https://api.telegram.org/bot12:AbC/getMe");
    }

    #[test]
    fn an_answer_is_read_as_what_it_says_was_done() {
        let check = |status: u16, body: &str, expected: &str| {
            let read = format!("{:?}", read(status, body.as_bytes()));
            assert!(read.starts_with(expected), "{body}: {read}");
        };
        check(200, r#"{"ok":true,"result":{"message_id":7}}"#, r#"Ok(Object {"message_id""#);
        check(200, r#"{"ok":true,"result":true}"#, "Ok(Bool(true))");
        check(200, r#"{"ok":true}"#, "Ok(Null)");
        check(
            400,
            r#"{"ok":false,"error_code":400,"description":"Bad Request: message is not modified: specified new message content and reply markup are exactly the same as a current content and reply markup of the message"}"#,
            "Ok(Null)",
        );
        check(
            429,
            r#"{"ok":false,"error_code":429,"description":"x","parameters":{"retry_after":3}}"#,
            "Err(Wait(3s",
        );
        check(429, r#"{"ok":false}"#, "Err(Wait(1s");
        check(
            403,
            r#"{"ok":false,"error_code":403,"description":"Forbidden: whatever"}"#,
            "Err(Failed(Gone",
        );
        check(400, r#"{"ok":false,"description":"Bad Request: x"}"#, "Err(Failed(Refused");
        let away = r#"{"ok":false,"error_code":500,"description":"Internal Server Error"}"#;
        check(500, away, "Err(Failed(Unknown");
        check(502, "<html>bad gateway</html>", "Err(Failed(Unknown");
        check(409, r#"{"ok":false,"description":"Conflict: x"}"#, "Err(Failed(Conflict");
    }
}
