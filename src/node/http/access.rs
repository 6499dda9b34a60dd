//! Who may see which page, where clients have to say who they are.

use std::time::Duration;

use hyper::StatusCode;

use super::Page;
use super::refusal::Refusal;
use crate::wire::grant::{Access, Rights};
use crate::wire::record::{Schema, schemas};

/// The rights that bound a page, or a download (none); none where nothing does. Who came in no
/// known way is nobody.
///
/// # Errors
/// 401 where who asks has to be known, 403 where it may not see this.
pub(super) fn rights<'a>(
    page: Option<&Page>,
    access: Option<&'a Access>,
) -> Result<Option<&'a Rights>, Refusal> {
    let rights = match access {
        Some(Access::Open) => return Ok(None),
        Some(Access::Granted(grant)) => Some(&grant.rights),
        Some(Access::Anonymous) | None => None,
    };
    if matches!(page, Some(Page::Index | Page::Healthz | Page::Readyz | Page::Stream)) {
        return Ok(None);
    }
    let Some(rights) = rights else { return Err(unknown()) };
    match page {
        Some(Page::Metrics | Page::Sessions) if !rights.admin => Err(no_admin()),
        Some(Page::Last) if !rights.delay.is_zero() => {
            Err(not_entitled("records come late to this subject, and these are the newest"))
        }
        _ => Ok(Some(rights)),
    }
}

/// May somebody have what is the operator's? Where nobody is asked, whoever is there may.
///
/// # Errors
/// 401 where who asks has to be known, 403 where it is no operator.
pub(super) fn operator(access: Option<&Access>) -> Result<(), Refusal> {
    match access {
        Some(Access::Open) => Ok(()),
        Some(Access::Granted(grant)) if grant.rights.admin => Ok(()),
        Some(Access::Granted(_)) => Err(no_admin()),
        Some(Access::Anonymous) | None => Err(unknown()),
    }
}

/// What of a recording may be downloaded: schemas and symbols that are asked for, those that are
/// given where none are. A file has no times of its own to hold a delay or a history against.
///
/// # Errors
/// 403, with what is not given.
pub(super) fn download(
    rights: Option<&Rights>,
    mut wanted: Vec<Schema>,
    symbols: &[String],
) -> Result<Vec<Schema>, Refusal> {
    let Some(rights) = rights else { return Ok(wanted) };
    if !rights.replay || rights.history != Duration::MAX || !rights.delay.is_zero() {
        let words = "a download needs a grant with replay, all of history, and without delay";
        return Err(not_entitled(words));
    }
    if wanted.is_empty() && rights.schemas != u32::MAX {
        wanted = schemas().filter(|schema| rights.has_schema(*schema)).collect();
    }
    let given = wanted.iter().all(|schema| rights.has_schema(*schema));
    // A pattern that is given, as text, stands for all that a narrower one does.
    let named = !symbols.is_empty() && symbols.iter().all(|symbol| rights.has_symbol(symbol));
    match () {
        () if wanted.is_empty() && rights.schemas == 0 => Err(not_entitled("no schema is given")),
        () if !given => Err(not_entitled("not all of these schemas are given to this subject")),
        () if rights.symbols.is_some() && !named => {
            Err(not_entitled("name the symbols, and only those that are given to this subject"))
        }
        () => Ok(wanted),
    }
}

fn unknown() -> Refusal {
    let words = "say who you are: Authorization: Bearer, and a token or an API key";
    Refusal::new(StatusCode::UNAUTHORIZED, "not_authenticated", words.to_owned())
}

fn no_admin() -> Refusal {
    not_entitled("admin is not given to this subject")
}

fn not_entitled(words: &str) -> Refusal {
    Refusal::new(StatusCode::FORBIDDEN, "not_entitled", words.to_owned())
}
