//! Statements and sales as files for a spreadsheet.

use proto::billing::v1::StatsRow;
use rust_decimal::Decimal;
use rust_xlsxwriter::{ExcelDateTime, Format, Workbook, Worksheet, XlsxError};
use time::OffsetDateTime;

use crate::money::Kopecks;
use crate::statement::{Change, Line};
use crate::text::history::what;
use crate::text::{history, operators};

const WIDTHS: [u16; 7] = [18, 28, 12, 12, 20, 20, 38];

/// The lines in the order in which they are.
///
/// # Errors
/// When the library cannot make the file.
pub fn statement(lines: &[Line]) -> Result<Vec<u8>, XlsxError> {
    let moment = Format::new().set_num_format("dd.mm.yyyy hh:mm");
    let money = Format::new().set_num_format("#,##0.00");
    let mut book = Workbook::new();
    let sheet = book.add_worksheet();
    begin(sheet, history::SHEET, history::COLUMNS.into_iter().zip(WIDTHS))?;
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

/// The sales, a row for each day, type and model.
///
/// # Errors
/// When the library cannot make the file.
pub fn sales(rows: &[StatsRow]) -> Result<Vec<u8>, XlsxError> {
    let money = Format::new().set_num_format("#,##0.00");
    let mut book = Workbook::new();
    let sheet = book.add_worksheet();
    begin(sheet, operators::SHEET, operators::COLUMNS.into_iter().zip([16; 10]))?;
    for (number, row) in (1..).zip(rows) {
        sheet.write(number, 0, row.day.as_str())?;
        sheet.write(number, 1, row.operation_type.as_str())?;
        sheet.write(number, 2, row.model.as_str())?;
        sheet.write(number, 3, Decimal::from(row.committed))?;
        sheet.write(number, 4, Decimal::from(row.committed_free))?;
        let revenue = roubles(Kopecks::new(row.revenue_kopecks));
        sheet.write_with_format(number, 5, revenue, &money)?;
        sheet.write(number, 6, Decimal::from(row.refunds))?;
        let refunded = roubles(Kopecks::new(row.refunded_kopecks));
        sheet.write_with_format(number, 7, refunded, &money)?;
        sheet.write(number, 8, Decimal::from(row.released))?;
        sheet.write(number, 9, Decimal::new(row.cost_micro_usd, 6))?;
    }
    book.save_to_buffer()
}

/// Names a sheet and its columns.
fn begin(
    sheet: &mut Worksheet,
    name: &str,
    columns: impl Iterator<Item = (&'static str, u16)>,
) -> Result<(), XlsxError> {
    let bold = Format::new().set_bold();
    sheet.set_name(name)?.set_freeze_panes(1, 0)?;
    for (column, (title, width)) in (0..).zip(columns) {
        sheet.set_column_width(column, width)?;
        sheet.write_with_format(0, column, title, &bold)?;
    }
    Ok(())
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
