// What a person wrote stays words, also where it reads like a control token.

const GUARD = "\ue000"; // a private-use character, put inside the text of a control token

/** The text without any of the control tokens. */
export function guarded(text, control) {
  return control.reduce((safe, token) => safe.replaceAll(token, token[0] + GUARD + token.slice(1)), text);
}
