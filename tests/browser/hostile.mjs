// A hostile page in the browser of someone who is signed in, and a host name that is bound anew to this address.
// usage: node hostile.mjs URL; prints one line of JSON with what each attempt came to.
import { createRequire } from "node:module";
import { createServer } from "node:http";

const { chromium } = createRequire(new URL("../../web/package.json", import.meta.url))("playwright-core");
const url = process.argv[2];
const own = new URL(url).origin;
const { port } = new URL(url);

const browser = await chromium.launch({
  executablePath: "/usr/bin/chromium",
  args: ["--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run", "--disable-background-networking",
    "--disable-component-update", "--disable-sync", "--host-resolver-rules=MAP evil.test 127.0.0.1"],
});
const context = await browser.newContext();
const page = await context.newPage();
const asked = [];
page.on("request", (request) => asked.push(request.url()));
page.on("websocket", (socket) => asked.push(socket.url()));
await page.goto(url);
await page.waitForSelector("[role=treegrid] [role=row]");
const report = { cookies: (await context.cookies()).map(({ httpOnly, sameSite }) => `${httpOnly} ${sameSite}`) };
report.address = page.url().replace(own, "");
report.foreign = asked.filter((one) => new URL(one).host !== new URL(own).host);

// The cookie goes along from another port of the same host: it tells sites apart, not origins (RFC 6265bis, 5.2).
const evil = createServer((_, response) => response.end("<!doctype html><title>evil</title>"));
await new Promise((up) => evil.listen(0, "127.0.0.1", up));
const attack = async (origin) => {
  const tab = await context.newPage();
  await tab.goto(origin);
  const attempts = await tab.evaluate(async (own) => {
    const outcome = async (attempt) => {
      try {
        return await attempt();
      } catch (error) {
        return `failed: ${error.name}`;
      }
    };
    const element = (name, attributes) => () =>
      new Promise((done) => {
        const one = Object.assign(document.createElement(name), attributes);
        one.onload = () => done("loaded");
        one.onerror = () => done("failed");
        document.body.append(one);
      });
    const found = {
      read: await outcome(async () => (await fetch(`${own}/api/v1/info`, { credentials: "include" })).text()),
      opaque: await outcome(async () => (await fetch(`${own}/api/v1/info`, { mode: "no-cors", credentials: "include" })).type),
      post: await outcome(async () => (await fetch(`${own}/api/v1/info`, { method: "POST", credentials: "include" })).text()),
      stream: await outcome(
        () =>
          new Promise((done) => {
            const socket = new WebSocket(`${own.replace("http", "ws")}/api/v1/live`);
            socket.onopen = () => socket.send(JSON.stringify({ kind: "hello", resume: null }));
            socket.onmessage = ({ data }) => done(`told ${data.slice(0, 20)}`);
            socket.onclose = ({ code }) => done(`closed ${code}`);
          }),
      ),
      script: await outcome(element("script", { src: `${own}/api/v1/info` })),
      image: await outcome(element("img", { src: `${own}/icon.svg` })),
    };
    const frame = document.createElement("iframe");
    frame.src = `${own}/`;
    document.body.append(frame);
    await new Promise((done) => (frame.onload = done));
    found.frame = await outcome(async () => frame.contentDocument?.body?.innerText ?? "out of reach");
    const opened = window.open(`${own}/`);
    await new Promise((rest) => setTimeout(rest, 1000));
    found.opener = await outcome(async () => (opened?.closed ?? true) ? "out of reach" : String(opened.document.title));
    return found;
  }, own);
  // What the frame shows, seen from outside.
  const [, inner] = tab.frames();
  attempts.framed = inner ? await inner.evaluate(() => document.querySelectorAll("[role=row]").length).catch(() => 0) : 0;
  await tab.close();
  return attempts;
};
report.otherPort = await attack(`http://127.0.0.1:${evil.address().port}/`);
report.otherSite = await attack(`http://evil.test:${evil.address().port}/`);

// The same server under a name that someone else controls.
const tab = await context.newPage();
const answers = {};
for (const path of ["/", "/?token=x", "/api/v1/info", "/healthz", "/metrics"]) {
  const answer = await tab.goto(`http://evil.test:${port}${path}`);
  answers[path] = answer.status();
}
report.rebound = answers;
report.reboundStream = await tab.evaluate(
  () =>
    new Promise((done) => {
      const socket = new WebSocket("/api/v1/live".replace(/^/, `ws://${location.host}`));
      socket.onopen = () => done("open");
      socket.onerror = () => done("refused");
    }),
);
// Meanwhile the page itself still has its stream.
report.link = await page.evaluate(() => sockreel.state.link.value);
console.log(JSON.stringify(report));
await browser.close();
evil.close();
process.exit(0);
