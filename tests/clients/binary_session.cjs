// A session in the dbn encoding with a JavaScript client: binary_session.cjs ws|undici URL.
// Frames are read with a DataView; the heartbeats' counts have to be what was received.
"use strict";

const assert = require("node:assert/strict");

const ENOUGH = 3000;
const HEADER = 24;
const MAPPING = 22;
const SNAPSHOT = 1;
const MESSAGE_MAX = 65535;

/** One data frame: header fields and the offset, type, instrument and `ts_out` of each record. */
function readBatch(buffer) {
  const view = new DataView(buffer);
  assert.equal(view.getUint8(0), 1, "version");
  const batch = {
    flags: view.getUint8(1),
    count: view.getUint16(2, true),
    epoch: view.getUint32(4, true),
    seq: view.getBigUint64(8, true),
    tsSend: view.getBigUint64(16, true),
    records: [],
  };
  let at = HEADER;
  for (let i = 0; i < batch.count; i++) {
    const length = view.getUint8(at) * 4;
    assert.ok(length >= 24 && at + length <= buffer.byteLength, `record ${i} of ${length} bytes`);
    const tsOut = view.getBigUint64(at + length - 8, true);
    const instrument = view.getUint32(at + 4, true);
    batch.records.push({ rtype: view.getUint8(at + 1), instrument, tsOut });
    at += length;
  }
  assert.equal(at, buffer.byteLength, "bytes after the last record");
  return batch;
}

/** A connection whose messages are awaited one by one. */
class Session {
  constructor(socket) {
    this.socket = socket;
    this.waiting = [];
    this.arrived = [];
    this.id = 0;
    this.records = 0n;
    this.seq = 0n;
    this.tsOut = 0n;
    this.named = new Set();
    socket.binaryType = "arraybuffer";
    socket.addEventListener("message", (event) => this.push({ data: event.data }));
    socket.addEventListener("close", (event) => this.push({ closed: event }));
    socket.addEventListener("error", (event) => this.push({ error: event }));
  }

  push(event) {
    const waiter = this.waiting.shift();
    if (waiter) waiter(event);
    else this.arrived.push(event);
  }

  event() {
    if (this.arrived.length) return Promise.resolve(this.arrived.shift());
    return new Promise((resolve) => this.waiting.push(resolve));
  }

  async next() {
    const { data, closed, error } = await this.event();
    assert.ok(!error, `error: ${error?.message}`);
    assert.ok(!closed, `closed: ${closed?.code} ${closed?.reason}`);
    if (typeof data !== "string") return this.take(readBatch(data), data.byteLength);
    const message = JSON.parse(data);
    if (message.type === "heartbeat") this.check(message);
    return message;
  }

  async until(done) {
    for (;;) {
      const message = await this.next();
      if (done(message)) return message;
    }
  }

  async request(method, params) {
    const id = ++this.id;
    this.socket.send(JSON.stringify({ id, method, params }));
    const answer = await this.until((message) => message.id === id);
    assert.ok(answer.success, JSON.stringify(answer));
    return answer.result;
  }

  take(batch, bytes) {
    assert.ok(bytes <= MESSAGE_MAX, `a message of ${bytes} bytes`);
    assert.equal(BigInt(batch.epoch), this.epoch & 0xffffffffn, "epoch");
    for (const { rtype, instrument, tsOut } of batch.records) {
      if (rtype === MAPPING) this.named.add(instrument);
      assert.ok(this.named.has(instrument), `instrument ${instrument} came before its mapping`);
      assert.ok(tsOut <= batch.tsSend, "published after it was framed");
      if (batch.flags & SNAPSHOT || rtype === MAPPING) continue;
      assert.ok(tsOut >= this.tsOut, "ts_out decreases");
      this.tsOut = tsOut;
      this.records += 1n;
    }
    if (!(batch.flags & SNAPSHOT)) this.advance(batch.seq);
    return batch;
  }

  advance(seq) {
    assert.ok(seq >= this.seq, `seq fell from ${this.seq} to ${seq}`);
    this.seq = seq;
  }

  check(heartbeat) {
    this.advance(BigInt(heartbeat.seq));
    assert.equal(BigInt(heartbeat.records), this.records, "records that the server counts");
  }
}

function open(library, url) {
  const { WebSocket } = require(library);
  return new Session(new WebSocket(url, ["broadtape.dbn.v1"]));
}

/** A WebSocket ping is answered by a pong with the same payload (undici can't send one). */
async function pingPong(socket) {
  const pong = new Promise((resolve) => socket.once("pong", resolve));
  socket.ping("tick");
  assert.equal((await pong).toString(), "tick");
}

async function main(library, url) {
  const session = open(library, url);
  const welcome = await session.next();
  assert.equal(welcome.type, "welcome");
  assert.equal(session.socket.protocol, "broadtape.dbn.v1");
  session.epoch = BigInt(welcome.epoch);
  const params = { schema: ["trades", "mbp-1"], symbols: "*" };
  const { subscription } = await session.request("subscribe", params);
  await session.until((message) => message.type === "snapshot_done");
  await session.until(() => session.records >= ENOUGH);
  if (library === "ws") await pingPong(session.socket);
  const echo = await session.request("ping", { data: "tick" });
  assert.equal(echo.data, "tick");
  await session.request("unsubscribe", { subscription });
  const counted = session.records;
  await session.until((message) => message.type === "heartbeat");
  assert.equal(session.records, counted, "records after the answer to unsubscribe");
  session.socket.close(1000, "done");
  const { closed } = await session.event();
  assert.ok(closed?.wasClean && closed.code === 1000, `closed with ${closed?.code}`);
  console.log(`${session.records} records, as the server counts`);
}

const limit = setTimeout(() => {
  console.error("not done within 60 s");
  process.exit(1);
}, 60_000);

main(process.argv[2], process.argv[3]).then(
  () => clearTimeout(limit),
  (error) => {
    console.error(error);
    process.exit(1);
  },
);
