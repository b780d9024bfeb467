// The parts of the page that are always there.
import { button, el } from "./dom.js";
import { words } from "./words.js";

/** Build the page; `acts` are what its buttons do. */
export function frame(acts) {
  const log = el("div", { id: "log", role: "log", ariaLabel: words("conversation"), tabIndex: 0 });
  const notice = el("div", { id: "notice", role: "alert" });
  const model = el("select", { ariaLabel: words("model"), onchange: acts.chooseModel });
  const second = el("select", { ariaLabel: words("second"), onchange: acts.chooseModel });
  const compare = button(words("compare"), acts.compare, { kind: "compare" });
  const menu = button(words("menu"), () => toggle(), { sign: "☰", kind: "menu" });
  const top = el("header", { id: "top" }, menu, model, second, compare);
  const system = el("textarea", { rows: 3, ariaLabel: words("system"), oninput: acts.setSystem });
  const box = el("details", { id: "system" }, el("summary", {}, words("system")), system);
  const composer = makeComposer(acts);
  const main = el("main", {}, top, box, log, notice, composer.form);
  const list = el("ul", { id: "history" });
  const side = makeSide(list, acts);
  const shade = el("div", { id: "shade", onclick: () => toggle(false) });
  const toggle = (open) => menu.setAttribute("aria-expanded", document.body.classList.toggle("open", open));
  document.body.replaceChildren(side, shade, main);
  document.body.addEventListener("keydown", ({ key }) => key === "Escape" && toggle(false));
  return { log, notice, model, second, compare, system, box, list, toggle, ...composer };
}

function makeSide(list, acts) {
  const below = [
    button(words("prompts"), acts.prompts),
    button(words("import"), acts.restore),
    button(words("export"), acts.backup),
    button(words("settings"), acts.settings),
  ];
  const fresh = button(words("fresh"), acts.fresh, { kind: "main" });
  const last = el("div", { className: "below" }, ...below);
  return el("nav", { id: "side", ariaLabel: words("history") }, fresh, list, last);
}

/** Where questions are written. Enter sends, unless it ends a word in an input method. */
function makeComposer(acts) {
  const field = el("textarea", { id: "ask", rows: 1, placeholder: words("ask"), ariaLabel: words("ask") });
  const send = el("button", { className: "main send" }, words("send"));
  const stop = button(words("stop"), acts.stop, { kind: "main stop" });
  const form = el("form", { id: "composer" }, field, send, stop);
  field.addEventListener("keydown", (event) => {
    if (event.key === "Escape") acts.stop();
    if (event.key !== "Enter" || event.shiftKey || event.isComposing) return;
    event.preventDefault();
    form.requestSubmit();
  });
  form.addEventListener("submit", (event) => {
    event.preventDefault();
    acts.send();
  });
  return { form, field, send, stop };
}
