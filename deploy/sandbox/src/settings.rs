//! What the three emulators need to know of each other and of the services.

use std::path::PathBuf;

/// Where the emulators are, and what they accept.
#[derive(Clone, Debug)]
pub struct Settings {
    /// Folder of everything that outlives a run.
    pub data: PathBuf,
    /// Where a browser on this machine reaches the sandbox: `http://127.0.0.1:8090`, no slash at
    /// the end. Links that leave the sandbox otherwise than in answer to a request begin with it.
    pub base_url: String,
    /// Token of the one bot that the Telegram emulator knows.
    pub bot_token: String,
    /// Shop of the YooKassa emulator.
    pub shop_id: String,
    /// The shop's secret key.
    pub secret_key: String,
    /// Where YooKassa's notifications are sent.
    pub webhook_url: String,
    /// Keys that the fal.ai emulator accepts.
    pub fal_keys: Vec<String>,
}

/// The scheme a request came in by; each listener adds it to the request's extensions, so that
/// links in an answer lead back the way the caller came.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Scheme {
    /// Plain HTTP.
    Http,
    /// HTTPS.
    Https,
}

impl Scheme {
    /// As it is written in a URL.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Http => "http",
            Self::Https => "https",
        }
    }
}
