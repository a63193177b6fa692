//! The settings of receipts (54-FZ). Which values are right is for the merchant's accountant to
//! say, so nothing about taxes has a default.

use std::fmt;

use crate::receipt::Receipts;

/// YooKassa's limit for a line of a receipt, in characters.
const DESCRIPTION_LENGTH_MAX: usize = 128;
/// What a top-up may be called. Left out is what a top-up never is, or what YooKassa refuses
/// without further data (marked goods, excise goods, games of chance).
const SUBJECTS: [&str; 10] = [
    "commodity",
    "job",
    "service",
    "intellectual_activity",
    "payment",
    "agent_commission",
    "property_right",
    "non_operating_gain",
    "composite",
    "another",
];
/// The only modes that «Чеки от ЮKassa» takes.
const YOOKASSA_MODES: [&str; 2] = ["full_prepayment", "full_payment"];
/// The modes that a cash register of one's own takes as well.
const OTHER_MODES: [&str; 5] =
    ["partial_prepayment", "advance", "partial_payment", "credit", "credit_payment"];

/// Whether receipts are sent.
#[derive(Clone, Copy, Debug, Eq, PartialEq, clap::ValueEnum)]
pub enum Switch {
    /// Not at all.
    Off,
    /// With every payment.
    On,
}

/// What stands on a receipt, besides the sum and whose it is.
#[derive(Clone, Debug, clap::Args)]
pub struct ReceiptSettings {
    /// Whether receipts (54-FZ) are sent with each payment: `on` or `off`. On, each user is asked
    /// once for an e-mail address.
    #[arg(long, env, default_value = "off")]
    pub receipts: Switch,

    /// YooKassa's number of the tax system: 1 general, 2 income, 3 income less expenses, 4 ENVD,
    /// 5 ESN, 6 patent. Only for a cash register of one's own; «Чеки от ЮKassa» needs none.
    #[arg(long, env, value_parser = tax_system)]
    pub receipt_tax_system: Option<u8>,

    /// YooKassa's number of the VAT rate: 1 none, 2 0 %, 3 10 %, 4 20 %, 5 10/110, 6 20/120, 7 5 %,
    /// 8 7 %, 9 5/105, 10 7/107, 11 22 %, 12 22/122. Required with receipts.
    #[arg(long, env, value_parser = vat_code)]
    pub receipt_vat_code: Option<u8>,

    /// What a top-up is for the tax office: `service`, `payment`, and so on.
    #[arg(long, env, default_value = "service", value_parser = subject)]
    pub receipt_subject: String,

    /// How it is paid: `full_prepayment` or `full_payment`; with a cash register of one's own also
    /// `advance` and the others.
    #[arg(long, env, default_value = "full_prepayment", value_parser = mode)]
    pub receipt_mode: String,

    /// The line on the receipt, at most 128 characters.
    #[arg(long, env, default_value = "Пополнение баланса Media Lab", value_parser = description)]
    pub receipt_description: String,
}

/// A setting that cannot be used beside the others.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct WrongSetting {
    /// Its name.
    pub variable: &'static str,
    /// What is wrong with it.
    pub problem: &'static str,
}

impl fmt::Display for WrongSetting {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.variable, self.problem)
    }
}

impl std::error::Error for WrongSetting {}

impl ReceiptSettings {
    /// The receipts that the settings describe; `None` where they are off.
    ///
    /// # Errors
    /// Names the setting that YooKassa would refuse beside the others.
    pub fn receipts(&self) -> Result<Option<Receipts>, WrongSetting> {
        if self.receipts == Switch::Off {
            return Ok(None);
        }
        let Some(vat_code) = self.receipt_vat_code else {
            return Err(WrongSetting {
                variable: "RECEIPT_VAT_CODE",
                problem: "is missing: with RECEIPTS=on the accountant has to say which VAT rate it \
                          is, 1 to 12",
            });
        };
        if self.receipt_tax_system.is_none() && !YOOKASSA_MODES.contains(&&*self.receipt_mode) {
            return Err(WrongSetting {
                variable: "RECEIPT_MODE",
                problem: "«Чеки от ЮKassa» takes only full_prepayment and full_payment; for a cash \
                          register of your own set RECEIPT_TAX_SYSTEM as well",
            });
        }
        Ok(Some(Receipts {
            tax_system_code: self.receipt_tax_system,
            vat_code,
            subject: self.receipt_subject.clone(),
            mode: self.receipt_mode.clone(),
            description: self.receipt_description.clone(),
        }))
    }
}

fn tax_system(text: &str) -> Result<u8, String> {
    number(text, 6).ok_or_else(|| "expected YooKassa's number of the tax system, 1 to 6".to_owned())
}

fn vat_code(text: &str) -> Result<u8, String> {
    number(text, 12).ok_or_else(|| "expected YooKassa's number of the VAT rate, 1 to 12".to_owned())
}

fn number(text: &str, max: u8) -> Option<u8> {
    text.parse().ok().filter(|number| (1..=max).contains(number))
}

fn subject(text: &str) -> Result<String, String> {
    one_of(text, SUBJECTS.as_slice())
}

fn mode(text: &str) -> Result<String, String> {
    one_of(text, &[YOOKASSA_MODES.as_slice(), OTHER_MODES.as_slice()].concat())
}

fn one_of(text: &str, known: &[&str]) -> Result<String, String> {
    if known.contains(&text) {
        Ok(text.to_owned())
    } else {
        Err(format!("expected one of {}", known.join(", ")))
    }
}

fn description(text: &str) -> Result<String, String> {
    let is_line = !text.trim().is_empty() && !text.chars().any(char::is_control);
    if is_line && text.chars().count() <= DESCRIPTION_LENGTH_MAX {
        Ok(text.to_owned())
    } else {
        Err(format!("expected one line of 1 to {DESCRIPTION_LENGTH_MAX} characters"))
    }
}

#[cfg(test)]
mod tests {
    use clap::Parser as _;

    use super::*;

    #[derive(Debug, clap::Parser)]
    struct Config {
        #[command(flatten)]
        receipts: ReceiptSettings,
    }

    fn read(settings: &str) -> Result<Option<Receipts>, String> {
        let words = ["x"].into_iter().chain(settings.split_whitespace());
        let config = Config::try_parse_from(words).map_err(|error| error.to_string())?;
        config.receipts.receipts().map_err(|wrong| wrong.to_string())
    }

    #[track_caller]
    fn refused(settings: &str, name: &str) {
        let said = read(settings).map(|_| ()).unwrap_err();
        assert!(said.to_uppercase().replace('-', "_").contains(name), "{settings}: {said}");
    }

    #[test]
    fn receipts_are_off_unless_they_are_switched_on() {
        assert_eq!(read(""), Ok(None));
        assert_eq!(read("--receipt-vat-code=1"), Ok(None));
        let on = read("--receipts=on --receipt-vat-code=1").unwrap().unwrap();
        assert_eq!((on.vat_code, on.tax_system_code), (1, None));
        assert_eq!((on.subject.as_str(), on.mode.as_str()), ("service", "full_prepayment"));
        assert!(read("--receipts=on --receipt-vat-code=12 --receipt-tax-system=6").is_ok());
    }

    #[test]
    fn what_yookassa_would_refuse_is_refused_at_start_by_name() {
        refused("--receipts=yes", "RECEIPTS");
        refused("--receipts=on", "RECEIPT_VAT_CODE");
        for wrong in ["0", "13", "-1", "20%", "x", ""] {
            refused(&format!("--receipts=on --receipt-vat-code={wrong}"), "RECEIPT_VAT_CODE");
        }
        const ON: &str = "--receipts=on --receipt-vat-code=1";
        for wrong in ["0", "7", "usn"] {
            refused(&format!("{ON} --receipt-tax-system={wrong}"), "RECEIPT_TAX_SYSTEM");
        }
        for wrong in ["goods", "Service", "marked", "excise", ""] {
            refused(&format!("{ON} --receipt-subject={wrong}"), "RECEIPT_SUBJECT");
        }
        for wrong in ["prepayment", "full", ""] {
            refused(&format!("{ON} --receipt-mode={wrong}"), "RECEIPT_MODE");
        }
        refused(&format!("{ON} --receipt-description="), "RECEIPT_DESCRIPTION");
        let long = "я".repeat(DESCRIPTION_LENGTH_MAX + 1);
        refused(&format!("{ON} --receipt-description={long}"), "RECEIPT_DESCRIPTION");
    }

    #[test]
    fn modes_of_a_cash_register_of_ones_own_need_its_tax_system() {
        for mode in OTHER_MODES {
            let lone = format!("--receipts=on --receipt-vat-code=1 --receipt-mode={mode}");
            refused(&lone, "RECEIPT_MODE");
            assert!(read(&format!("{lone} --receipt-tax-system=2")).is_ok(), "{mode}");
        }
    }
}
