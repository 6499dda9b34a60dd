//! `broadtape token mint` and `token api-key`.

use std::fs::OpenOptions;
use std::io::Write;
use std::os::unix::fs::OpenOptionsExt;
use std::path::PathBuf;
use std::time::Duration;

use super::super::Early;
use super::rights::RightsArgs;
use super::{failed, say};
use crate::clock::{SECOND, unix_now};
use crate::gate::auth::mint;
use crate::gate::auth::token::{Audience, TokenClaims};
use crate::limits::TOKEN_LIFE_MAX;

/// Make a token and print it
#[derive(clap::Args)]
pub(super) struct MintArgs {
    /// The key that signs, as token key makes it
    #[arg(value_name = "NAME.key")]
    key: PathBuf,
    /// Whom it is about
    #[arg(long, value_name = "NAME", value_parser = mint::name)]
    subject: String,
    /// How long it is valid
    #[arg(long, value_name = "TIME", default_value = "1h", value_parser = super::time)]
    expires: Duration,
    /// Its own id, by which it can be revoked; by default a random one
    #[arg(long, value_name = "JTI", value_parser = mint::name)]
    id: Option<String>,
    /// The server's --token-issuer
    #[arg(long, value_name = "NAME", default_value = "broadtape")]
    issuer: String,
    /// The server's --token-audience
    #[arg(long, value_name = "NAME", default_value = "broadtape")]
    audience: String,
    #[command(flatten)]
    rights: RightsArgs,
}

/// Make an API key: printed once, and added, hashed, to a file for --api-keys
#[derive(clap::Args)]
pub(super) struct ApiKeyArgs {
    /// The file, which is made where it is not there
    #[arg(value_name = "FILE")]
    file: PathBuf,
    /// Whom it is about
    #[arg(long, value_name = "NAME", value_parser = mint::name)]
    subject: String,
    /// How long it is valid; by default until it is taken out of the file
    #[arg(long, value_name = "TIME", value_parser = super::time)]
    expires: Option<Duration>,
    #[command(flatten)]
    rights: RightsArgs,
}

pub(super) fn mint(args: &MintArgs) -> Result<(), Early> {
    if args.expires > TOKEN_LIFE_MAX || args.expires < Duration::from_secs(1) {
        let most = TOKEN_LIFE_MAX.as_secs() / (24 * 3600);
        return Err(Early::Usage(format!("--expires is from 1s to {most} days")));
    }
    let now = unix_now() / SECOND;
    let id = match &args.id {
        Some(id) => id.clone(),
        None => mint::id().map_err(failed)?,
    };
    let claims = TokenClaims {
        iss: args.issuer.clone(),
        sub: args.subject.clone(),
        aud: Audience::One(args.audience.clone()),
        exp: now + args.expires.as_secs(),
        nbf: None,
        iat: Some(now),
        jti: Some(id),
        broadtape: args.rights.claims()?,
    };
    say(mint::token(&args.key, &claims).map_err(failed)?.expose())
}

pub(super) fn api_key(args: &ApiKeyArgs) -> Result<(), Early> {
    let expires = args.expires.map(|time| unix_now() / SECOND + time.as_secs());
    let (key, entry) =
        mint::api_key(&args.subject, expires, args.rights.claims()?).map_err(failed)?;
    let file = OpenOptions::new().append(true).create(true).mode(0o600).open(&args.file);
    file.and_then(|mut file| file.write_all(entry.as_bytes()))
        .map_err(|error| failed(format!("{}: {error}", args.file.display())))?;
    say(key.expose())
}
