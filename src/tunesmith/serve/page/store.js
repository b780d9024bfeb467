// What the person keeps in this browser: conversations, prompts, ratings. Nothing of it leaves the machine by itself.

const KINDS = ["conversations", "prompts", "ratings"]; // each a table whose rows have an `id`
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

/** All rows of a kind. */
export async function all(kind) {
  return settled((await table(kind)).getAll());
}

/** Write a row, over the one with the same id. */
export async function put(kind, row) {
  await settled((await table(kind, "readwrite")).put(row));
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
  const turns = row.turns.map((turn) => {
    if (!["user", "assistant"].includes(turn.role)) throw new TypeError("a turn of nobody");
    return { ...turn, content: text(turn.content) };
  });
  return { id, time: Number(row.time) || 0, system: text(row.system), turns };
}

function text(value) {
  if (typeof value !== "string") throw new TypeError("a text is missing");
  return value;
}
