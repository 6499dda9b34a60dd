//! `broadtape token key`: a key that signs, and what verifies.

use std::path::PathBuf;

use super::super::Early;
use super::{failed, say, write_new};
use crate::gate::auth::mint;

/// Make a key for tokens: NAME.key signs them, NAME.toml is for --auth-keys
///
/// Neither file may be there already. Of HS algorithms both hold the secret: the server could sign
/// as well.
#[derive(clap::Args)]
pub(super) struct KeyArgs {
    /// Path of the files, without an ending
    name: PathBuf,
    /// Its id, by which tokens name it; by default the name of the files
    #[arg(long)]
    kid: Option<String>,
    /// HS256, HS384, HS512, ES256, ES384 or EdDSA
    #[arg(long, default_value = "ES256")]
    alg: String,
}

pub(super) fn run(args: &KeyArgs) -> Result<(), Early> {
    let named = args.name.file_name().map(|name| name.to_string_lossy().into_owned());
    let kid = args.kid.clone().or(named).ok_or_else(|| failed("the key needs a name"))?;
    let pair = mint::pair(&kid, &args.alg).map_err(failed)?;
    let file = |ending: &str| {
        let mut path = args.name.clone().into_os_string();
        path.push(ending);
        PathBuf::from(path)
    };
    let (signing, verifying) = (file(".key"), file(".toml"));
    write_new(&signing, &pair.signing, true)?;
    write_new(&verifying, &pair.verifying, !pair.public)?;
    say(&format!("{} signs: keep it secret", signing.display()))?;
    let public = if pair.public { "" } else { " (it holds the secret as well)" };
    say(&format!("{} verifies: for --auth-keys{public}", verifying.display()))
}
