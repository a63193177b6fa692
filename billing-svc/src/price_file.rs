//! The price list as people write it: the TOML file that `PRICES_FILE` names, read once at start.

use std::borrow::Borrow as _;
use std::ops::Range;
use std::path::{Path, PathBuf};

use time::OffsetDateTime;
use time::format_description::well_known::Rfc3339;
use toml::Spanned;
use toml::de::{DeTable, DeValue};

use crate::domain::{Kopecks, Price, PriceList, Timestamp, is_model, is_operation_type};

/// What costs nothing and is never reserved.
const FREE_OF_CHARGE: &str = "add_text";
/// So that the whole list fits into one message.
const LINES_MAX: usize = 1_000;
/// The moments that the contract's times can name: the years 1970 to 9999.
const MOMENTS: Range<i64> = 0..253_402_300_800_000_000;

/// Why a price list cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum PriceFileError {
    #[error(
        "PRICES_FILE: {} cannot be read: name a file that this process may read, or unset it",
        .0.display()
    )]
    Unreadable(PathBuf, #[source] std::io::Error),
    #[error("PRICES_FILE: {}, line {line}: {problem}", .path.display())]
    Line { path: PathBuf, line: usize, problem: Problem },
}

/// What is wrong with a line, and what to write instead.
#[derive(Clone, Debug, Eq, PartialEq, thiserror::Error)]
pub enum Problem {
    #[error("this is not TOML: {0}")]
    Syntax(String),
    #[error("nothing is sold: add a [[price]] with operation_type and price, or unset PRICES_FILE")]
    Empty,
    #[error("there are more than {LINES_MAX} lines: take some out")]
    TooMany,
    #[error("{0:?} is not known: write each price below a [[price]] of its own")]
    NotAPrice(String),
    #[error(
        "the field {0:?} is not known: a price has operation_type, model, price, valid_from and \
         free_operations_allowed"
    )]
    UnknownField(String),
    #[error("operation_type must be text of 1 to 64 of a-z, 0-9 and _")]
    OperationType,
    #[error("add_text is free and not reserved, so it has no price: take it out")]
    FreeOfCharge,
    #[error(
        "model must be text of 1 to 128 characters; leave it out for every model that has no \
         price of its own"
    )]
    Model,
    #[error("price must be text in roubles, such as \"15.50\", from \"0.01\" to \"10000000\"")]
    Price,
    #[error(
        "valid_from must be a moment with its offset, such as 2026-12-01T00:00:00+03:00, in the \
         years 1970 to 9999"
    )]
    ValidFrom,
    #[error("free_operations_allowed must be true or false")]
    FreeOperationsAllowed,
    #[error("line {0} has the same operation_type, model and valid_from: take one of them out")]
    Twice(usize),
}

/// What is sold: what the file says, or everything at one price where none is named.
///
/// # Errors
/// Names the line that cannot be used, and what to write instead.
pub fn prices(
    path: Option<&Path>,
    price_per_operation: Kopecks,
    now: Timestamp,
) -> Result<PriceList, PriceFileError> {
    let Some(path) = path else { return Ok(PriceList::flat(price_per_operation)) };
    let text = std::fs::read_to_string(path)
        .map_err(|error| PriceFileError::Unreadable(path.to_owned(), error))?;
    let list = read(&text).map_err(|(line, problem)| PriceFileError::Line {
        path: path.to_owned(),
        line,
        problem,
    })?;
    for operation_type in list.not_sold_yet(now) {
        tracing::warn!(operation_type, "PRICES_FILE: not sold yet, every price begins later");
    }
    Ok(list)
}

/// A problem and its line.
type Read<T> = Result<T, (usize, Problem)>;

/// Reads the text of a file.
fn read(text: &str) -> Read<PriceList> {
    let at = |span: Range<usize>| line_of(text, span.start);
    let document = DeTable::parse(text).map_err(|error| {
        let problem = error.message().trim().replace('\n', ", ");
        (at(error.span().unwrap_or_default()), Problem::Syntax(problem))
    })?;
    let mut prices = Vec::new();
    for (key, value) in document.get_ref() {
        let not_a_price = || (at(key.span()), Problem::NotAPrice(key.get_ref().to_string()));
        let lines = match value.get_ref() {
            DeValue::Array(lines) if key.get_ref() == "price" => lines,
            _ => return Err(not_a_price()),
        };
        for line in lines {
            let DeValue::Table(fields) = line.get_ref() else { return Err(not_a_price()) };
            prices.push((at(line.span()), Line { text, at: at(line.span()), fields }.price()?));
        }
    }
    if prices.is_empty() {
        return Err((1, Problem::Empty));
    }
    if let Some((line, _)) = prices.get(LINES_MAX) {
        return Err((*line, Problem::TooMany));
    }
    let lines: Vec<Price> = prices.iter().map(|(_, price)| price.clone()).collect();
    PriceList::new(lines).map_err(|twice| {
        let mut same =
            prices.iter().filter(|(_, p)| p.place() == twice.place()).map(|(line, _)| *line);
        let first = same.next().unwrap_or_default();
        (same.next().unwrap_or_default(), Problem::Twice(first))
    })
}

/// One `[[price]]` of the file.
struct Line<'f> {
    text: &'f str,
    /// Where it begins.
    at: usize,
    fields: &'f DeTable<'f>,
}

impl Line<'_> {
    fn price(&self) -> Read<Price> {
        const KNOWN: [&str; 5] =
            ["operation_type", "model", "price", "valid_from", "free_operations_allowed"];
        for key in self.fields.keys() {
            if !KNOWN.contains(&key.get_ref().borrow()) {
                let problem = Problem::UnknownField(key.get_ref().to_string());
                return Err((line_of(self.text, key.span().start), problem));
            }
        }
        Ok(Price {
            operation_type: self.operation_type()?,
            model: self.model()?,
            price: self.roubles()?,
            free_operations_allowed: self.free_operations_allowed()?,
            valid_from: self.valid_from()?,
        })
    }

    fn operation_type(&self) -> Read<String> {
        let field = self.field("operation_type");
        let is_fit = |text: &&str| is_operation_type(text);
        match field.and_then(text_of).filter(is_fit) {
            Some(FREE_OF_CHARGE) => Err(self.wrong(field, Problem::FreeOfCharge)),
            Some(name) => Ok(name.to_owned()),
            None => Err(self.wrong(field, Problem::OperationType)),
        }
    }

    fn model(&self) -> Read<String> {
        let Some(field) = self.field("model") else { return Ok(String::new()) };
        let name = text_of(field).filter(|text| !text.is_empty() && is_model(text));
        name.map(str::to_owned).ok_or_else(|| self.wrong(Some(field), Problem::Model))
    }

    fn roubles(&self) -> Read<Kopecks> {
        let field = self.field("price");
        let price = field.and_then(text_of).and_then(|text| Kopecks::parse_roubles(text).ok());
        price.ok_or_else(|| self.wrong(field, Problem::Price))
    }

    /// Written as TOML's own time, or as text.
    fn valid_from(&self) -> Read<Option<Timestamp>> {
        let Some(field) = self.field("valid_from") else { return Ok(None) };
        let text = match field.get_ref() {
            DeValue::Datetime(_) => self.text.get(field.span()),
            _ => text_of(field),
        };
        let moment = text.and_then(|text| OffsetDateTime::parse(text, &Rfc3339).ok());
        let micros = moment.map(|moment| moment.unix_timestamp_nanos() / 1_000);
        let micros =
            micros.and_then(|micros| i64::try_from(micros).ok()).filter(|at| MOMENTS.contains(at));
        let from = micros.map(Timestamp::from_micros);
        from.map(Some).ok_or_else(|| self.wrong(Some(field), Problem::ValidFrom))
    }

    fn free_operations_allowed(&self) -> Read<bool> {
        let field = self.field("free_operations_allowed");
        match field.map(Spanned::get_ref) {
            None => Ok(true),
            Some(DeValue::Boolean(allowed)) => Ok(*allowed),
            Some(_) => Err(self.wrong(field, Problem::FreeOperationsAllowed)),
        }
    }

    fn field(&self, name: &str) -> Option<&Spanned<DeValue<'_>>> {
        self.fields.iter().find(|(key, _)| key.get_ref() == name).map(|(_, value)| value)
    }

    /// The problem at its field, or at the line that lacks it.
    fn wrong(&self, field: Option<&Spanned<DeValue<'_>>>, problem: Problem) -> (usize, Problem) {
        (field.map_or(self.at, |field| line_of(self.text, field.span().start)), problem)
    }
}

fn text_of<'v>(value: &'v Spanned<DeValue<'_>>) -> Option<&'v str> {
    match value.get_ref() {
        DeValue::String(text) => Some(text),
        _ => None,
    }
}

/// The number of the line in which a byte stands.
fn line_of(text: &str, byte: usize) -> usize {
    text.bytes().take(byte).filter(|byte| *byte == b'\n').count() + 1
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_list_is_read_as_it_is_written() {
        let list = read(
            r#"
            # since ever
            [[price]]
            operation_type = "generate"
            price = "10"

            [[price]]
            operation_type = "generate"
            price = "15.50"
            valid_from = 2026-12-01T00:00:00+03:00

            [[price]]
            operation_type = "generate"
            model = "fal-ai/nano-banana-pro"
            price = "40.5"
            valid_from = "2026-12-01T00:00:00Z"
            free_operations_allowed = false
            "#,
        )
        .unwrap();

        let december = 1_796_072_400_000_000;
        let price = |model: &str, now| {
            let line = list.find("generate", model, Timestamp::from_micros(now)).unwrap();
            (line.price.get(), line.free_operations_allowed)
        };
        assert_eq!(price("", december - 1), (1_000, true));
        assert_eq!(price("", december), (1_550, true));
        let three_hours = 3 * 3_600_000_000;
        assert_eq!(price("fal-ai/nano-banana-pro", december + three_hours - 1), (1_550, true));
        assert_eq!(price("fal-ai/nano-banana-pro", december + three_hours), (4_050, false));
    }

    #[test]
    fn the_example_of_the_readme_is_one() {
        let readme = include_str!("../README.md");
        let example = readme.split("```").find_map(|part| part.strip_prefix("toml\n")).unwrap();
        assert_eq!(read(example).unwrap().not_sold_yet(Timestamp::from_micros(0)), [""; 0]);
    }

    #[track_caller]
    fn check(text: &str, line: usize, problem: Problem) {
        assert_eq!(read(text).unwrap_err(), (line, problem), "{text}");
    }

    /// One line of the type `edit` with this below it.
    fn line(rest: &str) -> String {
        format!("[[price]]\noperation_type = \"edit\"\n{rest}\n")
    }

    #[test]
    fn each_fault_is_named_with_its_line() {
        check("", 1, Problem::Empty);
        check("# nothing\n", 1, Problem::Empty);
        check("price = []", 1, Problem::Empty);
        check("\n[[prices]]\n", 2, Problem::NotAPrice("prices".into()));
        check("\nprice = 5", 2, Problem::NotAPrice("price".into()));
        check("[price]\nprice = \"5\"", 1, Problem::NotAPrice("price".into()));
        check(&line("roubles = \"5\""), 3, Problem::UnknownField("roubles".into()));
        check("\n[[price]]\nprice = \"5\"", 2, Problem::OperationType);
        check("[[price]]\nprice = \"5\"\noperation_type = \"Edit\"", 3, Problem::OperationType);
        check("[[price]]\noperation_type = 5", 2, Problem::OperationType);
        check("[[price]]\noperation_type = \"add_text\"", 2, Problem::FreeOfCharge);
        check(&line("model = \"\"\nprice = \"5\""), 3, Problem::Model);
        check(&line("model = 5\nprice = \"5\""), 3, Problem::Model);
        check(&line(""), 1, Problem::Price);
        for bad in ["15.5", "15", "\"0\"", "\"1.505\"", "\"-1\"", "\"1,50\"", "\"10000000.01\""] {
            check(&line(&format!("price = {bad}")), 3, Problem::Price);
        }
        for bad in [
            "2026-12-01",
            "2026-12-01T00:00:00",
            "00:00:00",
            "\"soon\"",
            "5",
            "1969-12-31T00:00:00Z",
            "9999-12-31T23:59:59-01:00",
        ] {
            check(&line(&format!("price = \"5\"\nvalid_from = {bad}")), 4, Problem::ValidFrom);
        }
        let allowed = line("price = \"5\"\nfree_operations_allowed = \"no\"");
        check(&allowed, 4, Problem::FreeOperationsAllowed);
        let twice = [line("price = \"5\""), line("price = \"6\"")].concat();
        check(&twice, 4, Problem::Twice(1));
        let many: String =
            (0..=LINES_MAX).map(|n| line(&format!("model = \"{n}\"\nprice = \"5\""))).collect();
        check(&many, LINES_MAX * 4 + 1, Problem::TooMany);
    }

    #[test]
    fn what_is_not_toml_is_one_line_too() {
        for bad in ["price", "[[price]\n", "a = \"", "\n[[price]]\nprice = \"5\"\nprice = \"6\""] {
            let (line, problem) = read(bad).unwrap_err();
            assert!(line >= 1 && matches!(problem, Problem::Syntax(_)), "{problem:?}");
            assert_eq!(problem.to_string().lines().count(), 1, "{problem}");
        }
    }
}
