// The model's files, piece by piece: each is checked against its SHA-256 and kept, so that loading goes on where it
// broke off.
import { words } from "./words.js";

const STORE = `tunesmith-model ${new URL(".", location).pathname}`;

/** Whether every piece is kept; whether they are whole shows when they are read. */
export async function isHere({ files }) {
  const store = await caches.open(STORE);
  const kept = new Set((await store.keys()).map(({ url }) => url));
  return files.every(({ pieces }) => pieces.every((hash) => kept.has(place(hash))));
}

/**
 * The files that `model` lists, as the export wrote them: [{name, size, pieces}], a piece named by its SHA-256.
 * `told` hears of the bytes that are here. What is kept of other models on this page is dropped.
 */
export async function fetchModel(model, told) {
  const store = await caches.open(STORE);
  const found = [];
  let done = 0;
  for (const file of model.files) {
    const parts = await fetchFile(store, file, model.piece, (count) => told((done += count)));
    found.push(new File(parts, file.name));
  }
  const wanted = new Set(model.files.flatMap(({ pieces }) => pieces.map(place)));
  for (const { url } of await store.keys()) if (!wanted.has(url)) await store.delete(url);
  return found;
}

/** The pieces of one file as Blobs; fetched from the first that is missing on. */
async function fetchFile(store, file, length, told) {
  const found = [];
  for (const hash of file.pieces) {
    const blob = await kept(store, hash);
    if (!blob) break;
    told(blob.size);
    found.push(blob);
  }
  if (found.length === file.pieces.length) return found;
  for await (const bytes of cut(await body(file.name, found.length * length), length)) {
    const hash = file.pieces[found.length];
    const from = found.length * length;
    if ((await sha256(bytes)) !== hash) throw broken(file, from, from + length);
    await keep(store, hash, bytes);
    told(bytes.byteLength);
    found.push(await (await store.match(place(hash))).blob()); // on disk, not in memory
    if (found.length === file.pieces.length) return found;
  }
  throw broken(file, found.length * length, file.size);
}

/** Keep a piece; the pieces before it stay where the browser has no room for this one. */
async function keep(store, hash, bytes) {
  try {
    await store.put(place(hash), new Response(bytes));
  } catch (error) {
    if (error.name !== "QuotaExceededError") throw error;
    throw new Error(words("full"), { cause: error });
  }
}

function broken({ name, size }, from, to) {
  return new Error(words("broken", { file: name, from, to: Math.min(to, size) }));
}

/** A piece that is kept and whole; one that is not is dropped. */
async function kept(store, hash) {
  const blob = await (await store.match(place(hash)))?.blob();
  if (!blob || (await sha256(await blob.arrayBuffer())) === hash) return blob;
  await store.delete(place(hash));
}

/** The bytes of a file from `start` on, also from a server that always sends the whole. */
async function body(name, start) {
  const headers = start ? { range: `bytes=${start}-` } : {};
  const response = await fetch(`model/${name}`, { headers, cache: "no-store" });
  if (!response.ok) throw new Error(words("missing", { file: name, reason: response.status }));
  return skipped(response.body, response.status === 206 ? 0 : start);
}

async function* skipped(stream, count) {
  const reader = stream.getReader();
  try {
    for (let step; !(step = await reader.read()).done; ) {
      const over = Math.min(count, step.value.length);
      count -= over;
      if (over < step.value.length) yield step.value.subarray(over);
    }
  } finally {
    reader.cancel().catch(() => {}); // a connection that broke off is gone already
  }
}

/** The same bytes in runs of `length`, the last may be shorter. */
async function* cut(stream, length) {
  const held = new Uint8Array(length);
  let filled = 0;
  for await (let bytes of stream) {
    while (bytes.length) {
      const taken = bytes.subarray(0, length - filled);
      held.set(taken, filled);
      filled += taken.length;
      bytes = bytes.subarray(taken.length);
      if (filled < length) continue;
      yield held;
      filled = 0;
    }
  }
  if (filled) yield held.subarray(0, filled);
}

async function sha256(bytes) {
  const digest = new Uint8Array(await crypto.subtle.digest("SHA-256", bytes));
  return Array.from(digest, (byte) => byte.toString(16).padStart(2, "0")).join("");
}

function place(hash) {
  return new URL(`model/pieces/${hash}`, location).href;
}
