// The chat page on the device: the model runs in this browser, by WebAssembly.
import { start } from "./app.js";
import { button, el } from "./dom.js";
import { fetchModel, isHere } from "./pieces.js";
import { Prompts } from "./prompts.js";
import { named, TextStream } from "./stream.js";
import { words } from "./words.js";
import { LoggerWithoutDebug, Wllama } from "./wllama/index.js";

const SHARE = 0.6; // of the device's memory, that one page may ask for without a word
const PLAIN = { top_k: 0, top_p: 1, min_p: 0 }; // temperature alone decides, as it does in `tunesmith serve`

class DeviceBackend {
  /** Check and load the model, telling in `place` what happens; asks before anything large is fetched. */
  async prepare(place) {
    if (!window.isSecureContext) throw new Error(words("insecure"));
    this.model = await (await fetch("model.json")).json();
    const { name, size, memory } = this.model;
    if (!(await isHere(this.model))) {
      await asked(place, words("local", { name, size: bytes(size) }), words("load", { size: bytes(size) }));
      await enoughStorage(size);
    }
    const have = (navigator.deviceMemory ?? Infinity) * 2 ** 30;
    if (memory > SHARE * have) {
      await asked(place, words("memory", { need: bytes(memory), have: bytes(have) }), words("loadAnyway"));
    }
    const bar = el("progress", { max: size, ariaLabel: name });
    const told = el("span");
    place.replaceChildren(bar, told);
    const files = await fetchModel(this.model, (done) => {
      bar.value = done;
      told.textContent = words("loading", { done: bytes(done), size: bytes(size) });
    });
    place.replaceChildren(words("starting"));
    this.engine = await run(files, this.model.context);
    const { meta } = this.engine.getModelMetadata();
    const [template, tokenizer] = [meta["tokenizer.chat_template"], JSON.parse(meta["tokenizer.huggingface.json"])];
    this.prompts = new Prompts(template, tokenizer, await (await fetch("prompts.json")).json());
  }

  /** What the person should know: where this browser does not write prompts as in training. */
  get warning() {
    const { wrong, proof } = this.prompts;
    return wrong ? words("split", { wrong, texts: proof.length }) : "";
  }

  async models() {
    const count = this.engine.isMultithread() ? this.engine.getNumThreads() : 1;
    const engine = `llama.cpp ${Wllama.getLibllamaVersion()}, ${words("threads", { count })}`;
    return [{ id: this.model.name, context: this.model.context, engine, system: this.model.system }];
  }

  async *answer(_, messages, options, signal) {
    const { context } = this.model;
    const ids = this.prompts.ids(messages);
    if (ids.length >= context) throw new Error(words("tooLong", { count: ids.length, room: context }));
    const stream = await this.engine.createCompletion({
      ...PLAIN, max_tokens: context, ...options, stream: true, abortSignal: signal,
      prompt: named(ids, this.prompts.control),
    });
    const said = new TextStream(this.prompts.tokenizer);
    let tokens = 0;
    try {
      for await (const { choices, timings } of stream) {
        const text = said.push(choices[0]?.text ?? "");
        tokens = timings?.predicted_n ?? tokens + 1;
        if (text) yield text;
      }
    } catch (error) {
      if (!signal.aborted) throw error;
    }
    return { tokens };
  }
}

/** The engine with the model in it; on threads where the page is isolated from other sites. */
async function run(files, context) {
  const cacheManager = {}; // its own, which not every browser has room for, is of no use: pieces.js keeps the model
  const quiet = { logger: LoggerWithoutDebug, suppressNativeLog: true };
  const engine = new Wllama({ default: "wllama/wllama.wasm" }, { ...quiet, cacheManager });
  const compat = { worker: new URL("wllama/compat/wllama.js", location).href, wasm: "wllama/compat/wllama.wasm" };
  engine.setCompat(compat, "firefox_safari"); // else it would ask a foreign host for it
  await engine.loadModel(files, { n_ctx: context, n_parallel: 1, n_gpu_layers: 0 });
  return engine;
}

/** Wait until the person agrees. */
function asked(place, question, yes) {
  return new Promise((resolve) => {
    place.replaceChildren(el("span", {}, question), button(yes, resolve, { kind: "main" }));
  });
}

async function enoughStorage(need) {
  const { quota = Infinity, usage = 0 } = (await navigator.storage?.estimate?.()) ?? {}; // some browsers cannot say
  if (need > quota - usage) throw new Error(words("storage", { need: bytes(need), have: bytes(quota - usage) }));
  navigator.storage?.persist?.(); // that it is not cleared away; Firefox asks the person, and loading goes on meanwhile
}

/** 5 242 880 → "5.2 MB". */
function bytes(count) {
  const [unit, name] = count >= 1e9 ? [1e9, "GB"] : [1e6, "MB"];
  return `${(count / unit).toFixed(1)} ${name}`;
}

navigator.serviceWorker?.register("sw.js");
start(new DeviceBackend());
