//! An e-mail address that a receipt can be sent to: checked once, the same way for whoever asks for
//! it and for whoever sends it.
//!
//! Stricter than what mail allows: the tax office's service takes plain addresses only, and a wrong
//! one is a payment that is refused. Sources: RFC 5321 (lengths), RFC 5322 (`dot-atom`), YooKassa
//! (254 characters).

use std::fmt;
use std::str::FromStr;

/// YooKassa's limit, in characters.
const LENGTH_MAX: usize = 254;
/// RFC 5321, in characters: what stands before the @.
const LOCAL_LENGTH_MAX: usize = 64;
/// DNS, in characters: one part of a domain.
const LABEL_LENGTH_MAX: usize = 63;

/// An address. It is personal, so `Debug` does not show it.
#[derive(Clone, Eq, PartialEq)]
pub struct Email(String);

/// Why a text is not an address.
#[derive(Clone, Copy, Debug, Eq, PartialEq, thiserror::Error)]
pub enum EmailError {
    /// No address, several, or words around one.
    #[error("not one e-mail address")]
    NotOne,
    /// Letters that are not Latin, or other characters beyond ASCII.
    #[error("an e-mail address with characters beyond ASCII")]
    NotLatin,
    /// Longer than receipts take.
    #[error("an e-mail address of more than {LENGTH_MAX} characters")]
    TooLong,
    /// A sign where it cannot stand, or no domain such as `example.com`.
    #[error("not an e-mail address such as name@example.com")]
    Malformed,
}

impl Email {
    /// The address, its domain in lower case.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Debug for Email {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Email(hidden)")
    }
}

impl FromStr for Email {
    type Err = EmailError;

    fn from_str(text: &str) -> Result<Self, EmailError> {
        let text = text.trim();
        if text.matches('@').count() != 1 || text.contains([' ', '\t', '\n', ',', ';']) {
            return Err(EmailError::NotOne);
        }
        if text.chars().count() > LENGTH_MAX {
            return Err(EmailError::TooLong);
        }
        if !text.is_ascii() {
            return Err(EmailError::NotLatin);
        }
        let (local, domain) = text.split_once('@').ok_or(EmailError::NotOne)?;
        let domain = domain.to_ascii_lowercase();
        if is_local(local) && is_domain(&domain) {
            Ok(Self(format!("{local}@{domain}")))
        } else {
            Err(EmailError::Malformed)
        }
    }
}

fn is_local(text: &str) -> bool {
    let allowed = |b: u8| b.is_ascii_alphanumeric() || b"!#$%&'*+-/=?^_`{|}~".contains(&b);
    text.len() <= LOCAL_LENGTH_MAX
        && text.split('.').all(|part| !part.is_empty() && part.bytes().all(allowed))
}

fn is_domain(text: &str) -> bool {
    let is_label = |label: &str| {
        (1..=LABEL_LENGTH_MAX).contains(&label.len())
            && label.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'-')
            && !label.starts_with('-')
            && !label.ends_with('-')
    };
    let Some((_, top)) = text.rsplit_once('.') else { return false };
    // No top-level domain is a number, so `name@127.0.0.1` is not taken.
    let is_top =
        top.starts_with("xn--") || top.len() >= 2 && top.bytes().all(|b| b.is_ascii_alphabetic());
    is_top && text.split('.').all(is_label)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(text: &str, expected: Result<&str, EmailError>) {
        let read = text.parse::<Email>();
        assert_eq!(read.as_ref().map(Email::as_str), expected.as_ref().copied(), "{text:?}");
    }

    #[test]
    fn plain_addresses_are_taken_as_they_are_meant() {
        check("anna@example.com", Ok("anna@example.com"));
        check("  anna@example.com\n", Ok("anna@example.com"));
        check("Anna.K+bot@Mail.RU", Ok("Anna.K+bot@mail.ru"));
        check("a@b.co", Ok("a@b.co"));
        check("o'neil_1%x@sub.do-main.travel", Ok("o'neil_1%x@sub.do-main.travel"));
        check("ivan@xn--80a1acny.xn--p1ai", Ok("ivan@xn--80a1acny.xn--p1ai"));
    }

    #[test]
    fn what_is_not_one_address_is_refused() {
        for wrong in [
            "",
            " ",
            "anna",
            "anna.example.com",
            "мой адрес a@b.ru",
            "a@b.ru, c@d.ru",
            "a@@b.ru",
            "a@b.ru;",
            "a@b@c.ru",
        ] {
            check(wrong, Err(EmailError::NotOne));
        }
    }

    #[test]
    fn letters_that_are_not_latin_are_said_to_be_so() {
        check("анна@example.com", Err(EmailError::NotLatin));
        check("anna@почта.рф", Err(EmailError::NotLatin));
        check("аnna@example.com", Err(EmailError::NotLatin));
    }

    #[test]
    fn signs_where_they_cannot_stand_are_refused() {
        for wrong in [
            "@example.com",
            "anna@",
            "anna@example",
            ".anna@example.com",
            "anna.@example.com",
            "an..na@example.com",
            "anna@.com",
            "anna@example..com",
            "anna@-example.com",
            "anna@example-.com",
            "anna@example.c",
            "anna@example.123",
            "anna@127.0.0.1",
            "anna@[127.0.0.1]",
            "\"an na\"@example.com",
            "anna<x>@example.com",
            "anna@exa_mple.com",
            "an\0na@example.com",
            "anna@example.com.",
        ] {
            let read = wrong.parse::<Email>();
            assert!(read.is_err(), "{wrong:?}");
        }
        check("anna@example.123", Err(EmailError::Malformed));
    }

    #[test]
    fn an_address_has_at_most_254_characters_and_64_before_the_at() {
        let domain = format!("{}.{}.{}.ru", "d".repeat(63), "d".repeat(63), "d".repeat(58));
        let longest = format!("{}@{domain}", "a".repeat(64));
        assert_eq!(longest.len(), 254);

        check(&longest, Ok(&longest));
        check(&format!("{}@d{domain}", "a".repeat(64)), Err(EmailError::TooLong));
        check(&format!("{}@example.com", "a".repeat(65)), Err(EmailError::Malformed));
        check(&format!("a@{}.ru", "d".repeat(64)), Err(EmailError::Malformed));
    }

    #[test]
    fn an_address_is_not_shown_by_accident() {
        let email: Email = "anna@example.com".parse().unwrap();
        assert!(!format!("{email:?}").contains("anna"));
    }
}
