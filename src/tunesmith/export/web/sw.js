// Keeps the page and its runtime, so that they open without a network. The model's files are kept by the page itself.
importScripts("files.js"); // APP: {version, files}

const OTHER = WebAssembly.Suspending ? "wllama/compat/" : "wllama/wllama.wasm"; // the build that this browser leaves
const STORE = `tunesmith-app ${registration.scope} ${APP.version}`;

self.addEventListener("install", (event) => event.waitUntil(fill().then(() => self.skipWaiting())));
self.addEventListener("activate", (event) => event.waitUntil(tidy().then(() => self.clients.claim())));
self.addEventListener("fetch", (event) => event.respondWith(answer(event.request)));

async function fill() {
  const store = await caches.open(STORE);
  const files = APP.files.filter((file) => !file.startsWith(OTHER));
  await store.addAll(files.map((file) => new Request(file, { cache: "reload" })));
}

/** Drop what earlier versions of this page kept. */
async function tidy() {
  const own = `tunesmith-app ${registration.scope} `;
  const old = (await caches.keys()).filter((name) => name.startsWith(own) && name !== STORE);
  await Promise.all(old.map((name) => caches.delete(name)));
}

async function answer(request) {
  const kept = await (await caches.open(STORE)).match(request, { ignoreSearch: true });
  return kept ? isolated(kept) : fetch(request);
}

/** With the headers that threads need, also where the server cannot be told to send them. */
function isolated({ body, headers }) {
  const sent = new Headers(headers);
  sent.set("Cross-Origin-Opener-Policy", "same-origin");
  sent.set("Cross-Origin-Embedder-Policy", "require-corp");
  return new Response(body, { headers: sent });
}
