//! `--html`: the result as one page that needs nothing else.

use super::report::Report;

/// The page.
pub(crate) fn page(report: &Report) -> String {
    report.to_string()
}
