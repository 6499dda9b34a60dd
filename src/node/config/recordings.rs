//! Second pass over what is played: recordings, and what their formats do not say.

use std::sync::Arc;

use super::check::{bad, get, one, speed, switch};
use super::error::ConfigError;
use super::settings;
use super::typed::{Given, Typed};
use crate::feed::source::{How, HowError, Recording};
use crate::node::options::{FeedOptions, Speed};
use crate::node::units;
use crate::wire::when::When;

/// What `replay` plays.
///
/// # Errors
/// [`ConfigError`]: the first value that is wrong.
pub(super) fn replay(typed: &Typed) -> Result<FeedOptions, ConfigError> {
    let how = Arc::new(how(typed)?);
    let Given { texts, origin } = get(typed, settings::FILES);
    if texts.is_empty() {
        return Err(ConfigError::NoFiles);
    }
    let mut files = Vec::new();
    for text in texts {
        let all = Recording::all_named(&text, &how).map_err(|error| error.to_string());
        files.extend(all.map_err(|why| bad(settings::FILES, text, origin.clone(), &why))?);
    }
    let max_gap = one(typed, "max_gap", |text| match text {
        "none" => Ok(None),
        _ => units::duration(text).map(Some).map_err(|error| format!("{error}, or none")),
    })?;
    let time = |key| {
        one(typed, key, |text| match text {
            "none" => Ok(None),
            _ => text.parse::<When>().map(|when| Some(when.0)).map_err(|e| format!("{e}, or none")),
        })
    };
    let (from, to) = (time("from")?, time("to")?);
    if from.zip(to).is_some_and(|(from, to)| from >= to) {
        let Given { texts, origin } = get(typed, "to");
        return Err(bad("to", texts.join(","), origin, "it is not after from: nothing is between"));
    }
    let (repeat, exit) = (one(typed, "loop", switch)?, one(typed, "exit", switch)?);
    if repeat && exit {
        let Given { texts, origin } = get(typed, "exit");
        let why = "with loop there is no end to leave at; one of the two has to be false";
        return Err(bad("exit", texts.join(","), origin, why));
    }
    let (speed, derive) = (one(typed, "speed", speed)?, one(typed, "derive", switch)?);
    Ok(FeedOptions::Replay { from, to, files, speed, max_gap, repeat, derive, exit })
}

/// The recordings that `serve` plays at their own pace; none where it simulates.
///
/// # Errors
/// [`ConfigError`]: the first value that is wrong.
pub(super) fn feed(typed: &Typed) -> Result<Option<FeedOptions>, ConfigError> {
    let how = Arc::new(how(typed)?);
    let Given { texts, origin } = get(typed, "feed");
    let each = texts.iter().map(|text| match text.split_once(':') {
        Some((format, path)) if !path.is_empty() => match format.parse() {
            Ok(format) => Ok(Recording { format, paths: vec![path.into()], how: how.clone() }),
            Err(error) => Err((text, format!("{error}"))),
        },
        _ => Err((text, "it is FORMAT:FILE, such as dbn:day.dbn.zst".to_owned())),
    });
    let files = each.collect::<Result<Vec<_>, _>>();
    let files = files.map_err(|(text, reason)| bad("feed", text.clone(), origin, &reason))?;
    Ok((!files.is_empty()).then_some(FeedOptions::Replay {
        files,
        from: None,
        to: None,
        speed: Speed::Times(1.0),
        max_gap: None,
        repeat: false,
        derive: false,
        exit: false,
    }))
}

/// What was given to read recordings by.
fn how(typed: &Typed) -> Result<How, ConfigError> {
    let mut how = How::default();
    let mut set = |key: &'static str, take: fn(&mut How, &str) -> Result<(), HowError>| {
        let Given { texts, origin } = get(typed, key);
        for text in texts.iter().map(|text| text.trim()) {
            if matches!(text, "none" | "auto") && key != "lot" {
                continue;
            }
            take(&mut how, text)
                .map_err(|error| bad(key, text.to_owned(), origin.clone(), error.right))?;
        }
        Ok(())
    };
    set("date", How::set_date)?;
    set("tz", How::set_zone)?;
    set("lot", How::add_lot)?;
    set("symbol", How::set_symbol)?;
    set("mapping", How::set_mapping)?;
    Ok(how)
}
