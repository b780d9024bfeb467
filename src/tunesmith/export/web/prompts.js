// A conversation as the ids that the model was trained to read: written by its template, split by its tokenizer.
import { clock } from "./clock.js";
import { Template } from "./huggingface/jinja.js";
import { Tokenizer } from "./huggingface/tokenizers.js";

const GUARD = "\ue000"; // a private-use character, put inside a control token that a person wrote: it stays words
const [MARK, HELD] = ["\ufeff", "\ue001"]; // a byte order mark, which JavaScript's trim takes away
const WITH_CLOCK = '{% set strftime_now = clock %}{{ "" }}'; // the library's own speaks the browser's language

export class Prompts {
  /**
   * `template` and `tokenizer` as the GGUF holds them; the rest as the export wrote it into prompts.json.
   * control: text → id; proof: conversations with their ids, written while the clock returned the form it was given.
   */
  constructor(template, tokenizer, { context, parts, control, proof }) {
    Object.assign(this, { context, parts, proof });
    this.control = Object.assign(Object.create(null), control);
    this.template = new Template(WITH_CLOCK + template);
    this.tokenizer = new Tokenizer(tokenizer, {});
    const plain = tokenizer.added_tokens.filter(({ special }) => !special);
    this.wordsAlone = new Tokenizer({ ...tokenizer, added_tokens: plain }, {});
    this.tokens = Object.keys(control).sort((one, other) => other.length - one.length);
    this.border = new RegExp(`(${this.tokens.map((token) => token.replace(/[.*+?^${}()|[\]\\]/g, "\\$&")).join("|")})`);
  }

  /** Ids of a conversation up to where the next answer begins. */
  ids(messages, now = clock) {
    const safe = messages.map(({ role, content }) => ({ role, content: this.content(content) }));
    const given = { ...this.context, clock: now, messages: safe, add_generation_prompt: true };
    const text = this.template.render(given).replaceAll(HELD, MARK);
    if (!text.includes(GUARD)) return split(this.tokenizer, text);
    return text.split(this.border).flatMap((part) => {
      return this.control[part] ?? split(this.wordsAlone, part.replaceAll(GUARD, ""));
    });
  }

  content(text) {
    const held = text.replaceAll(MARK, HELD);
    const safe = this.tokens.reduce((kept, token) => kept.replaceAll(token, token[0] + GUARD + token.slice(1)), held);
    return this.parts ? [{ type: "text", text: safe }] : safe;
  }

  /** How many of the conversations that prove it this browser writes otherwise than in training. */
  get wrong() {
    return this.proof.filter(([messages, ids]) => String(this.ids(messages, (form) => form)) !== String(ids)).length;
  }
}

function split(tokenizer, text) {
  return text ? tokenizer.encode(text, { add_special_tokens: false }).ids : [];
}
