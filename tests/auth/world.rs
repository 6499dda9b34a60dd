//! A server that asks who its clients are, with keys of each kind, and tokens for it.

use std::fs;
use std::path::PathBuf;
use std::time::{SystemTime, UNIX_EPOCH};

use jsonwebtoken::{Algorithm, EncodingKey, Header, encode};
use serde_json::{Value, json};
use tempfile::TempDir;

use crate::program::{Program, broadtape, succeed};

/// The secret of the key `hs`, base64url.
const SECRET: &str =
    "c2VjcmV0IG9mIGEgdGVzdCwgbG9uZyBlbm91Z2ggZm9yIEhTNTEyOiBzaXh0eS1mb3VyIGJ5dGVzIQ";

/// A folder of keys, and a server that knows them.
pub(crate) struct World {
    pub(crate) folder: TempDir,
    server: Option<Program>,
}

impl World {
    /// A server of a few instruments, and what else it is started with.
    pub(crate) fn new(more: &[&str]) -> Self {
        let mut world = Self::without_server();
        world.start(more);
        world
    }

    /// Only the keys: `hs` (HS256) and `es` (ES256).
    pub(crate) fn without_server() -> Self {
        let world = Self { folder: TempDir::new().unwrap(), server: None };
        let made = world.path("es");
        succeed(broadtape().args(["token", "key"]).arg(&made).args(["--alg", "ES256"]));
        let public = fs::read_to_string(world.path("es.toml")).unwrap();
        world.write("keys.toml", &format!("{}\n{public}", Self::hs_entry()));
        world.write("revoked", "# nothing\n");
        world.write("api.toml", "");
        world
    }

    /// The entry of the key `hs`.
    pub(crate) fn hs_entry() -> String {
        format!("[[key]]\nkid = \"hs\"\nalg = \"HS256\"\nsecret = \"{SECRET}\"\n")
    }

    pub(crate) fn start(&mut self, more: &[&str]) {
        let path = |name| self.path(name).to_str().unwrap().to_owned();
        let (keys, revoked, api) = (path("keys.toml"), path("revoked"), path("api.toml"));
        let own = [
            "serve",
            "--auth",
            "required",
            "--auth-keys",
            &keys,
            "--revoked",
            &revoked,
            "--api-keys",
            &api,
            "--log",
            "error",
            "--symbols",
            "6",
            "--rate",
            "300",
        ];
        let given = |name: &str| more.contains(&name);
        let mut all = vec!["serve"];
        for pair in own[1..].chunks(2).filter(|pair| !given(pair[0])) {
            all.extend(pair);
        }
        self.server = Some(Program::start(&[&all[..], more].concat()));
    }

    pub(crate) fn server(&self) -> &Program {
        self.server.as_ref().unwrap()
    }

    pub(crate) fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    pub(crate) fn write(&self, name: &str, text: &str) {
        // Renamed into place: nobody reads half of it.
        let new = self.path(&format!("{name}.new"));
        fs::write(&new, text).unwrap();
        fs::rename(new, self.path(name)).unwrap();
    }

    /// A token of `hs` for an hour.
    pub(crate) fn token(&self, subject: &str, rights: Value) -> String {
        self.token_until(subject, rights, now() + 3600)
    }

    pub(crate) fn token_until(&self, subject: &str, rights: Value, exp: u64) -> String {
        sign("hs", Algorithm::HS256, &claims(subject, rights, exp))
    }
}

/// The claims of a token that is right.
pub(crate) fn claims(subject: &str, rights: Value, exp: u64) -> Value {
    json!({"iss": "broadtape", "aud": "broadtape", "sub": subject, "exp": exp,
           "jti": format!("{subject}-{exp}"), "broadtape": rights})
}

/// Signs with the secret of `hs`, whatever the header says.
pub(crate) fn sign(kid: &str, algorithm: Algorithm, claims: &Value) -> String {
    let header = Header { kid: Some(kid.to_owned()), ..Header::new(algorithm) };
    let secret = base64::Engine::decode(&base64::engine::general_purpose::URL_SAFE_NO_PAD, SECRET);
    encode(&header, claims, &EncodingKey::from_secret(&secret.unwrap()).unwrap()).unwrap()
}

/// Everything but the administrator's part.
pub(crate) fn all() -> Value {
    json!({"schemas": "*", "symbols": "*", "history": "all", "replay": true})
}

pub(crate) fn now() -> u64 {
    SystemTime::now().duration_since(UNIX_EPOCH).unwrap().as_secs()
}
