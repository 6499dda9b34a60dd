//! `broadtape watch`: a ticker on the terminal, one line an update.

mod binary;
mod line;
mod price;
mod text;
mod update;

use std::collections::HashMap;
use std::io::{self, IsTerminal, Write, stderr, stdout};
use std::process::ExitCode;

use clap::Args;

use self::line::{Lines, Style};
use self::text::JsonRecord;
use super::USAGE;
use super::client::batch::Batch;
use super::client::frame::{BINARY, Frame};
use super::client::message::{Answer, Message, Subscribed};
use super::client::stream::{Consumer, End, ReadBuffer, Stream};
use super::client::target::Target;
use super::client::tls::{TlsArgs, TrustError};
use super::client::token::{TokenArgs, TokenFileError};
use super::client::{ConnectError, Encoding, http, json, request};
use crate::wire::record;

/// Print a server's market as a ticker, one line an update
///
/// Shows the last state of each symbol first, then every update as it comes. What is amiss
/// (unknown symbols, lost records, a close) is told on standard error.
///
/// Exit codes: 0 interrupted, or --count reached; 1 failed, or connection lost; 2 usage.
#[derive(Args, Clone, Debug)]
#[command(after_help = "Examples:\n  \
    broadtape watch localhost:8080 AAPL MSFT\n  \
    broadtape watch ws://127.0.0.1:8080/v1/stream 'ES*' --schema trades --count 10 --json\n  \
    broadtape watch wss://md.example.com all --token token.txt --tls-ca authority.pem")]
pub(super) struct WatchArgs {
    /// The server: ws://HOST:PORT/v1/stream, http://HOST:PORT or HOST:PORT; with TLS wss:// or
    /// https://
    #[arg(value_name = "URL")]
    target: Target,
    /// Symbols, patterns such as 'ES*', or all
    #[arg(required = true, value_name = "SYMBOL")]
    symbols: Vec<String>,
    /// Schemas to subscribe to, comma separated
    #[arg(long, value_name = "SCHEMA", default_value = "trades,mbp-1", value_delimiter = ',')]
    schema: Vec<String>,
    /// Encoding to ask the server for
    #[arg(long, value_enum, default_value_t = Encoding::Dbn)]
    encoding: Encoding,
    /// End after this many lines
    #[arg(short = 'n', long, value_name = "N",
          value_parser = clap::value_parser!(u64).range(1..))]
    count: Option<u64>,
    /// Print a JSON object a line
    #[arg(long)]
    json: bool,
    #[command(flatten)]
    token: TokenArgs,
    #[command(flatten)]
    tls: TlsArgs,
}

/// Why there is nothing more to watch.
#[derive(Debug, thiserror::Error)]
enum WatchError {
    #[error(transparent)]
    Connect(#[from] ConnectError),
    #[error(transparent)]
    Token(#[from] TokenFileError),
    #[error(transparent)]
    Trust(#[from] TrustError),
    #[error("connection {0}")]
    Ended(String),
    #[error("{0}")]
    Refused(String),
    #[error("none of the symbols is known to the server")]
    NoSymbol,
    #[error("can't print: {0}")]
    Output(io::ErrorKind),
    #[error("can't start: {0}")]
    Start(#[from] io::Error),
}

/// Runs the command to its exit code.
pub(super) fn run(args: WatchArgs) -> ExitCode {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
    let watched = runtime.map_err(WatchError::from).and_then(|rt| rt.block_on(watch(&args)));
    match watched {
        Ok(()) | Err(WatchError::Output(io::ErrorKind::BrokenPipe)) => ExitCode::SUCCESS,
        Err(error) => {
            say(&error.to_string());
            match error {
                WatchError::Trust(TrustError::Plain { .. }) => USAGE.into(),
                _ => ExitCode::FAILURE,
            }
        }
    }
}

fn say(text: &str) {
    // Where standard error is gone, the exit code has to do.
    let _ = writeln!(stderr(), "broadtape watch: {text}");
}

async fn watch(args: &WatchArgs) -> Result<(), WatchError> {
    let buffer = ReadBuffer::default();
    let target = args.target.clone().with_token(args.token.read()?).with_trust(&args.tls)?;
    args.tls.warning().into_iter().for_each(say);
    let mut stream = Stream::new(http::upgrade(&target, args.encoding).await?);
    let mut watcher = Watcher::new(args);
    let welcome = stream.drive_in_time(&buffer, &mut watcher, |w| w.welcomed).await;
    welcome.map_err(|end| ConnectError::Ended { address: args.target.authority(), end })?;
    let all = args.symbols.iter().any(|symbol| matches!(symbol.as_str(), "all" | "*"));
    let symbols = (!all).then_some(args.symbols.as_slice());
    for text in request::subscribe(&args.schema, symbols, true) {
        stream.send_text(&text);
    }
    let watched = tokio::select! {
        watched = stream.drive(&buffer, &mut watcher, Watcher::is_done) => watched,
        interrupted = tokio::signal::ctrl_c() => interrupted.map_err(End::from),
    };
    let outcome = watcher.outcome.take();
    match watched {
        Ok(()) => {
            stream.close(&buffer, &mut Silent).await;
            outcome.unwrap_or(Ok(()))
        }
        Err(End::Refused(why)) => Err(WatchError::Refused(why)),
        Err(end) => Err(WatchError::Ended(watcher.told(&end))),
    }
}

/// Takes nothing any more.
struct Silent;

impl Consumer for Silent {
    fn arrived(&mut self, _: usize) {}

    fn frame(&mut self, _: Frame<'_>) -> Result<(), End> {
        Ok(())
    }
}

struct Watcher {
    lines: Lines,
    /// Lines that were not printed yet.
    text: String,
    symbols: HashMap<u32, String>,
    /// Symbols that were asked for and not rejected; patterns count as one.
    asked: usize,
    left: Option<u64>,
    welcomed: bool,
    closing: Option<String>,
    outcome: Option<Result<(), WatchError>>,
}

impl Watcher {
    fn new(args: &WatchArgs) -> Self {
        let colours = stdout().is_terminal() && std::env::var_os("NO_COLOR").is_none();
        let style = match (args.json, colours) {
            (true, _) => Style::Json,
            (false, true) => Style::Coloured,
            (false, false) => Style::Plain,
        };
        Self {
            lines: Lines::new(style),
            text: String::new(),
            symbols: HashMap::new(),
            asked: args.symbols.len(),
            left: args.count,
            welcomed: false,
            closing: None,
            outcome: None,
        }
    }

    fn is_done(&self) -> bool {
        self.outcome.is_some()
    }

    /// How it ended, in the server's words where there were some.
    fn told(&self, end: &End) -> String {
        match &self.closing {
            Some(closing) => format!("{end}; the server said: {closing}"),
            None => end.to_string(),
        }
    }

    fn show(&mut self, update: &update::Update) {
        if self.is_done() {
            return;
        }
        self.lines.push(update, &mut self.text);
        if let Some(left) = &mut self.left {
            *left -= 1;
            if *left == 0 {
                self.outcome = Some(Ok(()));
            }
        }
    }

    fn print(&mut self) {
        let mut out = stdout().lock();
        let printed = out.write_all(self.text.as_bytes()).and_then(|()| out.flush());
        if let Err(error) = printed {
            self.outcome = Some(Err(WatchError::Output(error.kind())));
        }
        self.text.clear();
    }

    fn record(&mut self, bytes: &[u8]) {
        if let Some((instrument, symbol)) = binary::mapping(bytes) {
            self.symbols.insert(instrument, symbol);
            return;
        }
        let instrument = record::instrument_id(bytes);
        let update = match self.symbols.get(&instrument) {
            Some(symbol) => binary::update(bytes, symbol),
            None => binary::update(bytes, &instrument.to_string()),
        };
        if let Some(update) = update {
            self.show(&update);
        }
    }

    fn message(&mut self, text: &[u8]) -> Result<(), End> {
        match Message::parse(text).map_err(End::Message)? {
            Message::Welcome(welcome) => {
                self.welcomed = true;
                say(&format!("connected, {welcome}"));
            }
            Message::Answer(answer) => self.answer(answer)?,
            Message::Gap(gap) => say(&gap.to_string()),
            Message::Lagging(lagging) => say(&lagging.to_string()),
            Message::Closing(closing) => self.closing = Some(closing.to_string()),
            Message::Status(status) => say(&status.to_string()),
            Message::Error(failure) => say(&format!("error: {failure}")),
            Message::Heartbeat(_) | Message::Other => {}
        }
        Ok(())
    }

    fn answer(&mut self, answer: Answer) -> Result<(), End> {
        let subscribed: Subscribed = answer.result().map_err(End::Refused)?;
        for mapped in subscribed.instruments {
            self.symbols.insert(mapped.instrument_id, mapped.symbol);
        }
        for rejected in &subscribed.rejected {
            say(&format!("rejected: {rejected}"));
        }
        let rejected = subscribed.rejected.len() + subscribed.rejected_more;
        self.asked = self.asked.saturating_sub(rejected);
        if self.asked == 0 {
            self.outcome = Some(Err(WatchError::NoSymbol));
        }
        Ok(())
    }
}

impl Consumer for Watcher {
    fn arrived(&mut self, _: usize) {}

    fn frame(&mut self, frame: Frame<'_>) -> Result<(), End> {
        if frame.opcode == BINARY {
            for record in Batch::open(frame.payload)? {
                self.record(record?);
            }
        } else if json::is_data(frame.payload) {
            let (_, records) = json::read::<JsonRecord<'_>>(frame.payload)?;
            for update in records.into_iter().filter_map(JsonRecord::update) {
                self.show(&update);
            }
        } else {
            return self.message(frame.payload);
        }
        self.print();
        Ok(())
    }
}
