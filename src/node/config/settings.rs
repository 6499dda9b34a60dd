//! The table of settings: one row is a flag, a variable, a key of the file, its help, its default.

/// What a setting is about; says which commands have it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Group {
    /// The server itself.
    Server,
    /// Who may connect.
    Door,
    /// Who may come in.
    Auth,
    /// Encryption.
    Encryption,
    /// The bounds on one client.
    Clients,
    /// The log.
    Log,
    /// The feed of `serve`.
    Market,
    /// The feed of `replay`.
    Recording,
    /// What is recorded, and how.
    Tape,
    /// What a recording of another format does not say.
    Format,
}

impl Group {
    /// Its heading in `--help`.
    pub const fn heading(self) -> &'static str {
        match self {
            Self::Server => "Server",
            Self::Door => "Who may connect",
            Self::Auth => "Who may come in",
            Self::Encryption => "Encryption",
            Self::Clients => "Each client",
            Self::Log => "Log",
            Self::Market => "Market",
            Self::Recording => "Recording",
            Self::Tape => "Tape",
            Self::Format => "Recordings of other formats",
        }
    }
}

/// The commands that are configured this way.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Command {
    /// `broadtape serve`
    Serve,
    /// `broadtape replay`
    Replay,
    /// `broadtape record`
    Record,
}

impl Command {
    /// The settings it has, in the order of the table.
    pub fn settings(self) -> impl Iterator<Item = &'static Setting> {
        let has = move |setting: &&Setting| match self {
            Self::Serve => setting.group != Recording,
            Self::Replay => setting.group != Market,
            Self::Record => {
                matches!(setting.group, Market | Format | Tape | Log) || setting.key == "ring"
            }
        };
        SETTINGS.iter().filter(has)
    }

    /// Its name.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Serve => "serve",
            Self::Replay => "replay",
            Self::Record => "record",
        }
    }
}

/// How many values a setting has, and of what form in TOML.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Form {
    /// A string.
    Text,
    /// A number.
    Number,
    /// True or false.
    Switch,
    /// Several strings: the flag may be repeated, the variable is comma separated.
    List,
}

/// One row of the table.
#[derive(Debug)]
pub struct Setting {
    /// What it is about.
    pub group: Group,
    /// Its key in the file; `--flush-interval` and `BROADTAPE_FLUSH_INTERVAL` follow from it.
    pub key: &'static str,
    /// Its form.
    pub form: Form,
    /// What stands for its value in `--help`.
    pub value: &'static str,
    /// Its default, as one would type it; an empty list where it is empty.
    pub default: &'static str,
    /// What it does.
    pub help: &'static str,
}

impl Setting {
    /// Its flag, without the dashes in front.
    pub fn flag(&self) -> String {
        self.key.replace('_', "-")
    }

    /// Its environment variable.
    pub fn variable(&self) -> String {
        format!("{PREFIX}{}", self.key.to_uppercase())
    }
}

/// The one setting that is no flag: the files of `broadtape replay FILE…`.
pub const FILES: &str = "files";

/// The folder that is recorded to: a flag, but for `broadtape record DIR`.
pub const RECORD: &str = "record";

/// What the environment variables begin with.
pub const PREFIX: &str = "BROADTAPE_";

/// The setting of a key.
pub fn find(key: &str) -> Option<&'static Setting> {
    SETTINGS.iter().find(|setting| setting.key == key)
}

/// The known key that is most like an unknown one, if any is.
pub fn nearest(unknown: &str) -> Option<&'static str> {
    let unknown = unknown.to_lowercase().replace('-', "_");
    let distance = |key: &str| strsim::damerau_levenshtein(&unknown, key);
    let near = SETTINGS.iter().map(|setting| setting.key).min_by_key(|key| distance(key))?;
    // One letter of five: BROADTAPE_DATA is no misspelt date.
    (distance(near) <= near.len() / 5).then_some(near)
}

const fn row(
    group: Group,
    key: &'static str,
    form: Form,
    value: &'static str,
    default: &'static str,
    help: &'static str,
) -> Setting {
    Setting { group, key, form, value, default, help }
}

use Form::{List, Number, Switch, Text};
use Group::{Auth, Clients, Door, Encryption, Format, Log, Market, Recording, Server, Tape};

/// Every setting. The defaults are those of [`limits`](crate::limits); a test holds them equal.
#[rustfmt::skip]
pub const SETTINGS: &[Setting] = &[
    row(Recording, FILES, List, "FILE|DIR", "", "DBN files (v1 to v3), folders of them, tapes, or FORMAT:FILE of another format; plain, zstd, gzip or xz; merged by time"),
    row(Recording, "from", Text, "TIME|none", "none", "Only records from this time on (UTC, of their index time: ts_recv, else ts_event): 2023-12-25, 2023-12-25T22:00:00.5, or ns since 1970"),
    row(Recording, "to", Text, "TIME|none", "none", "Only records before this time"),
    row(Recording, "speed", Text, "TIMES|max", "1", "Times its own pace, or as fast as the slowest subscriber takes it"),
    row(Recording, "max_gap", Text, "DURATION|none", "none", "Shorten longer holes to this"),
    row(Recording, "loop", Switch, "BOOL", "false", "Start over at the end"),
    row(Recording, "derive", Switch, "BOOL", "false", "Add the schemas that can be derived: bars, bbo, and from mbo trades, mbp-1, mbp-10"),
    row(Recording, "exit", Switch, "BOOL", "false", "Leave at the end instead of staying up; not with loop"),

    row(Market, "scenario", Text, "NAME|FILE", "calm", "What the market goes through: calm, open, halt, crash, burst, a TOML file, or metronome: evenly paced trades, no market"),
    row(Market, "feed", List, "FORMAT:FILE", "", "Instead of a simulated market a recording at its own pace; may be repeated"),
    row(Market, "symbols", Number, "N", "200", "Instruments, 1 to 20000"),
    row(Market, "rate", Number, "N", "20000", "Records a second over all instruments"),
    row(Market, "seed", Number, "N", "1", "The same seed makes the same market"),

    row(Format, "date", Text, "DAY|none", "none", "Day of itch and lobster files, which have times of day only: 2019-12-30"),
    row(Format, "tz", Text, "ZONE|auto", "auto", "Zone of times of day; auto: New York, of csv files UTC"),
    row(Format, "symbol", Text, "NAME|none", "none", "Symbol of lobster files, where their name doesn't say it"),
    row(Format, "lot", List, "SYMBOL=SIZE|skip", "", "One unit of the sizes of an instrument of an exchange; by default the finest that its file has; skip leaves it out"),
    row(Format, "mapping", Text, "FILE|none", "none", "Which column of a csv file is what, as TOML"),

    row(Server, "listen", List, "ADDR:PORT", "127.0.0.1:8080", "Where to listen; may be repeated; port 0 lets the system choose"),
    row(Server, "admin_listen", Text, "ADDR:PORT|none", "none", "A listener for the operator: /metrics, /v1/sessions, and orders: disconnect, drain, reload; beyond loopback each request needs a token that gives admin"),
    row(Server, "public_metrics", Text, "BOOL|auto", "auto", "Has everybody /metrics and /v1/sessions; auto: unless there is admin_listen"),
    row(Server, "shards", Text, "N|auto", "auto", "Threads that serve clients; auto: the CPU mask's cores but one, at least 1"),
    row(Server, "ring", Text, "SIZE", "64MiB", "Memory of the ring: how much a slow shard may lag, and how far back `from` reaches"),
    row(Server, "start", Text, "WHEN", "now", "When the feed begins: now, on-subscribe, or on-subscribe=N connections"),
    row(Server, "busy", Switch, "BOOL", "false", "Shards never sleep: lower latency for a core each"),
    row(Server, "pin", Text, "BOOL|auto", "auto", "Pin shards to cores; auto: where there are several"),
    row(Server, "engine", Text, "auto|epoll|uring", "auto", "One system call a send, or io_uring: one for many; auto: io_uring where the kernel has it"),
    row(Server, "flush_interval", Text, "DURATION", "0", "Collect for this long before a send; 0: send at once what one turn brought"),
    row(Server, "drain", Text, "DURATION", "10s", "Window over which clients are sent away on SIGTERM"),
    row(Server, "upgrade", Text, "PATH|none", "none", "Unix socket where a newer process takes the listening sockets over; where one waits there, take them over from it"),
    row(Server, "handshake_timeout", Text, "DURATION", "5s", "Longest from accept to the answer"),
    row(Server, "memory_max", Text, "SIZE|auto|none", "auto", "Memory of the process: above 80 % of it nobody new is let in, above 90 % the longest queues are cut short; auto: what its control group and resource limits allow"),
    row(Server, "enable_echo", Switch, "BOOL", "false", "Serve /v1/echo, for WebSocket conformance tests"),

    row(Door, "allow", List, "CIDR", "", "Networks that may connect; none: all"),
    row(Door, "deny", List, "CIDR", "", "Networks that may not: closed at once"),
    row(Door, "deny_file", Text, "FILE|none", "none", "More of these, one a line; read again when it changes and on SIGHUP, and who has come from one is closed"),
    row(Door, "max_connections", Text, "N|auto", "auto", "Connections at once; auto: as many as there are descriptors for"),
    row(Door, "max_per_address", Text, "N|none", "1000", "Connections of one address at once: an IPv4 address, an IPv6 /64; none on loopback"),
    row(Door, "pending_per_address", Text, "N|none", "128", "Handshakes and pages of one address in progress at once"),
    row(Door, "rate_per_address", Text, "N|none", "100", "New connections a second of one address; twice as many at once"),
    row(Door, "handshake_rate", Text, "N|none", "none", "New connections a second of all; twice as many at once"),
    row(Door, "trusted_proxies", List, "CIDR", "", "Proxies that are believed to say for whom they ask, in X-Forwarded-For or a PROXY header"),
    row(Door, "proxy_protocol", Text, "off|from-trusted", "off", "from-trusted: each connection of a trusted proxy begins with a PROXY header, v1 or v2"),
    row(Door, "hosts", List, "HOST[:PORT]", "", "Names under which it is asked, or *; on loopback its own are always right, elsewhere none listed: all"),
    row(Door, "origins", List, "ORIGIN", "", "Sites whose pages may connect, such as https://example.com, or *; those of the server's own host may always"),
    row(Auth, "auth", Text, "auto|open|required", "auto", "Must clients say who they are, by a token or an API key; auto: not where every address listened on is loopback"),
    row(Auth, "auth_keys", Text, "FILE|none", "none", "Keys of tokens (JWT), as TOML; read again when it changes, and on SIGHUP, as all of these"),
    row(Auth, "jwks", Text, "FILE|none", "none", "Keys of tokens as a JSON Web Key Set"),
    row(Auth, "api_keys", Text, "FILE|none", "none", "API keys, hashed, as TOML"),
    row(Auth, "revoked", Text, "FILE|none", "none", "What is revoked: lines of jti, sub or kid, and a name"),
    row(Auth, "token_audience", Text, "NAME", "broadtape", "What the aud of a token has to be, or hold"),
    row(Auth, "token_issuer", Text, "NAME", "broadtape", "What the iss of a token has to be"),
    row(Auth, "auth_timeout", Text, "DURATION", "10s", "How long a client may take to say who it is"),

    row(Encryption, "tls_cert", List, "FILE", "", "Certificate chain, PEM: then all of --listen is https and wss; may be repeated, a client gets the one with the name it asks for; read anew when it changes and on SIGHUP"),
    row(Encryption, "tls_key", List, "FILE", "", "Its private key, PEM; as many and in the same order as --tls-cert"),
    row(Encryption, "tls_client_ca", Text, "FILE|none", "none", "Only clients with a certificate that an authority of this PEM file has signed"),
    row(Encryption, "tls_self_signed", Switch, "BOOL", "false", "A certificate made at the start, for trying it out"),
    row(Encryption, "insecure", Switch, "BOOL", "false", "Listen beyond loopback without TLS, as behind a proxy that has it"),

    row(Tape, RECORD, Text, "DIR|none", "none", "Record everything that is published to this folder, and go on with the tape that is in it"),
    row(Tape, "durability", Text, "WHEN", "interval=1s", "When a record counts as recorded: none or interval=TIME: once the system has it (interval: fdatasync this often); commit: after fdatasync"),
    row(Tape, "segment_bytes", Text, "SIZE", "256MiB", "Begin a new file at this size"),
    row(Tape, "segment_time", Text, "DURATION", "1h", "Begin a new file at this age"),
    row(Tape, "retain_bytes", Text, "SIZE|none", "none", "Remove the oldest files where all are more than this"),
    row(Tape, "retain_time", Text, "DURATION|none", "none", "Remove files whose records are all older than this"),
    row(Tape, "record_compress", Switch, "BOOL", "false", "Compress what is recorded with zstd"),

    row(Server, "recordings", Text, "DIR|none", "none", "What clients may have replayed and download: the tapes and DBN files of this folder, which is watched"),
    row(Server, "recordings_cache", Text, "DIR|auto", "auto", "Where DBN files of that folder are copied to, to be read from any time; auto: .broadtape in it, or a temporary folder where that can't be written"),

    row(Clients, "queue", Text, "SIZE", "1MiB", "Unsent bytes that a client may have before it counts as slow"),
    row(Clients, "heartbeat", Text, "DURATION", "1s", "Heartbeat on a quiet connection"),
    row(Clients, "ping", Text, "DURATION", "20s", "Between two pings"),
    row(Clients, "pong_timeout", Text, "DURATION", "60s", "Without a pong for this long, a client is closed"),
    row(Clients, "message_max", Text, "SIZE", "64KiB", "Largest message it may send"),
    row(Clients, "message_rate", Number, "N", "20", "Messages a second that it may send"),
    row(Clients, "message_burst", Number, "N", "50", "Messages that it may send at once"),
    row(Clients, "symbols_per_request", Number, "N", "1024", "Symbols in one request"),
    row(Clients, "subscriptions", Number, "N", "256", "Subscriptions it may have"),

    row(Log, "log", Text, "FILTER", "info", "error, warn, info, debug, trace, or directives such as info,broadtape::feed=debug"),
    row(Log, "log_format", Text, "FORMAT", "auto", "text, json, or auto: text on a terminal, JSON otherwise"),
];

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_key_stands_once() {
        for (n, setting) in SETTINGS.iter().enumerate() {
            assert!(SETTINGS[..n].iter().all(|other| other.key != setting.key), "{}", setting.key);
        }
    }

    #[test]
    fn the_nearest_key_is_near() {
        for (typo, key) in [
            ("shard", Some("shards")),
            ("flush-interval", Some("flush_interval")),
            ("flushinterval", Some("flush_interval")),
            ("pong_timout", Some("pong_timeout")),
            ("LISTEN", Some("listen")),
            ("isten", Some("listen")),
            ("data", None),
            ("service_host", None),
            ("port", None),
            ("", None),
        ] {
            assert_eq!(nearest(typo), key, "{typo}");
        }
    }
}
