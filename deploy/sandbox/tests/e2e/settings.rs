//! What an operator reads and writes before anything runs.

use std::collections::BTreeSet;
use std::process::Command;

use crate::world::binary;

const SERVICES: [&str; 4] = ["billing-svc", "payment-gateway", "media-worker", "bot-gateway"];

/// The variables that a service says it reads.
fn variables(service: &str) -> BTreeSet<String> {
    let help = Command::new(binary(service)).arg("--help").output().unwrap();
    let help = String::from_utf8(help.stdout).unwrap();
    let named = help.split("[env: ").skip(1);
    named.map(|rest| rest.split(['=', ']']).next().unwrap().to_owned()).collect()
}

#[test]
fn the_example_names_every_setting_and_no_other() {
    let example = concat!(env!("CARGO_MANIFEST_DIR"), "/../../.env.example");
    let example = std::fs::read_to_string(example).unwrap();
    let named: BTreeSet<String> = example
        .lines()
        .map(|line| line.trim_start_matches('#'))
        .filter_map(|line| line.split_once('='))
        .map(|(name, _)| name.to_owned())
        .filter(|name| name.bytes().all(|b| b.is_ascii_uppercase() || b == b'_'))
        .collect();

    let read: BTreeSet<String> = SERVICES.into_iter().flat_map(variables).collect();

    assert_eq!(named, read);
}

#[test]
fn a_missing_or_wrong_setting_is_one_line_that_names_it_and_shows_no_value() {
    let wrong = [
        ("billing-svc", "PRICE_PER_OPERATION", "hush-1.005"),
        ("billing-svc", "HOLD_TTL", "hush"),
        ("billing-svc", "BILLING_LISTEN", "hush"),
        ("billing-svc", "DATABASE_URL", "mysql://user:hush@host/name"),
        ("payment-gateway", "YOOKASSA_SHOP_ID", "hush:hush"),
        ("payment-gateway", "YOOKASSA_SECRET_KEY", ""),
        ("payment-gateway", "RECEIPTS", "hush"),
        ("payment-gateway", "RECEIPT_VAT_CODE", "hush"),
        ("payment-gateway", "RECEIPT_TAX_SYSTEM", "hush"),
        ("payment-gateway", "RECEIPT_SUBJECT", "hush"),
        ("payment-gateway", "RECEIPT_MODE", "hush"),
        ("payment-gateway", "RECEIPT_DESCRIPTION", ""),
        ("payment-gateway", "STARS_RATE", "hush"),
        ("media-worker", "FAL_KEY", ""),
        ("media-worker", "MEDIA_DATABASE_URL", "mysql://user:hush@host/name"),
        ("bot-gateway", "TELEGRAM_BOT_TOKEN", ""),
        ("bot-gateway", "TELEGRAM_BOT_TOKEN", "hush hush"),
        ("bot-gateway", "BOT_DATABASE_URL", "mysql://user:hush@host/name"),
    ];
    let folder = tempfile::tempdir().unwrap();
    for (service, variable, value) in wrong {
        let mut command = Command::new(binary(service));
        command.current_dir(folder.path()).env_clear();
        for required in ["TELEGRAM_BOT_TOKEN", "YOOKASSA_SHOP_ID", "YOOKASSA_SECRET_KEY", "FAL_KEY"]
        {
            command.env(required, "1");
        }
        // Somebody on this machine may be using the bot.
        for listen in ["BILLING", "PAYMENTS", "PAYMENTS_HTTP", "MEDIA"] {
            command.env(format!("{listen}_LISTEN"), "127.0.0.1:0");
        }
        for admin in ["BILLING", "PAYMENTS", "MEDIA", "BOT"] {
            command.env(format!("{admin}_ADMIN_LISTEN"), "127.0.0.1:0");
        }
        command.env("YOOKASSA_RETURN_URL", "https://example.com/").env(variable, value);

        let ended = command.output().unwrap();

        let said = String::from_utf8(ended.stderr).unwrap();
        let last = said.lines().last().unwrap_or_default();
        assert!(!ended.status.success(), "{service} took {variable}={value}");
        assert!(last.contains(variable), "{service}, {variable}={value}: {said}");
        assert!(!said.contains("hush"), "{service}, {variable}={value}: {said}");
    }
}

#[test]
fn settings_stand_in_a_file_and_a_line_that_cannot_be_read_stops_the_start() {
    let folder = tempfile::tempdir().unwrap();
    let start = |file: &str| {
        std::fs::write(folder.path().join(".env"), file).unwrap();
        let mut command = Command::new(binary("billing-svc"));
        let ended = command.current_dir(folder.path()).env_clear().output().unwrap();
        assert!(!ended.status.success(), "{file}");
        String::from_utf8(ended.stderr).unwrap()
    };

    let said = start("HOLD_TTL=hush\n");
    assert!(said.contains("HOLD_TTL cannot be used"), "{said}");

    let said = start("DATABASE_URL=postgres://user:hush hush@host/name\nPRICE_PER_OPERATION=10\n");
    assert!(said.starts_with(".env: ") && !said.contains("hush"), "{said}");
}
