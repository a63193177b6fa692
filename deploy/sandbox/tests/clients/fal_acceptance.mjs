// The official JavaScript client of fal.ai, unmodified, against the sandbox.
//
// The client knows only fal's own host names, so its middleware, which is made for that, sends the
// requests to the sandbox. Needs SANDBOX_URL, and CLIENTS_MODULES: the folder that npm filled.

import assert from "node:assert/strict";
import { createHash, createPublicKey, verify } from "node:crypto";
import { once } from "node:events";
import { createServer } from "node:http";
import { createRequire } from "node:module";
import path from "node:path";
import { deflateSync } from "node:zlib";

const require = createRequire(path.join(process.env.CLIENTS_MODULES, "x.js"));
const { createFalClient, ValidationError, ApiError } = require("@fal-ai/client");

const SANDBOX = process.env.SANDBOX_URL;
const KEY =
  process.env.SANDBOX_FAL_KEY ?? "00000000-0000-4000-8000-000000000000:sandboxsandboxsandboxsandboxsand";
const HOSTS = /^https:\/\/(queue\.fal\.run|fal\.run|rest\.fal\.ai)\//;

const fal = createFalClient({
  credentials: KEY,
  requestMiddleware: async (request) => ({ ...request, url: request.url.replace(HOSTS, `${SANDBOX}/fal/`) }),
});

setTimeout(() => assert.fail("it takes too long"), 240_000).unref();

async function control(changes) {
  const answer = await fetch(`${SANDBOX}/_sandbox/faults`, { method: "PATCH", body: JSON.stringify(changes) });
  assert.equal(answer.status, 200);
}

async function raises(status, call) {
  try {
    await call();
  } catch (error) {
    assert.ok(error instanceof ApiError, error);
    assert.equal(error.status, status);
    return error;
  }
  assert.fail(`HTTP ${status} was expected`);
}

// A picture of one colour.
function png(width, height, colour) {
  const chunk = (kind, data) => {
    const whole = Buffer.concat([Buffer.from(kind), data]);
    const length = Buffer.alloc(4);
    length.writeUInt32BE(data.length);
    const sum = Buffer.alloc(4);
    sum.writeUInt32BE(crc32(whole));
    return Buffer.concat([length, whole, sum]);
  };
  const header = Buffer.alloc(13);
  header.writeUInt32BE(width, 0);
  header.writeUInt32BE(height, 4);
  header.set([8, 2, 0, 0, 0], 8);
  const row = Buffer.concat([Buffer.from([0]), ...Array(width).fill(Buffer.from(colour))]);
  const rows = Buffer.concat(Array(height).fill(row));
  return Buffer.concat([
    Buffer.from("89504e470d0a1a0a", "hex"),
    chunk("IHDR", header),
    chunk("IDAT", deflateSync(rows)),
    chunk("IEND", Buffer.alloc(0)),
  ]);
}

function crc32(bytes) {
  let sum = ~0;
  for (const byte of bytes) {
    sum ^= byte;
    for (let bit = 0; bit < 8; bit += 1) sum = (sum >>> 1) ^ (0xedb88320 & -(sum & 1));
  }
  return ~sum >>> 0;
}

// The file behind a result, fetched as anyone would: without a key.
async function picture(image) {
  const answer = await fetch(image.url);
  assert.equal(answer.status, 200);
  assert.equal(answer.headers.get("content-type"), image.content_type);
  const bytes = Buffer.from(await answer.arrayBuffer());
  if (image.file_size !== undefined) assert.equal(bytes.length, image.file_size);
  return bytes;
}

async function subscribed(mode) {
  const seen = [];
  const { data, requestId } = await fal.subscribe("fal-ai/nano-banana-2", {
    input: { prompt: "Кот в скафандре", resolution: "0.5K" },
    logs: true,
    mode,
    onQueueUpdate: (update) => seen.push(update),
  });
  assert.match(requestId, /^[0-9a-f-]{36}$/);
  assert.ok((await picture(data.images[0])).subarray(1, 4).equals(Buffer.from("PNG")));
  const lines = seen.flatMap((update) => update.logs ?? []);
  assert.ok(lines.length > 0 && lines[0].message, JSON.stringify(seen));
  assert.equal(seen.at(-1).status, "COMPLETED");
}

async function uploads() {
  const red = await fal.storage.upload(new Blob([png(64, 48, [220, 20, 20])], { type: "image/png" }));
  const blue = new Blob([png(64, 48, [20, 20, 220])], { type: "image/png" });
  // A Blob in the input is uploaded by the client itself. The endpoint has five parts.
  const merged = await fal.subscribe("fal-ai/bytedance/seedream/v4.5/edit", {
    input: { prompt: "вместе", image_urls: [red, blue], image_size: { width: 512, height: 384 } },
  });
  assert.equal(merged.data.images[0].width, 512);
  const larger = await fal.subscribe("fal-ai/seedvr/upscale/image", {
    input: { image_url: blue, upscale_factor: 3 },
  });
  assert.deepEqual([larger.data.image.width, larger.data.image.height], [192, 144]);
}

async function byHand() {
  const endpoint = "fal-ai/flux-2-pro";
  const input = { prompt: "x", image_size: "square" };
  const { request_id: requestId } = await fal.queue.submit(endpoint, { input, priority: "low" });
  const first = await fal.queue.status(endpoint, { requestId, logs: true });
  assert.ok(["IN_QUEUE", "IN_PROGRESS"].includes(first.status), first.status);
  const done = await fal.queue.subscribeToStatus(endpoint, { requestId, pollInterval: 100 });
  assert.equal(done.status, "COMPLETED");
  const result = await fal.queue.result(endpoint, { requestId });
  assert.equal(result.data.images[0].width, 512);
  assert.equal(result.requestId, requestId);
  await raises(400, () => fal.queue.cancel(endpoint, { requestId }));
  const unknown = { requestId: "00000000-0000-0000-0000-000000000000" };
  await raises(404, () => fal.queue.cancel(endpoint, unknown));
  await raises(404, () => fal.queue.status(endpoint, unknown));
  const ran = await fal.run(endpoint, { input });
  assert.ok(ran.data.images ?? ran.data.request_id, JSON.stringify(ran.data));
}

async function cancelled() {
  await control({ fal: "hang", fal_count: 1 });
  const endpoint = "fal-ai/flux-2-pro";
  const { request_id: requestId } = await fal.queue.submit(endpoint, { input: { prompt: "x" } });
  await fal.queue.cancel(endpoint, { requestId });
  await fal.queue.subscribeToStatus(endpoint, { requestId, pollInterval: 100 });
  await raises(499, () => fal.queue.result(endpoint, { requestId }));
}

async function refusals() {
  const missing = fal.subscribe("fal-ai/nano-banana-2/edit", { input: { prompt: "x" } });
  const error = await raises(422, () => missing);
  assert.ok(error instanceof ValidationError);
  assert.equal(error.fieldErrors[0].type, "missing");
  assert.equal(error.getFieldErrors("image_urls").length, 1);
  await control({ fal: "refuse", fal_count: 1 });
  const refused = await raises(422, () => fal.subscribe("fal-ai/flux-2-pro", { input: { prompt: "x" } }));
  assert.equal(refused.fieldErrors[0].type, "content_policy_violation");
  await control({ fal: "locked", fal_count: 1 });
  await raises(403, () => fal.queue.submit("fal-ai/flux-2-pro", { input: { prompt: "x" } }));
}

async function tooLate() {
  await control({ fal_work_ms: 40_000 });
  const endpoint = "fal-ai/flux-2-pro";
  const { request_id: requestId } = await fal.queue.submit(endpoint, {
    input: { prompt: "x" },
    startTimeout: 1.5,
    storageSettings: { expiresIn: "1h" },
  });
  await fal.queue.subscribeToStatus(endpoint, { requestId, pollInterval: 200 });
  const error = await raises(504, () => fal.queue.result(endpoint, { requestId }));
  await control({ fal_work_ms: 800 });
  assert.equal(error.timeoutType, "user");
}

async function webhooks() {
  const server = createServer();
  server.listen(0, "127.0.0.1");
  await once(server, "listening");
  const webhookUrl = `http://127.0.0.1:${server.address().port}/told?token=1`;
  const told = once(server, "request");
  const { request_id: requestId } = await fal.queue.submit("fal-ai/flux-2-pro", {
    input: { prompt: "x", image_size: "square" },
    webhookUrl,
  });
  const [request, response] = await told;
  const pieces = [];
  for await (const piece of request) pieces.push(piece);
  response.end();
  server.close();
  const body = Buffer.concat(pieces);
  assert.equal(request.url, "/told?token=1");
  assert.equal(JSON.parse(body).request_id, requestId);
  assert.equal(JSON.parse(body).status, "OK");

  const { keys } = await (await fetch(`${SANDBOX}/fal/.well-known/jwks.json`)).json();
  const header = (name) => request.headers[`x-fal-webhook-${name}`];
  const digest = createHash("sha256").update(body).digest("hex");
  const message = [header("request-id"), header("user-id"), header("timestamp"), digest].join("\n");
  const key = createPublicKey({ key: keys[0], format: "jwk" });
  assert.ok(verify(null, Buffer.from(message), key, Buffer.from(header("signature"), "hex")));
}

await control({ fal_work_ms: 800 });
await subscribed("polling");
await subscribed("streaming");
await uploads();
await byHand();
await cancelled();
await refusals();
await webhooks();
await tooLate();
console.log("@fal-ai/client: OK");
