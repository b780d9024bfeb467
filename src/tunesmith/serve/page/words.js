// The words of the page in the person's language; one file for each.
import { en } from "./words/en.js";
import { zh } from "./words/zh.js";

const LANGUAGES = { en, zh };
const KEY = "tunesmith.language";

/** "en" or "zh": what was chosen, else what the browser prefers. */
export function language() {
  const wanted = localStorage.getItem(KEY) ?? navigator.language;
  return wanted.toLowerCase().startsWith("zh") ? "zh" : "en";
}

export function setLanguage(value) {
  localStorage.setItem(KEY, value);
}

/** The words under `key`, with {name} replaced by its value. */
export function words(key, values = {}) {
  return LANGUAGES[language()][key].replace(/\{(\w+)\}/g, (_, name) => values[name]);
}
