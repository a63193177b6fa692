//! A statement as a file for a spreadsheet.

use rust_decimal::Decimal;
use rust_xlsxwriter::{ExcelDateTime, Format, Workbook, XlsxError};
use time::OffsetDateTime;

use crate::money::Kopecks;
use crate::statement::{Change, Line};
use crate::text::history::{COLUMNS, SHEET, what};

const WIDTHS: [u16; 7] = [18, 28, 12, 12, 20, 20, 38];

/// The lines in the order in which they are.
///
/// # Errors
/// When the library cannot make the file.
pub fn statement(lines: &[Line]) -> Result<Vec<u8>, XlsxError> {
    let bold = Format::new().set_bold();
    let moment = Format::new().set_num_format("dd.mm.yyyy hh:mm");
    let money = Format::new().set_num_format("#,##0.00");
    let mut book = Workbook::new();
    let sheet = book.add_worksheet();
    sheet.set_name(SHEET)?.set_freeze_panes(1, 0)?;
    for (column, (title, width)) in (0..).zip(COLUMNS.into_iter().zip(WIDTHS)) {
        sheet.set_column_width(column, width)?;
        sheet.write_with_format(0, column, title, &bold)?;
    }
    for (row, line) in (1..).zip(lines) {
        if let Some(at) = line.at {
            sheet.write_with_format(row, 0, &excel(at)?, &moment)?;
        }
        sheet.write(row, 1, what(line))?;
        match line.change {
            Change::Money { amount, left } => {
                sheet.write_with_format(row, 2, roubles(amount), &money)?;
                sheet.write_with_format(row, 3, roubles(left), &money)?;
            }
            Change::Free { count, left } => {
                sheet.write(row, 4, Decimal::from(count))?;
                sheet.write(row, 5, Decimal::from(left))?;
            }
            Change::Nothing => {}
        }
        sheet.write(row, 6, line.operation_id.as_str())?;
    }
    book.save_to_buffer()
}

fn roubles(amount: Kopecks) -> Decimal {
    Decimal::new(amount.get(), 2)
}

fn excel(at: OffsetDateTime) -> Result<ExcelDateTime, XlsxError> {
    let year = u16::try_from(at.year()).unwrap_or_default();
    ExcelDateTime::from_ymd(year, u8::from(at.month()), at.day())?.and_hms(
        u16::from(at.hour()),
        at.minute(),
        f64::from(at.second()),
    )
}
