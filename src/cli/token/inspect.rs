//! `broadtape token inspect`: what is in a token, and whether a server would take it.

use std::path::{Path, PathBuf};

use super::super::{Early, client};
use super::{failed, say};
use crate::clock::{SECOND, unix_now};
use crate::gate::auth::keys::Keys;
use crate::gate::auth::token::{self, Expected};
use crate::gate::auth::{apikey, mint};
use crate::limits::TOKEN_BYTES;
use crate::wire::grant::Secret;

/// Show what is in a token; with keys, whether a server that knows them would take it
///
/// Exit code 1 where it would not.
#[derive(clap::Args)]
pub(super) struct InspectArgs {
    /// A file with the token, or - for standard input: arguments are seen by others
    #[arg(value_name = "FILE")]
    file: PathBuf,
    /// The server's --auth-keys
    #[arg(long, value_name = "FILE")]
    keys: Option<PathBuf>,
    /// The server's --jwks
    #[arg(long, value_name = "FILE")]
    jwks: Option<PathBuf>,
    /// The server's --token-issuer
    #[arg(long, value_name = "NAME", default_value = "broadtape")]
    issuer: String,
    /// The server's --token-audience
    #[arg(long, value_name = "NAME", default_value = "broadtape")]
    audience: String,
}

pub(super) fn run(args: &InspectArgs) -> Result<(), Early> {
    let secret = read(&args.file)?;
    if secret.expose().starts_with(apikey::PREFIX) {
        return Err(failed("this is an API key: what it gives stands in the server's --api-keys"));
    }
    let (alg, kid, claims) = mint::contents(&secret).map_err(failed)?;
    say(&format!("alg {alg}, kid {}", kid.as_deref().unwrap_or("missing")))?;
    say(&serde_json::to_string_pretty(&claims).unwrap_or_default())?;
    let mut keys = Keys::default();
    if let Some(path) = &args.keys {
        keys.add_toml(path).map_err(failed)?;
    }
    if let Some(path) = &args.jwks {
        keys.add_jwks(path).map_err(failed)?;
    }
    if args.keys.is_none() && args.jwks.is_none() {
        return say("not verified: give --keys or --jwks");
    }
    let expected = Expected { audience: args.audience.clone(), issuer: args.issuer.clone() };
    let now = unix_now();
    match token::verify(secret.expose(), &keys, &expected, now) {
        Ok(grant) => {
            let left = grant.expires.unwrap_or(u64::MAX).saturating_sub(now) / SECOND;
            say(&format!("valid: {} for {left} s more, leeway included", grant.subject))
        }
        Err(error) => Err(failed(format!("a server would refuse it: {error}"))),
    }
}

fn read(path: &Path) -> Result<Secret, Early> {
    client::token::read(path).map_err(failed).and_then(|secret| {
        match secret.expose().len() <= TOKEN_BYTES {
            true => Ok(secret),
            false => Err(failed(format!("longer than {TOKEN_BYTES} bytes: no token"))),
        }
    })
}
