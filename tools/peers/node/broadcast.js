// Node's ws, tuned: each message is framed once with Sender.frame, and each socket is corked, so
// that a tick's frames leave in one write.
'use strict';

const http = require('node:http');
const { parseArgs } = require('node:util');
const { Sender, WebSocketServer } = require('ws');

const TICK_NANOS = 1_000_000n;
const TICKS_PER_SECOND = 1_000;
const MESSAGE = 48;
const SYMBOLS = 16;
// A client that is so far behind gets nothing until it has read on.
const BEHIND_MAX = 1 << 20;
const FRAME = { fin: true, opcode: 2, mask: false, readOnly: true, rsv1: false };

function option(values, name, least, most) {
  const number = Number(values[name]);
  if (!Number.isInteger(number) || number < least || number > most) {
    console.error(`broadcast.js: --${name} ${values[name]}: give ${least} to ${most}`);
    process.exit(2);
  }
  return number;
}

function options() {
  const types = {
    port: { type: 'string', default: '0' },
    connections: { type: 'string', default: '100' },
    rate: { type: 'string', default: '1000' },
  };
  try {
    const { values } = parseArgs({ options: types });
    return {
      port: option(values, 'port', 0, 65_535),
      connections: option(values, 'connections', 1, 1_000_000),
      rate: option(values, 'rate', 1, 10_000_000),
    };
  } catch (error) {
    console.error(`broadcast.js: ${error.message}`);
    process.exit(2);
  }
}

// The wall clock in ns: hrtime counts on from where it was once.
const EPOCH = BigInt(Date.now()) * 1_000_000n - process.hrtime.bigint();
const now = () => EPOCH + process.hrtime.bigint();

function framed(seq, at) {
  const message = Buffer.alloc(MESSAGE, 0x55);
  message.writeBigUInt64LE(BigInt(seq), 0);
  message.writeBigUInt64LE(at, 8);
  message.writeUInt32LE(seq % SYMBOLS, 16);
  return Buffer.concat(Sender.frame(message, FRAME));
}

class Publisher {
  constructor(rate) {
    this.rate = rate;
    this.next = now() + TICK_NANOS;
    this.carry = 0;
    this.seq = 0;
  }

  // The frames that are due.
  due() {
    const frames = [];
    for (const time = now(); this.next <= time; this.next += TICK_NANOS) {
      const due = this.carry + this.rate;
      this.carry = due % TICKS_PER_SECOND;
      for (let left = Math.floor(due / TICKS_PER_SECOND); left > 0; left -= 1) {
        frames.push(framed(this.seq, this.next));
        this.seq += 1;
      }
    }
    return frames;
  }
}

function send(sockets, frames) {
  for (const socket of sockets) {
    if (socket.writableLength > BEHIND_MAX) continue;
    socket.cork();
    for (const frame of frames) socket.write(frame);
    socket.uncork();
  }
}

function main() {
  const { port, connections, rate } = options();
  const server = http.createServer();
  const sockets = new Set();
  let publisher = null;
  const subscribers = new WebSocketServer({ server, perMessageDeflate: false });
  subscribers.on('connection', (client, request) => {
    const { socket } = request;
    socket.setNoDelay(true);
    sockets.add(socket);
    client.on('close', () => sockets.delete(socket));
    client.on('error', (error) => console.error(`a subscriber: ${error.message}`));
    if (sockets.size === connections) publisher ??= new Publisher(rate);
  });
  setInterval(() => publisher && send(sockets, publisher.due()), 1);
  server.on('error', (error) => {
    console.error(`broadcast.js: ${error.message}`);
    process.exit(1);
  });
  server.listen({ port, host: '127.0.0.1', backlog: 4096 }, () => {
    console.log(`listening on http://127.0.0.1:${server.address().port}`);
  });
}

main();
