// A backend is {models(), answer(model, messages, options, signal)}; this one asks a server in OpenAI's format.
import { events } from "./sse.js";
import { words } from "./words.js";

const TOKEN = "tunesmith.token";
const FULL = /^(\d+) tokens of the prompt.* the context of (\d+)$/;

/** What the server refused, in its own words but for what every person may meet. Status 401: it wants a token. */
export class Refused extends Error {
  constructor(status, message) {
    super(message);
    this.status = status;
  }
}

export class HttpBackend {
  /** The token that the server asked for; kept as long as the tab lives. */
  get token() {
    return sessionStorage.getItem(TOKEN) ?? "";
  }

  set token(value) {
    sessionStorage.setItem(TOKEN, value);
  }

  /** [{id, context, engine, system}]: context in tokens, system whether its template takes a system prompt. */
  async models() {
    return (await this.#fetch("api/models")).json();
  }

  /**
   * The text of an answer as it comes. options: {temperature, max_tokens}. Returns {tokens}, null where unknown.
   */
  async *answer(model, messages, options, signal) {
    const asked = { model, messages, stream: true, stream_options: { include_usage: true }, ...options };
    const response = await this.#fetch("v1/chat/completions", asked, signal);
    let tokens = null;
    for await (const data of events(response.body)) {
      if (data === "[DONE]") break;
      const chunk = JSON.parse(data);
      if (chunk.error) throw new Refused(response.status, chunk.error.message);
      tokens = chunk.usage?.completion_tokens ?? tokens;
      const text = chunk.choices?.[0]?.delta?.content;
      if (text) yield text;
    }
    return { tokens };
  }

  /** Keep a preference with the server: {messages, a: {model, answer}, b: {model, answer}, choice}. */
  async rate(rating) {
    await this.#fetch("api/ratings", rating);
  }

  async #fetch(path, body, signal) {
    const headers = this.token ? { authorization: `Bearer ${this.token}` } : {};
    const sent = body && {
      method: "POST",
      headers: { ...headers, "content-type": "application/json" },
      body: JSON.stringify(body),
    };
    const response = await fetch(path, { headers, signal, ...sent });
    if (!response.ok) throw new Refused(response.status, await reason(response));
    return response;
  }
}

async function reason(response) {
  const text = await response.text();
  try {
    const { error, detail } = JSON.parse(text);
    return tooLong(error) ?? error?.message ?? (typeof detail === "string" ? detail : text);
  } catch {
    return text || `${response.status} ${response.statusText}`;
  }
}

/** That the model has no room for the conversation, as the page on the device says it; nothing of other errors. */
function tooLong(error) {
  const [, count, room] = (error?.param === "messages" && FULL.exec(error.message)) || [];
  return count && words("tooLong", { count, room });
}
