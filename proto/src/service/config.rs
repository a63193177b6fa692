//! Reads a process's settings from the environment and `.env`, or stops with one clear line.

use std::process;
use std::time::Duration;

use clap::error::{ContextKind, ContextValue, ErrorKind};

use super::tls::TlsConfig;

/// Ends a process whose settings are wrong, as `sysexits.h` names it (EX_CONFIG).
const EXIT_CONFIG: i32 = 78;

/// How logs are written.
#[derive(Clone, Copy, Debug, Eq, PartialEq, clap::ValueEnum)]
pub enum LogFormat {
    /// A line for a person.
    Text,
    /// A JSON object a line.
    Json,
}

/// The settings that every service has.
#[derive(Clone, Debug, clap::Args)]
pub struct CommonConfig {
    /// How logs are written: `text` or `json`.
    #[arg(long, env, default_value = "text")]
    pub log_format: LogFormat,

    /// What is logged, as tracing's filters spell it: `info`, or `info,billing_svc=debug`.
    #[arg(long, env, default_value = "info")]
    pub rust_log: String,

    /// Who the process is to the others.
    #[command(flatten)]
    pub tls: TlsConfig,
}

/// Reads the settings from the command line and the environment.
///
/// What is missing or wrong ends the process with one line on standard error that names the
/// variable and never shows a value, which may be a secret.
#[expect(clippy::print_stderr, reason = "logs are not set up yet")]
pub fn parse<C: clap::Parser>() -> C {
    C::try_parse().unwrap_or_else(|error| match error.kind() {
        ErrorKind::DisplayHelp
        | ErrorKind::DisplayVersion
        | ErrorKind::DisplayHelpOnMissingArgumentOrSubcommand => error.exit(),
        _ => {
            eprintln!("{}: {}", C::command().get_name(), one_line(&error));
            process::exit(EXIT_CONFIG)
        }
    })
}

/// Adds what `.env` says, in this folder or one above, to the environment. A file that cannot be
/// read stops the start: what stands below the mistake would be missing in silence.
pub fn load_dotenv() {
    match dotenvy::dotenv() {
        Ok(_) => {}
        Err(error) if error.not_found() => {}
        // The error of a line shows the line, in which a secret may stand.
        Err(dotenvy::Error::LineParse(..)) => {
            refuse(".env", "a line cannot be read: write NAME=value, in quotes if it has spaces")
        }
        Err(error) => refuse(".env", format_args!("cannot be read: {error}")),
    }
}

/// Ends the process because a setting that could be read cannot be used.
#[expect(clippy::print_stderr, reason = "logs may not be set up yet")]
pub fn refuse(variable: &str, problem: impl std::fmt::Display) -> ! {
    eprintln!("{variable}: {problem}");
    process::exit(EXIT_CONFIG)
}

fn one_line(error: &clap::Error) -> String {
    let named = |kind| match error.get(kind) {
        Some(ContextValue::String(name)) => variable(name),
        Some(ContextValue::Strings(names)) => {
            names.iter().map(|name| variable(name)).collect::<Vec<_>>().join(", ")
        }
        _ => "a setting".to_owned(),
    };
    match error.kind() {
        ErrorKind::MissingRequiredArgument => format!(
            "{} is missing: set it in the environment or in .env",
            named(ContextKind::InvalidArg)
        ),
        ErrorKind::ValueValidation | ErrorKind::InvalidValue => {
            let cause = std::error::Error::source(error).map(ToString::to_string);
            let possible = match error.get(ContextKind::ValidValue) {
                Some(ContextValue::Strings(values)) => format!("one of {}", values.join(", ")),
                _ => "another form".to_owned(),
            };
            format!(
                "{} cannot be used: {}",
                named(ContextKind::InvalidArg),
                cause.unwrap_or_else(|| format!("expected {possible}"))
            )
        }
        _ => error.to_string().lines().next().unwrap_or_default().to_owned(),
    }
}

/// `--billing-listen <BILLING_LISTEN>` → `BILLING_LISTEN`.
fn variable(argument: &str) -> String {
    argument
        .split_once('<')
        .and_then(|(_, rest)| rest.split_once('>'))
        .map_or(argument, |(name, _)| name)
        .to_owned()
}

/// Reads a span of time as people write it: `30m`, `45s`, `500ms`, `2h`, `1d`.
///
/// # Errors
/// Says which forms are possible.
pub fn duration(text: &str) -> Result<Duration, String> {
    let problem = || "expected a span of time such as 30m, 45s, 500ms, 2h or 1d".to_owned();
    let unit = text.find(|c: char| !c.is_ascii_digit()).ok_or_else(problem)?;
    let (number, unit) = text.split_at(unit);
    let number: u64 = number.parse().map_err(|_| problem())?;
    let milliseconds = match unit {
        "ms" => 1,
        "s" => 1_000,
        "m" => 60_000,
        "h" => 3_600_000,
        "d" => 86_400_000,
        _ => return Err(problem()),
    };
    match number.checked_mul(milliseconds) {
        Some(total) if total > 0 => Ok(Duration::from_millis(total)),
        _ => Err(problem()),
    }
}

#[cfg(test)]
mod tests {
    use clap::Parser;

    use super::*;

    #[derive(Debug, Parser)]
    struct Config {
        #[arg(long, env = "PROTO_TEST_LISTEN_UNSET")]
        #[arg(value_name = "BILLING_LISTEN")]
        listen: std::net::SocketAddr,
    }

    #[test]
    fn a_missing_or_wrong_setting_is_one_line_that_names_it() {
        let missing = Config::try_parse_from(["x"]).unwrap_err();
        assert_eq!(
            one_line(&missing),
            "BILLING_LISTEN is missing: set it in the environment or in .env"
        );

        let wrong = Config::try_parse_from(["x", "--listen", "s3cret"]).unwrap_err();
        assert_eq!(
            one_line(&wrong),
            "BILLING_LISTEN cannot be used: invalid socket address syntax"
        );
    }

    #[test]
    fn reads_spans_of_time() {
        assert_eq!(duration("30m"), Ok(Duration::from_secs(1800)));
        assert_eq!(duration("500ms"), Ok(Duration::from_millis(500)));
        for wrong in ["", "30", "m", "-1s", "1.5h", "0s", "99999999999999999999s", "30 m"] {
            assert!(duration(wrong).is_err(), "{wrong:?}");
        }
    }
}
