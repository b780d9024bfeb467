// How turns look, and what can be done with each.
import { button, copyButton, el } from "./dom.js";
import { markdown } from "./markdown.js";
import { words } from "./words.js";

/** A question, with ways to copy it and to ask it otherwise. */
export function questionView(turn, ask) {
  const text = el("div", { className: "text plain" }, turn.content);
  const view = el("article", { className: "turn user", ariaLabel: words("you") }, text);
  const cancel = () => view.replaceWith(questionView(turn, ask));
  const change = () => view.replaceChildren(editor(turn.content, ask, cancel));
  const edit = button(words("edit"), change, { kind: "change" });
  view.append(el("div", { className: "acts" }, copying(turn), edit));
  return view;
}

function editor(content, ask, cancel) {
  const field = el("textarea", { value: content, ariaLabel: words("edit"), rows: 3 });
  const send = el("button", { className: "main" }, words("send"));
  const form = el("form", { className: "editor" }, field, send, button(words("cancel"), cancel));
  form.addEventListener("submit", (event) => {
    event.preventDefault();
    if (field.value.trim()) ask(field.value);
  });
  requestAnimationFrame(() => field.focus());
  return form;
}

/** An answer, with ways to copy it and to have it given again. */
export function answerView(turn, retry) {
  const view = growing(turn.model);
  view.show(turn.content);
  view.finish(turn);
  view.acts.append(copying(turn), button(words("retry"), retry, { kind: "change" }));
  return view.element;
}

/** An answer that is still being given: {element, acts, show(text), finish(answer)}. */
export function growing(name) {
  const text = el("div", { className: "text" });
  const note = el("span", { className: "note" });
  const acts = el("div", { className: "acts" });
  const element = el("article", { className: "turn assistant", ariaBusy: "true" }, el("header", {}, name), text, acts);
  const finish = (answer) => {
    element.ariaBusy = "false";
    note.textContent = [answer.ended && words(answer.ended), speed(answer)].filter(Boolean).join(" · ");
    acts.append(note);
  };
  return { element, acts, show: (content) => text.replaceChildren(markdown(content)), finish };
}

function speed({ tokens, speed }) {
  return speed ? words("speed", { tokens, speed: speed.toFixed(1) }) : "";
}

/** Two answers whose models stay unknown until one is preferred. `choose` is told "a", "b", "tie" or "both_bad". */
export function pairView(turn, choose, retry) {
  const sides = turn.pair.map((answer, side) => {
    const view = growing(turn.choice ? answer.model : words("side", { side: "AB"[side] }));
    view.show(answer.content);
    view.finish(turn.choice ? answer : { ...answer, speed: null }); // how fast one is would tell which it is
    view.acts.append(copying(answer));
    view.element.classList.toggle("chosen", turn.choice === "ab"[side]);
    return view.element;
  });
  const ways = ["a", "b", "tie", "both_bad"].map((choice) => button(words(choice), () => choose(choice)));
  const chosen = () => el("span", {}, words("chose", { choice: words(turn.choice) }));
  const below = turn.choice
    ? [chosen(), button(words("retry"), retry, { kind: "change" })]
    : [el("span", {}, words("which")), ...ways];
  return pair(sides, el("div", { className: "vote", role: "group", ariaLabel: words("which") }, ...below));
}

/** Two answers side by side. */
export function pair(sides, ...below) {
  return el("section", { className: "pair" }, ...sides, ...below);
}

function copying(turn) {
  return copyButton(words("copy"), words("copied"), () => turn.content);
}
