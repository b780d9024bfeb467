// What the person keeps in this browser: conversations, prompts, ratings. Nothing of it leaves the machine by itself.

const KINDS = ["conversations", "prompts", "ratings"]; // each a table whose rows have an `id`
const ENDS = ["", "stopped", "failed"];
const CHOICES = ["", "a", "b", "tie", "both_bad"];
let opened;

function database() {
  opened ??= connect();
  return opened;
}

function connect() {
  const request = indexedDB.open("tunesmith", 1);
  request.onupgradeneeded = () => {
    for (const kind of KINDS) request.result.createObjectStore(kind, { keyPath: "id" });
  };
  return settled(request);
}

function settled(request) {
  return new Promise((resolve, reject) => {
    request.onsuccess = () => resolve(request.result);
    request.onerror = () => reject(request.error);
  });
}

async function table(kind, mode = "readonly") {
  return (await database()).transaction(kind, mode).objectStore(kind);
}

/** All rows of a kind, but for those that the page could not show: files were once taken without a close look. */
export async function all(kind) {
  const rows = await settled((await table(kind)).getAll());
  return rows.flatMap((row) => {
    try {
      return [sound(kind, row)];
    } catch {
      return [];
    }
  });
}

/** Write a row, over the one with the same id. */
export async function put(kind, row) {
  await settled((await table(kind, "readwrite")).put(row));
}

/** Write a row over the one with the same id, unless that one is gone: what the person deleted stays deleted. */
export async function renew(kind, row) {
  const rows = await table(kind, "readwrite");
  if ((await settled(rows.getKey(row.id))) !== undefined) await settled(rows.put(row));
}

export async function remove(kind, id) {
  await settled((await table(kind, "readwrite")).delete(id));
}

/** Everything, as the text of a file that `restore` reads. */
export async function backup() {
  const kept = { format: "tunesmith-chat", version: 1 };
  for (const kind of KINDS) kept[kind] = await all(kind);
  return JSON.stringify(kept, null, 1);
}

/** Add what a backup holds; gives the number of rows. Throws where the text is no backup, before writing anything. */
export async function restore(text) {
  const kept = JSON.parse(text);
  if (kept?.format !== "tunesmith-chat" || kept.version !== 1) throw new TypeError("not a backup");
  const rows = KINDS.flatMap((kind) => (kept[kind] ?? []).map((row) => [kind, sound(kind, row)]));
  for (const [kind, row] of rows) await put(kind, row);
  return rows.length;
}

/** The row with the fields that the page reads, each of its type. */
function sound(kind, row) {
  const { id } = row;
  if (typeof id !== "string" || !id) throw new TypeError("a row without an id");
  if (kind === "prompts") return { id, text: text(row.text) };
  if (kind === "ratings") return row;
  return { id, time: Number(row.time) || 0, system: text(row.system), turns: row.turns.map(turn) };
}

function turn(row) {
  const { role, content, choice = "", pair } = row;
  if (role === "user") return { role, content: text(content) };
  if (role !== "assistant") throw new TypeError("a turn of nobody");
  if (pair === undefined) return { role, ...answer(row) };
  if (!Array.isArray(pair) || pair.length !== 2) throw new TypeError("a choice between other than two answers");
  return { role, content: text(content), choice: one(CHOICES, choice), pair: pair.map(answer) };
}

/** An answer as `talk` gives it. */
function answer({ model = "", content, tokens = null, speed = null, ended = "" }) {
  const counted = { tokens: number(tokens), speed: number(speed) };
  return { model: text(model), content: text(content), ...counted, ended: one(ENDS, ended) };
}

function text(value) {
  if (typeof value !== "string") throw new TypeError("a text is missing");
  return value;
}

function number(value) {
  if (value !== null && !Number.isFinite(value)) throw new TypeError("a number is missing");
  return value;
}

function one(known, value) {
  if (!known.includes(value)) throw new TypeError(`${value} is not known`);
  return value;
}
