// What is asked or set in a window of its own.
import { button, el } from "./dom.js";
import { all, put, remove } from "./store.js";
import { language, setLanguage, words } from "./words.js";

const THEME = "tunesmith.theme";
const SAMPLING = "tunesmith.sampling";

/** Open a window; gives what `form` held when it was sent, or null where it was closed otherwise. */
function open(title, ...fields) {
  const form = el("form", { method: "dialog" }, el("h2", {}, title), ...fields);
  const dialog = el("dialog", { ariaLabel: title }, form);
  document.body.append(dialog);
  dialog.showModal();
  return new Promise((resolve) => {
    dialog.addEventListener("close", () => {
      dialog.remove();
      resolve(dialog.returnValue === "yes" ? new FormData(form) : null);
    });
  });
}

function field(label, input) {
  return el("label", {}, label, input);
}

function choices(name, options, chosen) {
  const made = options.map(([value, text]) => el("option", { value, selected: value === chosen }, text));
  return el("select", { name }, ...made);
}

function ends(label) {
  const yes = el("button", { className: "main", value: "yes" }, label);
  return el("div", { className: "ends" }, yes, el("button", { value: "", formNoValidate: true }, words("cancel")));
}

/** Ask for the token that the server wants; null where the person has none. */
export async function askToken() {
  const input = el("input", { name: "token", type: "password", autocomplete: "off", required: true });
  const why = el("p", {}, words("tokenWhy"));
  const given = await open(words("token"), why, field(words("token"), input), ends(words("save")));
  return given?.get("token") ?? null;
}

/** {temperature, max_tokens} of the answers; without max_tokens they may be as long as there is room. */
export function sampling() {
  return { temperature: 0.7, ...JSON.parse(localStorage.getItem(SAMPLING) ?? "{}") };
}

/** Paint the page as the person likes it. */
export function applyTheme() {
  document.documentElement.dataset.theme = localStorage.getItem(THEME) ?? "auto";
  document.documentElement.lang = language();
}

/** Language, colours and sampling; true where something was set. */
export async function askSettings() {
  const { temperature, max_tokens } = sampling();
  const number = (name, value, limits) => el("input", { name, type: "number", value, ...limits });
  const themes = ["auto", "light", "dark"].map((theme) => [theme, words(theme)]);
  const given = await open(
    words("settings"),
    field(words("language"), choices("language", [["en", "English"], ["zh", "中文"]], language())),
    field(words("theme"), choices("theme", themes, document.documentElement.dataset.theme)),
    field(words("temperature"), number("temperature", temperature, { min: 0, max: 2, step: 0.1, required: true })),
    field(words("longest"), number("longest", max_tokens ?? "", { min: 1, max: 100_000 })),
    ends(words("save")),
  );
  if (!given) return false;
  setLanguage(given.get("language"));
  localStorage.setItem(THEME, given.get("theme"));
  const chosen = { temperature: Number(given.get("temperature")), max_tokens: Number(given.get("longest")) || undefined };
  localStorage.setItem(SAMPLING, JSON.stringify(chosen));
  return true;
}

/** The saved prompts. `use(text)` makes one the system prompt, `insert(text)` puts it where questions are written. */
export async function askPrompts(system, { use, insert }) {
  const list = el("ul", { className: "prompts" });
  const end = (act) => {
    list.closest("dialog").close();
    act();
  };
  const show = async () => {
    const saved = await all("prompts");
    list.replaceChildren(...(saved.length ? saved.map(row) : [el("li", {}, words("noPrompts"))]));
  };
  const row = ({ id, text }) =>
    el(
      "li",
      {},
      el("strong", {}, id),
      el("p", {}, text),
      button(words("asSystem"), () => end(() => use(text))),
      button(words("insert"), () => end(() => insert(text))),
      button(words("delete"), () => remove("prompts", id).then(show)),
    );
  await show();
  const name = el("input", { name: "name", required: true });
  const text = el("textarea", { name: "text", rows: 4, value: system, required: true });
  const added = [el("h3", {}, words("newPrompt")), field(words("name"), name), field(words("text"), text)];
  const given = await open(words("prompts"), list, ...added, ends(words("save")));
  if (given) await put("prompts", { id: given.get("name"), text: given.get("text") });
}
