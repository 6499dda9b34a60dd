//! Every bound of the program in one place, and their relations, checked at compile time.

use std::num::NonZeroU32;
use std::time::Duration;

/// The shortest DBN record with `ts_out`: a status (40 + 8 bytes).
pub const RECORD_MIN: usize = 48;
/// The longest DBN v3 record with `ts_out`: a definition (520 + 8 bytes).
pub const RECORD_MAX: usize = 528;
/// Default bytes of the ring (`--ring`).
pub const RING_DEFAULT: usize = 64 << 20;
/// Smallest ring that can be asked for.
pub const RING_MIN: usize = 64 << 10;
/// Largest ring that can be asked for.
pub const RING_MAX: usize = 16 << 30;
/// A commit covers at most the ring divided by this.
pub const RING_BATCH_SHARE: usize = 4;
/// Bytes that the writer claims at once where a commit needs fewer: readers can read as many fewer
/// of the oldest.
pub const CLAIM_BYTES: u64 = 4 << 10;
/// Bytes of the ring for which one start of a record is noted: who searches walks as far, and a
/// lapped reader loses as much more.
pub const BLOCK_BYTES: u64 = 1 << 10;

/// Bytes that the publisher collects at most before it commits.
pub const BATCH_BYTES: usize = 256 << 10;
/// Bytes that a shard drains from the ring in one turn.
pub const TURN_BYTES: usize = 256 << 10;
/// Framed bytes that a shard collects before it hands them to the sockets.
pub const ARENA_BYTES: usize = 1 << 20;
/// Sockets written in one call of a write engine.
pub const WRITES_PER_CALL: usize = 64;
/// Descriptors that an io_uring knows by their numbers at most: it keeps 8 bytes for each.
pub const REGISTERED_MAX: u64 = 64 << 10;
/// Buffers gathered in one write.
pub const PARTS_PER_WRITE: usize = 8;
/// Commands that a shard takes in one turn.
pub const COMMANDS_PER_TURN: usize = 64;
/// Connections that have ended and wait to be logged, of all shards.
pub const DEPARTURES: usize = 8192;
/// Commands that wait for a shard at most.
pub const COMMAND_QUEUE: usize = 4096;
/// Bytes that a shard reads from one connection in one turn.
pub const READ_BYTES_PER_TURN: usize = 64 << 10;
/// What a shard reads from all connections in one turn, with one read more: bytes, and for each
/// read and each message what it costs to take it.
pub const READ_WORK_PER_TURN: usize = 4 * READ_BYTES_PER_TURN;
/// What a read costs, in bytes.
pub const READ_COST: usize = 1 << 10;
/// What a message costs, in bytes.
pub const MESSAGE_COST: usize = 512;
/// Bytes that are read at once from a connection that has sent more messages than it may: so it is
/// told so of at most so many in a turn.
pub const READ_BYTES_OVER_RATE: usize = 4 << 10;
/// Connections that a shard has room for from the start: growing would move them all within one
/// turn. What is not used is address space, and no memory.
pub const CONNECTIONS_RESERVED: usize = 16 << 10;
/// Shards at most: the parked mask is one 64-bit word.
pub const SHARDS_MAX: usize = 64;

/// Panics of one shard after which it begins anew, within a time; one more ends the process.
pub const SHARD_RESTARTS: usize = 8;
/// See [`SHARD_RESTARTS`].
pub const SHARD_RESTARTS_WITHIN: Duration = Duration::from_secs(60);
/// A shard that makes no turn for this long is stuck: an idle one makes several in [`SWEEP`].
pub const SHARD_STUCK: Duration = Duration::from_secs(5);
/// Queues below this are not cut short where memory is: there is little to win.
pub const SHED_MIN: usize = 16 << 10;
/// Shares of the memory that the process may have, in percent: from where on new connections are
/// refused and queues cut short, and down to where.
pub const MEMORY_REFUSE: (u64, u64) = (80, 75);
/// See [`MEMORY_REFUSE`].
pub const MEMORY_SHED: (u64, u64) = (90, 85);
/// Looks at the memory after which what was freed has to show: the allocator takes ten seconds.
pub const MEMORY_PATIENCE: u32 = 75;
/// The least memory that a process may be given beside its ring.
pub const MEMORY_MIN: usize = 32 << 20;
/// Between two looks at the shards and at the memory of the process.
pub const WATCH: Duration = Duration::from_millis(200);

/// The largest message a server sends: many clients refuse longer ones.
pub const SERVER_MESSAGE_MAX: usize = 65_535;
/// Bytes of the header of a `dbn` data frame.
pub const BATCH_HEADER: usize = 24;
/// The largest message a client may send (default).
pub const CLIENT_MESSAGE_MAX: usize = 64 << 10;
/// The largest message on `/v1/echo`.
pub const ECHO_MESSAGE_MAX: usize = 16 << 20;
/// Payload bytes of a WebSocket control frame (RFC 6455, 5.5).
pub const WS_CONTROL_MAX: usize = 125;
/// Client messages a second, sustained (default).
pub const CLIENT_RATE: u32 = 20;
/// Bytes of a client's requests that wait until its connection is live; a single one may be longer.
pub const DEFERRED_BYTES: usize = 64 << 10;
/// Client messages at once (default).
pub const CLIENT_BURST: u32 = 50;
/// Symbols in one subscribe request (default).
pub const SYMBOLS_PER_REQUEST: usize = 1024;
/// Subscriptions of one connection (default).
pub const SUBSCRIPTIONS_PER_CONNECTION: usize = 256;
/// Subscriptions that an operator may allow a connection: the counts of all fit one heartbeat.
pub const SUBSCRIPTIONS_MAX: usize = 480;
/// Bytes of one subscription's counts in a heartbeat, at most.
pub const HEARTBEAT_ENTRY: usize = 129;
/// Symbols that the list of subscriptions shows for each; of more it says how many.
pub const SYMBOLS_SHOWN: usize = 64;
/// Subscription objects in one request.
pub const PARAMS_PER_REQUEST: usize = 64;
/// Patterns (`"ES*"`) in one request: each is held against every instrument.
pub const PATTERNS_PER_REQUEST: usize = 64;
/// Wildcards of one pattern.
pub const PATTERN_STARS: usize = 4;
/// Lists and objects within each other in a client's message.
pub const JSON_DEPTH: usize = 8;
/// Fields of one object in a client's message.
pub const JSON_FIELDS: usize = 16;
/// Fragments without payload in one client message: they cost time, and no limit of bytes helps.
pub const EMPTY_FRAGMENTS: u32 = 1024;
/// Bytes of a string request id.
pub const REQUEST_ID_BYTES: usize = 36;
/// Bytes of a symbol, as DBN v3 holds it (71 with the terminating zero).
pub const SYMBOL_BYTES: usize = 70;
/// Instruments that one server knows at most.
pub const INSTRUMENTS_MAX: usize = 1 << 20;
/// Orders that the books of one thread hold at most: 56 bytes each, and as many again to find them.
pub const BOOK_ORDERS_MAX: usize = 1 << 22;
/// Memory that the decompression of an xz file may ask for, bytes.
pub const XZ_MEMORY_MAX: u64 = 256 << 20;
/// The longest line of a text file that is read: a snapshot of a book takes 700 KB.
pub const LINE_MAX: usize = 16 << 20;
/// The longest packet of a capture that is read, and the longest block around one.
pub const PACKET_MAX: usize = 1 << 20;
/// Bytes of packets that wait for those before them, of one stream of a capture.
pub const HELD_BYTES_MAX: usize = 1 << 20;
/// Packets that wait for those before them.
pub const HELD_PACKETS_MAX: usize = 1024;
/// Streams of one capture (sessions, channels) that are put in order beside each other.
pub const STREAMS_MAX: usize = 256;
/// Resting orders and price levels that an importer keeps, to tell what later messages refer to.
pub const ORDERS_MAX: usize = 16 << 20;
/// Findings of one kind that an importer's report shows with their places; the rest is counted.
pub const FINDINGS_SHOWN: usize = 5;
/// Bytes of a file that maps the columns of a CSV.
pub const MAPPING_BYTES_MAX: u64 = 64 << 10;

/// Updates a second and instrument that `max_rate` may ask for.
pub const MAX_RATES: [u32; 7] = [1, 2, 5, 10, 20, 50, 100];
/// Instruments that the simulated market trades at most.
pub const SIM_SYMBOLS_MAX: u32 = 20_000;
/// Records a second that the simulated market and the metronome can be asked for.
pub const SIM_RATE_MAX: u64 = 100_000_000;
/// Entries of one kind (phases, halts, ...) that a scenario may list.
pub const SCENARIO_ENTRIES_MAX: usize = 100;
/// Bytes of a scenario file.
pub const SCENARIO_BYTES_MAX: u64 = 1 << 20;
/// The longest time that a scenario may name.
pub const SCENARIO_TIME_MAX: Duration = Duration::from_secs(24 * 3600);

/// Unsent bytes of one connection (`--queue`).
pub const QUEUE_DEFAULT: usize = 1 << 20;
/// Smallest queue: two of the largest messages.
pub const QUEUE_MIN: usize = 128 << 10;
/// Bytes of a snapshot or of catch-up that one connection gets in one turn.
pub const PIECE_BYTES: usize = 32 << 10;
/// Pieces of a snapshot that are sent in the turn that asks for it.
pub const PIECES_AT_ONCE: usize = 3;
/// Connections that get a piece of what they missed in one turn.
pub const CATCHUP_PER_TURN: usize = 4;
/// Positions for which a shard keeps past states at once.
pub const IMAGES_MAX: usize = 16;
/// A snapshot or catch-up that is not read for this long is given up.
pub const JOIN_STALL: Duration = Duration::from_secs(10);
/// Instruments that an answer lists at most.
pub const INSTRUMENTS_SHOWN: usize = 1024;
/// Between two looks at a part of the connections.
pub const SWEEP: Duration = Duration::from_millis(25);
/// Looks until all connections have been looked at.
pub const SWEEP_SHARE: usize = 8;
/// Times that an idle shard gives its core away before it parks.
pub const YIELDS: usize = 4;
/// A shard that slept for less had better given its core away.
pub const SHORT_SLEEP: Duration = Duration::from_micros(50);
/// Bytes that the kernel holds unsent for one connection (`TCP_NOTSENT_LOWAT`).
pub const NOTSENT_LOWAT: u32 = 64 << 10;

/// Bytes of one connection that are encrypted before its socket takes them.
pub const TLS_AHEAD: usize = 64 << 10;
/// Bytes of one connection that are encrypted in one flush.
pub const TLS_BYTES_PER_TURN: usize = 256 << 10;
/// Records that AES keys of TLS 1.2, which can't be renewed, encrypt: 2^24 (RFC 8446, 5.5), less
/// what the farewell takes.
pub const TLS12_RECORDS: u64 = (1 << 24) - (1 << 16);
/// Bytes of a file with certificates or with a key.
pub const PEM_BYTES_MAX: u64 = 1 << 20;
/// Certificates of a server, by name.
pub const CERTIFICATES_MAX: usize = 64;
/// Looks for which changed certificates have to be left alone before they are read: 2 s.
pub const CERTIFICATES_REST: u32 = 8;

/// Handshake, from accept to the answer (default).
pub const HANDSHAKE_TIMEOUT: Duration = Duration::from_secs(5);
/// Bytes of a request's head.
pub const REQUEST_HEAD_MAX: usize = 8 << 10;
/// Headers of a request.
pub const REQUEST_HEADERS_MAX: usize = 64;
/// Longest life of an HTTP connection: then it is closed after the answer in progress.
pub const HTTP_LIFE: Duration = Duration::from_secs(60);
/// A download that its client has taken nothing of for this long is broken off.
pub const HTTP_STALL: Duration = Duration::from_secs(30);
/// Longest that this answer may take to be written.
pub const HTTP_WRITE: Duration = Duration::from_secs(10);
/// Connections that the kernel holds for a listener before they are accepted.
pub const LISTEN_BACKLOG: i32 = 4096;
/// Addresses that a server listens on at most: their sockets are handed over in one message.
pub const LISTENERS_MAX: usize = 64;
/// How long a process waits for another one's part of an upgrade.
pub const UPGRADE_PATIENCE: Duration = Duration::from_secs(10);
/// Pause after an upgrade that failed.
pub const UPGRADE_PAUSE: Duration = Duration::from_millis(100);
/// Connections that are accepted in one go, before others get the core.
pub const ACCEPTS_PER_TURN: usize = 8;
/// Handshakes and pages in progress at once.
pub const GATE_CONNECTIONS: usize = 4096;
/// Connections of one address at once (default).
pub const CONNECTIONS_PER_ADDRESS: usize = 1_000;
/// Handshakes and pages of one address in progress at once (default).
pub const PENDING_PER_ADDRESS: usize = 128;
/// New connections a second of one address (default); twice as many at once.
pub const RATE_PER_ADDRESS: u32 = 100;
/// Addresses that limits are counted for at once.
pub const ADDRESSES_KNOWN: usize = 1 << 16;
/// An address that has no connection is remembered for this long: all of its pace is back by then.
pub const ADDRESS_MEMORY: Duration = Duration::from_secs(4);
/// Descriptors that connections leave to files, listeners and whoever is told to come later.
pub const DESCRIPTORS_RESERVED: usize = 256 + FAREWELLS;
/// Connections that are told at once why they don't come in; more just end.
pub const FAREWELLS: usize = 256;
/// Seconds after which who was sent away may try again.
pub const RETRY_SECONDS: u32 = 5;
/// Bytes of a session's name (`?session=`).
pub const SESSION_NAME: usize = 64;
/// Names of sessions that are kept before those of ended ones are looked for.
pub const NAMES_KEPT: usize = 256;
/// Connections of operators at once.
pub const OPERATORS_MAX: usize = 64;
/// Bytes of a PROXY header.
pub const PROXY_HEADER_MAX: usize = 2048;
/// Security events a second that are logged; all are counted.
pub const SECURITY_LINES: NonZeroU32 = NonZeroU32::MIN.saturating_add(9);
/// First and longest pause after an accept that failed.
pub const ACCEPT_PAUSE: (Duration, Duration) = (Duration::from_millis(10), Duration::from_secs(1));
/// Heartbeat on a quiet connection (default).
pub const HEARTBEAT: Duration = Duration::from_secs(1);
/// Heartbeat on a busy connection.
pub const HEARTBEAT_BUSY: Duration = Duration::from_secs(5);
/// Between two pings (default).
pub const PING_INTERVAL: Duration = Duration::from_secs(20);
/// Without a pong for this long, a connection is closed (default).
pub const PONG_TIMEOUT: Duration = Duration::from_secs(60);
/// Input that is discarded after half-closing.
pub const LINGER: Duration = Duration::from_secs(1);
/// How long a client that is told to go has to take its farewell: who is told that it was slow may
/// not be reading just then.
pub const FAREWELL: Duration = Duration::from_secs(10);
/// How long the end of the program waits for shards to cut their connections off.
pub const STOP_PATIENCE: Duration = Duration::from_millis(500);
/// Time that a drain takes for each connection, where its window is long enough.
pub const DRAIN_PER_CONNECTION: Duration = Duration::from_millis(5);
/// Window over which connections are closed on SIGTERM (default).
pub const DRAIN: Duration = Duration::from_secs(10);
/// Least time between two polls of a feed that keeps time: what falls due in it goes out together.
pub const POLL_QUANTUM: Duration = Duration::from_micros(250);
/// Longest sleep of the publisher: its commands wait no longer.
pub const PUBLISHER_NAP: Duration = Duration::from_millis(50);
/// Between two looks for subscribers while a feed waits for them.
pub const HOLD_NAP: Duration = Duration::from_millis(1);
/// A feed that waits for its readers is at most the queue's bytes divided by this ahead of them: a
/// record's JSON takes several times its bytes, and the queue has to hold that.
pub const ELASTIC_WINDOW_SHARE: usize = 32;
/// But this far at least, bytes: some records of any kind.
pub const ELASTIC_WINDOW_LEAST: usize = 1 << 10;
/// A step back of the records' time that means that a recording begins again.
pub const REWIND: Duration = Duration::from_secs(60);
/// A jump of the real-time clock that is told.
pub const CLOCK_STEP: Duration = Duration::from_secs(1);
/// A live feed that brings nothing for this long has stalled.
pub const STALL: Duration = Duration::from_secs(5);
/// A stage difference above this is counted, not recorded.
pub const LATENCY_MAX: Duration = Duration::from_secs(60);

/// Bytes of records in one block of a tape: what a reader of one decodes at once.
pub const TAPE_BLOCK: usize = 256 << 10;
/// Bytes that the recorder takes from the ring at once; a block ends between two of these.
pub const TAPE_TURN_BYTES: usize = 32 << 10;
/// What was read is in a block on disk after this long, however small the block is.
pub const TAPE_FLUSH: Duration = Duration::from_millis(50);
/// Between two looks at the ring while there is something to record.
pub const TAPE_NAP: Duration = Duration::from_millis(2);
/// Between two looks at retention, and at whether the segment is still in its folder.
pub const TAPE_SWEEP: Duration = Duration::from_secs(1);
/// First and longest pause before a recorder that lost its disk tries again.
pub const TAPE_RETRY: (Duration, Duration) = (Duration::from_millis(100), Duration::from_secs(5));
/// How long a server that ends waits for its feeds to stop, and for its recorder's last block.
pub const TAPE_STOP: Duration = Duration::from_secs(10);
/// Bytes of blocks that one entry of a segment's index stands for, or more.
pub const TAPE_RUN: u64 = 256 << 10;
/// Bytes of a segment's index at most.
pub const TAPE_INDEX: usize = 128 << 20;
/// Reads of tapes that wait at most.
pub const DESK_QUEUE: usize = 4096;
/// Tapes whose indexes are kept in memory.
pub const DESK_TAPES: usize = 16;
/// Cursors over tapes that are kept open.
pub const DESK_CURSORS: usize = 64;
/// Blocks of tapes that are kept for the next one who asks for them.
pub const DESK_BLOCKS: usize = 64;
/// Replays for which one desk derives what their recordings do not hold, at once. Their books share
/// [`BOOK_ORDERS_MAX`].
pub const DERIVATIONS_MAX: usize = 16;
/// Bytes of derived records that are made in one go, about.
pub const DERIVED_PIECE: usize = 256 << 10;
/// Records that are gone through in one go, whatever comes of them.
pub const DERIVED_RECORDS: usize = 1 << 15;
/// After this long what a replay that has ended has left behind is gone.
pub const DERIVED_IDLE: Duration = Duration::from_secs(1);
/// Between two looks for what the recorder may be about to write, and how many of them.
pub const TAPE_RETRY_READ: Duration = Duration::from_millis(50);
/// See [`TAPE_RETRY_READ`].
pub const TAPE_RETRIES: u32 = 20;
/// The name of the recording that a server itself makes.
pub const RECORDING_LIVE: &str = "live";
/// Between two looks at the folder of recordings.
pub const RECORDINGS_POLL: Duration = Duration::from_secs(1);
/// Between two looks at a tape in it that grows.
pub const RECORDINGS_TAPE_POLL: Duration = Duration::from_secs(5);
/// Recordings in that folder: others are left out.
pub const RECORDINGS_MAX: usize = 1024;
/// Downloads at once.
pub const DOWNLOADS_MAX: usize = 16;
/// Bytes of a piece of a download.
pub const DOWNLOAD_PIECE: usize = 64 << 10;
/// Pieces of a download that wait for its client.
pub const DOWNLOAD_PIECES: usize = 4;
/// Bytes of the name of a recording.
pub const RECORDING_NAME: usize = 128;
/// The slowest and the fastest that a client can have a recording replayed, times its own pace.
pub const REPLAY_SPEEDS: (f64, f64) = (0.01, 1000.0);
/// Records of one step of a replay.
pub const REPLAY_STEP_MAX: u64 = 1_000_000;
/// Records that a replay looks at in one turn.
pub const REPLAY_RECORDS_PER_TURN: usize = 4096;
/// Replays of one shard at once.
pub const REPLAYS_MAX: usize = 1024;
/// Connections of one shard that catch up from the tape at once.
pub const CATCHUP_MAX: usize = 1024;
/// Bytes of a segment (`--segment-bytes`): default, least, most.
pub const SEGMENT_BYTES: (usize, usize, usize) = (256 << 20, 1 << 20, 16 << 30);
/// Files of one tape.
pub const TAPE_SEGMENTS_MAX: usize = 1 << 16;
/// Holes of a tape that a report lists; of more it says how many.
pub const TAPE_HOLES_SHOWN: usize = 100;
/// Holes that a recorder names in one message; of more it says how many.
pub const TAPE_HOLES_TOLD: usize = 16;
/// Numbers that are left out where a tape is continued that was not ended in order: more than were
/// published and not recorded, so that no number is given twice. 19 hours of a million a second.
pub const TAPE_RESTART_SKIP: u64 = 1 << 36;

/// How far the clocks of who mints tokens and of who reads them may differ.
pub const TOKEN_LEEWAY: Duration = Duration::from_secs(30);
/// A token that ends later than this from now is refused: its end is no date.
pub const TOKEN_LIFE_MAX: Duration = Duration::from_secs(10 * 366 * 24 * 3600);
/// Bytes of a token.
pub const TOKEN_BYTES: usize = 6 << 10;
/// Bytes of a subject, and of the id of a key or of a token.
pub const SUBJECT_BYTES: usize = 128;
/// Symbols and patterns that one grant names.
pub const GRANT_SYMBOLS: usize = 1024;
/// Tokens of one connection that may be wrong; the next one that is closes it.
pub const AUTH_ATTEMPTS: u8 = 3;
/// Tokens that wait to be judged.
pub const AUTH_QUEUE: usize = 1024;
/// How long a connection may take to say who it is, where that is asked (default).
pub const AUTH_TIMEOUT: Duration = Duration::from_secs(10);
/// Between two looks at the files that are read again when they change.
pub const FILES_LOOK: Duration = Duration::from_millis(250);
/// Bytes of a file of keys, of what is revoked, or of what is denied.
pub const KEYS_BYTES: u64 = 4 << 20;
/// Certificates of a chain that a client shows, its own among them. With eight of one name it takes
/// 20 times as long as with six to try all ways to an authority.
pub const CLIENT_CHAIN: usize = 6;
/// Bytes of a configuration file.
pub const CONFIG_BYTES: u64 = 1 << 20;
/// Keys and revocations that are known at most, of each kind.
pub const KEYS_MAX: usize = 100_000;
/// Between two looks for records that are old enough for a delayed connection.
pub const DELAY_LOOK: Duration = Duration::from_millis(10);

/// The bounds on one client that an operator may set.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ClientLimits {
    /// Unsent bytes of a connection.
    pub queue: usize,
    /// Heartbeat on a quiet connection.
    pub heartbeat: Duration,
    /// Between two pings.
    pub ping: Duration,
    /// Without a pong for this long, the connection is closed.
    pub pong_timeout: Duration,
    /// Bytes of the largest message it may send.
    pub message_max: usize,
    /// Messages a second, sustained.
    pub rate: u32,
    /// Messages at once.
    pub burst: u32,
    /// Symbols in one request.
    pub symbols: usize,
    /// Subscriptions of a connection.
    pub subscriptions: usize,
}

impl Default for ClientLimits {
    fn default() -> Self {
        Self {
            queue: QUEUE_DEFAULT,
            heartbeat: HEARTBEAT,
            ping: PING_INTERVAL,
            pong_timeout: PONG_TIMEOUT,
            message_max: CLIENT_MESSAGE_MAX,
            rate: CLIENT_RATE,
            burst: CLIENT_BURST,
            symbols: SYMBOLS_PER_REQUEST,
            subscriptions: SUBSCRIPTIONS_PER_CONNECTION,
        }
    }
}

const _: () = {
    assert!(RECORD_MAX.is_multiple_of(8) && RECORD_MIN.is_multiple_of(8));
    assert!(RING_MIN / RING_BATCH_SHARE >= RECORD_MAX);
    assert!(CLAIM_BYTES as usize <= RING_MIN / RING_BATCH_SHARE / 4);
    // A record starts in each block, and in what no commit overwrites there are many.
    assert!(BLOCK_BYTES as usize >= RECORD_MAX);
    assert!(RING_MIN - RING_MIN / RING_BATCH_SHARE >= 8 * BLOCK_BYTES as usize);
    assert!(TURN_BYTES / 4 >= RECORD_MAX && BATCH_BYTES >= RECORD_MAX);
    assert!(BATCH_HEADER + RECORD_MAX <= SERVER_MESSAGE_MAX);
    assert!(QUEUE_MIN >= 2 * SERVER_MESSAGE_MAX);
    assert!(PIECE_BYTES <= QUEUE_MIN / 4);
    assert!(CLIENT_MESSAGE_MAX <= READ_BYTES_PER_TURN);
    assert!(SUBSCRIPTIONS_PER_CONNECTION <= SUBSCRIPTIONS_MAX);
    assert!(TOKEN_BYTES < REQUEST_HEAD_MAX && TOKEN_LEEWAY.as_secs() <= 30);
    assert!(TAPE_TURN_BYTES <= TAPE_BLOCK / 4);
    assert!(TAPE_TURN_BYTES >= RECORD_MAX && TAPE_BLOCK >= RECORD_MAX);
    assert!(TAPE_NAP.as_nanos() < TAPE_FLUSH.as_nanos());
    assert!(SEGMENT_BYTES.1 >= 4 * TAPE_BLOCK && SEGMENT_BYTES.0 <= SEGMENT_BYTES.2);
    assert!(HEARTBEAT.as_nanos() < HEARTBEAT_BUSY.as_nanos());
    assert!(PING_INTERVAL.as_nanos() < PONG_TIMEOUT.as_nanos());
    assert!(PENDING_PER_ADDRESS * 16 <= GATE_CONNECTIONS);
    // At most twice a second's worth is spent at once.
    assert!(ADDRESS_MEMORY.as_nanos() > Duration::from_secs(2).as_nanos());
};
