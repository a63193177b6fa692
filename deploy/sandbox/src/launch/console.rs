//! What a person sees in the terminal: each service's lines under its own mark.

use std::io::{IsTerminal as _, Write as _};

/// Marks are as wide as the longest label.
const WIDTH: usize = 8;
const RESET: &str = "\u{1b}[0m";
const BOLD: &str = "\u{1b}[1m";
const RED: &str = "\u{1b}[31m";

/// The colour of a service's mark.
fn colour(label: &str) -> &'static str {
    match label {
        "billing" => "\u{1b}[32m",
        "payment" => "\u{1b}[33m",
        "worker" => "\u{1b}[35m",
        "bot" => "\u{1b}[36m",
        _ => RED,
    }
}

fn write(text: &str) {
    let mut out = std::io::stdout().lock();
    // Nobody may be reading any more; the services go on.
    let _ = writeln!(out, "{text}").and_then(|()| out.flush());
}

fn is_coloured() -> bool {
    std::io::stdout().is_terminal() && std::env::var_os("NO_COLOR").is_none()
}

/// One line of a service.
pub(super) fn line(label: &str, text: &str) {
    let text = printable(text);
    if is_coloured() {
        write(&format!("{}{label:>WIDTH$} │{RESET} {text}", colour(label)));
    } else {
        write(&format!("{label:>WIDTH$} │ {text}"));
    }
}

/// What must not be overlooked.
pub(super) fn alarm(text: &str) {
    if is_coloured() {
        write(&format!("{BOLD}{RED}{:>WIDTH$} ! {text}{RESET}", "sandbox"));
    } else {
        write(&format!("{:>WIDTH$} ! {text}", "sandbox"));
    }
}

/// Where to go now.
pub(super) fn banner(chat: &str, data: &std::path::Path) {
    let rule = "─".repeat(72);
    let (bold, reset) = if is_coloured() { (BOLD, RESET) } else { ("", "") };
    write(&format!(
        "{rule}\n  Media Lab runs. Open the chat with the bot:\n\n      {bold}{chat}/{reset}\n\n  \
         No account, no money: Telegram, YooKassa and fal.ai are played by the sandbox.\n  \
         Data: {} (--fresh forgets it)    Stop: Ctrl-C\n{rule}",
        data.display()
    ));
}

/// A log may quote what a user wrote: no escape sequence of theirs reaches the terminal.
fn printable(text: &str) -> String {
    text.chars().map(|c| if c.is_control() && c != '\t' { '\u{fffd}' } else { c }).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_a_user_wrote_cannot_steer_the_terminal() {
        assert_eq!(printable("a\u{1b}[2Jb\tc"), "a\u{fffd}[2Jb\tc");
    }
}
