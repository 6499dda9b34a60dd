// A browser looks at the live page: browser.cjs URL PICTURE [BROWSER].
// The page has to show ticks without a complaint and without asking anybody else; a script on it
// subscribes in both encodings and has to count what the heartbeats count. PICTURE.png and
// PICTURE-dark.png are what it looked like. With BROADTAPE_TOKEN the server asks who is there: the
// page has to ask for a token, to refuse a wrong one, and to show ticks by that one. Driven by the
// DevTools protocol.
"use strict";

const assert = require("node:assert/strict");
const { spawn } = require("node:child_process");
const fs = require("node:fs");
const os = require("node:os");
const path = require("node:path");
const WebSocket = require("ws");

const PATIENCE = 60_000;
const FLAGS = [
  "--headless", "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run",
  "--disable-background-networking", "--disable-component-update", "--disable-sync",
  "--remote-debugging-port=0", "--force-color-profile=srgb", "--hide-scrollbars",
];
const VIEW = { width: 1200, height: 1000, deviceScaleFactor: 1, mobile: false };

/** Starts the browser; gives where it is driven from. */
function start(program, folder) {
  const flags = [...FLAGS, `--user-data-dir=${folder}`, "about:blank"];
  const browser = spawn(program, flags, { stdio: ["ignore", "ignore", "pipe"] });
  const address = new Promise((resolve, reject) => {
    let said = "";
    browser.stderr.on("data", (text) => {
      said += text;
      const found = /DevTools listening on (ws:\S+)/.exec(said);
      if (found) resolve(found[1]);
    });
    browser.on("error", reject);
    browser.on("exit", (code) => reject(new Error(`the browser ended with ${code}: ${said}`)));
  });
  return { browser, address };
}

/** The DevTools protocol: commands with answers, and events. */
class Tools {
  static async connect(address) {
    const socket = new WebSocket(address, { perMessageDeflate: false });
    await new Promise((resolve, reject) => socket.once("open", resolve).once("error", reject));
    return new Tools(socket);
  }

  constructor(socket) {
    this.socket = socket;
    this.last = 0;
    this.asked = new Map();
    this.events = [];
    socket.on("message", (data) => this.take(JSON.parse(data)));
  }

  take(message) {
    if (!message.id) return this.events.push(message);
    const { resolve, reject } = this.asked.get(message.id);
    if (message.error) reject(new Error(message.error.message));
    else resolve(message.result);
  }

  send(method, params = {}) {
    const id = ++this.last;
    this.socket.send(JSON.stringify({ id, method, params, sessionId: this.session }));
    return new Promise((resolve, reject) => this.asked.set(id, { resolve, reject }));
  }

  async open(url) {
    const { targetId } = await this.send("Target.createTarget", { url: "about:blank" });
    const attached = await this.send("Target.attachToTarget", { targetId, flatten: true });
    this.session = attached.sessionId;
    for (const domain of ["Page", "Runtime", "Network", "Log"]) await this.send(`${domain}.enable`);
    await this.send("Emulation.setDeviceMetricsOverride", VIEW);
    await this.send("Page.navigate", { url });
  }

  /** The value of an expression on the page, awaited. */
  async evaluate(expression) {
    const options = { expression, awaitPromise: true, returnByValue: true };
    const { result, exceptionDetails } = await this.send("Runtime.evaluate", options);
    assert.ok(!exceptionDetails, exceptionDetails?.exception?.description);
    return result.value;
  }

  async until(what, expression) {
    const deadline = Date.now() + PATIENCE;
    // Between two pages there is nothing to ask.
    const between = (error) => {
      if (!/context|navigated/i.test(error.message)) throw error;
      return false;
    };
    while (!(await this.evaluate(expression).catch(between))) {
      if (Date.now() > deadline) {
        assert.fail(`${what}: not after ${PATIENCE} ms\n${await this.text()}`);
      }
      await new Promise((resolve) => setTimeout(resolve, 100));
    }
  }

  text() {
    return this.evaluate("document.body?.innerText");
  }

  async picture(file, scheme) {
    const features = [{ name: "prefers-color-scheme", value: scheme }];
    await this.send("Emulation.setEmulatedMedia", { features });
    const { data } = await this.send("Page.captureScreenshot", { format: "png" });
    fs.writeFileSync(file, Buffer.from(data, "base64"));
  }

  /** What the page complained of, and whom it asked. */
  findings() {
    const of = (method) => this.events.filter((e) => e.method === method).map((e) => e.params);
    const complaints = [
      ...of("Runtime.exceptionThrown").map((e) => e.exceptionDetails.exception?.description),
      ...of("Runtime.consoleAPICalled").map((e) => `${e.type}: ${e.args.map((a) => a.value)}`),
      ...of("Log.entryAdded").map(({ entry }) => `${entry.level}: ${entry.text}`),
      ...of("Network.loadingFailed").map((e) => `failed: ${e.errorText}`),
    ];
    const asked = [
      ...of("Network.requestWillBeSent").map((e) => e.request.url),
      ...of("Network.webSocketCreated").map((e) => e.url),
    ];
    return { complaints, asked: asked.filter((url) => !url.startsWith("data:")) };
  }
}

/** Runs on the page: subscribes, counts, and holds the counts against five heartbeats. */
function count(encoding) {
  return new Promise((resolve, reject) => {
    const stream = new WebSocket(`ws://${location.host}/v1/stream`, `broadtape.${encoding}.v1`);
    stream.binaryType = "arraybuffer";
    let [records, beats] = [0, 0];
    const batch = (data) => {
      const view = new DataView(data);
      const [flags, length] = [view.getUint8(1), view.getUint16(2, true)];
      let at = 24;
      for (let n = 0; n < length; n++) {
        if (view.getUint8(at + 1) !== 0x16 && !(flags & 1)) records += 1;
        at += view.getUint8(at) * 4;
      }
      if (at !== data.byteLength) reject(new Error(`${at} of ${data.byteLength} bytes`));
    };
    const text = (message) => {
      if (message.success === false) reject(new Error(message.error.message));
      if (message.type === "data" && !message.flags?.includes("snapshot")) {
        records += message.records.filter((r) => r.hd.rtype !== 0x16).length;
      }
      if (message.type !== "heartbeat" || !records) return;
      if (message.records !== String(records)) {
        reject(new Error(`${records} came, ${message.records} were sent`));
      }
      if (++beats === 5) {
        stream.close();
        resolve(records);
      }
    };
    stream.onopen = () => stream.send(JSON.stringify({
      id: 1, method: "subscribe", params: { schema: ["trades", "mbp-1"], symbols: "*" },
    }));
    stream.onmessage = ({ data }) => {
      if (data instanceof ArrayBuffer) batch(data);
      else text(JSON.parse(data));
    };
    stream.onclose = ({ code }) => reject(new Error(`closed with ${code}`));
  });
}

function ticks(tools) {
  const shown = "#ticks tbody td:nth-child(3), #ticks tbody td:nth-child(6)";
  const cells = `[...document.querySelectorAll("${shown}")]`;
  return tools.until("ticks are shown", `${cells}.filter(td => td.innerText !== "–").length > 7`);
}

function hosts(asked, url) {
  const { host } = new URL(url);
  assert.deepEqual(asked.filter((one) => new URL(one).host !== host), [], "asked of others");
}

/** Says who it is: first what is wrong, then what is right. */
async function enter(tools, url, picture, token) {
  await tools.open(url);
  const says = (words) => `document.querySelector("#state")?.innerText === "${words}"
    && document.querySelector("#token").checkVisibility()`;
  // Submitted once this has been answered: then the page is left.
  const give = (value) => tools.evaluate(`document.querySelector("#token").value = "${value}";
    setTimeout(() => document.querySelector("#knock").requestSubmit(), 100)`);
  await tools.until("a token is asked for", says("this server asks who you are"));
  await tools.picture(`${picture}.png`, "light");
  await give("wrong");
  await tools.until("a wrong token is refused", says("the token is not accepted"));
  await give(token);
  await ticks(tools);
  assert.match(await tools.text(), /^broadtape\s+live/);
  assert.ok(!(await tools.evaluate('document.querySelector("#token").checkVisibility()')));
  assert.ok(!(await tools.evaluate("document.documentElement.outerHTML")).includes(token));
  assert.equal(await tools.evaluate("localStorage.length + document.cookie.length"), 0);
  const { complaints, asked } = tools.findings();
  // Two pages were refused, and what a page still asked when it was left was given up.
  const meant = (one) => /status of 401|ERR_ABORTED/.test(one);
  assert.deepEqual(complaints.filter((one) => !meant(one)), []);
  hosts(asked, url);
  assert.ok(asked.every((one) => !one.includes(token)), "a token in an address");
}

async function look(tools, url, picture) {
  await tools.open(url);
  await ticks(tools);
  await tools.until("rates are drawn", `document.querySelector("#in-line").points.length > 3`);
  assert.match(await tools.text(), /^broadtape\s+live/);
  for (const encoding of ["json", "dbn"]) {
    const records = await tools.evaluate(`(${count})("${encoding}")`);
    assert.ok(records > 0, `${encoding}: nothing came`);
  }
  await tools.picture(`${picture}-dark.png`, "dark");
  await tools.picture(`${picture}.png`, "light");
  const wide = "document.documentElement.scrollWidth > innerWidth";
  await tools.send("Emulation.setDeviceMetricsOverride", { ...VIEW, width: 360 });
  assert.ok(!(await tools.evaluate(wide)), "a narrow page scrolls sideways");
  await tools.picture(`${picture}-narrow.png`, "light");
  const { complaints, asked } = tools.findings();
  assert.deepEqual(complaints, []);
  hosts(asked, url);
  assert.ok(asked.length > 3);
}

/** The browser's own children may write for a moment after it has ended. */
async function remove(folder) {
  for (let tries = 100; ; tries--) {
    try {
      return fs.rmSync(folder, { recursive: true, force: true });
    } catch (error) {
      if (tries === 0) throw error;
      await new Promise((resolve) => setTimeout(resolve, 100));
    }
  }
}

async function main([url, picture, program = "chromium"]) {
  const folder = fs.mkdtempSync(path.join(os.tmpdir(), "browser-"));
  const { browser, address } = start(program, folder);
  try {
    const tools = await Tools.connect(await address);
    const token = process.env.BROADTAPE_TOKEN;
    await (token ? enter(tools, url, picture, token) : look(tools, url, picture));
  } finally {
    browser.removeAllListeners("exit");
    const gone = new Promise((resolve) => browser.once("exit", resolve));
    browser.kill();
    await gone;
    await remove(folder);
  }
}

main(process.argv.slice(2)).then(
  () => process.exit(0),
  (error) => {
    console.error(error);
    process.exit(1);
  },
);
