// An answer as text, by the model's own tokenizer. llama.cpp knows each token under its id in six hexadecimal digits.

const NAME = 6;
const BROKEN = "\ufffd"; // stands for bytes that are no character

/** The ids as text that llama.cpp reads as exactly these. `control`: text → id of the tokens that keep their names. */
export function named(ids, control) {
  const names = new Map(Object.entries(control).map(([text, id]) => [id, text]));
  return ids.map((id) => names.get(id) ?? id.toString(16).padStart(NAME, "0")).join("");
}

/** What llama.cpp says in, words out, as soon as they are whole characters. */
export class TextStream {
  context = []; // ids before the pending ones: a decoder treats white space at the start of a text in another way
  pending = []; // ids that do not end with a whole character
  sent = 0; // characters of the pending ones that are out
  rest = ""; // a name that is not complete

  constructor(tokenizer) {
    this.tokenizer = tokenizer;
  }

  push(text) {
    const names = this.rest + text;
    const whole = names.length - (names.length % NAME);
    this.rest = names.slice(whole);
    let fresh = "";
    for (let place = 0; place < whole; place += NAME) fresh += this.add(parseInt(names.slice(place, place + NAME), 16));
    return fresh;
  }

  add(id) {
    this.pending.push(id);
    const text = this.decode([...this.context, ...this.pending]).slice(this.decode(this.context).length);
    const stable = text.replace(/\ufffd+$/, "");
    const fresh = stable.slice(this.sent);
    this.sent = stable.length;
    if (stable === text) {
      this.context = text ? this.pending : [...this.context, ...this.pending];
      this.pending = [];
      this.sent = 0;
    }
    return fresh.replaceAll(BROKEN, "");
  }

  decode(ids) {
    const options = { skip_special_tokens: true, clean_up_tokenization_spaces: false };
    return ids.length ? this.tokenizer.decode(ids, options) : "";
  }
}
