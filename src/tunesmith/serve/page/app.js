// The chat page over any backend: {models(), answer(…)}, and where it has them prepare(place), rate(rating), warning.
import * as talks from "./conversation.js";
import { applyTheme, askPrompts, askSettings, askToken, sampling } from "./dialogs.js";
import { button, eachFrame, el, save } from "./dom.js";
import { frame } from "./frame.js";
import * as store from "./store.js";
import { talk } from "./talk.js";
import { answerView, growing, pair, pairView, questionView } from "./turns.js";
import { words } from "./words.js";

/** Show the page and let it work. */
export function start(backend) {
  new Page(backend).open();
}

class Page {
  conversation = talks.begin();
  models = [];
  comparing = false;
  stopping = null; // the AbortController of what is being answered

  constructor(backend) {
    this.backend = backend;
  }

  async open() {
    applyTheme();
    this.parts = frame({
      chooseModel: () => this.showModels(),
      compare: () => this.toggleCompare(),
      setSystem: ({ target }) => this.setSystem(target.value),
      send: () => this.send(),
      stop: () => this.stopping?.abort(),
      fresh: () => this.turnTo(talks.begin()),
      prompts: () => this.prompts(),
      settings: () => this.settings(),
      backup: async () => save("tunesmith-chat.json", await store.backup()),
      restore: () => this.restore(),
    });
    await this.showHistory();
    this.show();
    await this.connect();
  }

  /** Learn which models there are; whoever must prepare them does it first. */
  async connect() {
    this.parts.send.disabled = true;
    await this.trying(async () => {
      await this.backend.prepare?.(this.parts.notice);
      this.models = await this.backend.models();
      for (const select of [this.parts.model, this.parts.second]) {
        select.replaceChildren(...this.models.map(({ id }) => el("option", { value: id }, id)));
      }
      if (this.models.length > 1) this.parts.second.selectedIndex = 1;
      this.parts.send.disabled = !this.models.length;
      this.parts.notice.textContent = this.models.length ? (this.backend.warning ?? "") : words("noModels");
      this.showModels();
      this.show();
    }, () => this.connect());
  }

  /** Do `work`; say what went wrong, with a way to do it `again`, and ask for a token where the server wants one. */
  async trying(work, again) {
    try {
      this.parts.notice.replaceChildren();
      await work();
    } catch (error) {
      if (error.status === 401) {
        const token = await askToken();
        if (token) {
          this.backend.token = token;
          return again();
        }
      }
      const retry = button(words("retry"), again);
      this.parts.notice.replaceChildren(words("wrong", { error: error.message || String(error) }), retry);
    }
  }

  showModels() {
    const { model, second, compare, box } = this.parts;
    compare.hidden = this.models.length < 2;
    compare.setAttribute("aria-pressed", this.comparing);
    second.hidden = !this.comparing;
    const chosen = this.models.find(({ id }) => id === model.value);
    box.hidden = chosen?.system === false;
    model.title = chosen ? `${chosen.engine} · ${words("context", chosen)}` : "";
  }

  toggleCompare() {
    this.comparing = !this.comparing;
    this.showModels();
  }

  setSystem(text) {
    this.conversation.system = text;
    this.parts.system.value = text;
  }

  async settings() {
    if (await askSettings()) location.reload(); // words stand in many places; the conversation is kept
  }

  prompts() {
    const insert = (text) => {
      this.parts.field.value = text;
      this.parts.field.focus();
    };
    const use = (text) => {
      this.setSystem(text);
      this.parts.box.open = true;
    };
    return askPrompts(this.conversation.system, { use, insert });
  }

  async restore() {
    const file = el("input", { type: "file", accept: ".json,application/json" });
    file.onchange = async () => {
      try {
        const count = await store.restore(await file.files[0].text());
        this.parts.notice.textContent = words("restored", { count });
        await this.showHistory();
      } catch {
        this.parts.notice.textContent = words("noBackup");
      }
    };
    document.body.append(file); // a browser may forget an input that is nowhere
    file.hidden = true;
    file.click();
  }

  // Conversations

  async showHistory() {
    const kept = (await store.all("conversations")).sort((one, other) => other.time - one.time);
    const entry = (conversation) =>
      el(
        "li",
        { className: conversation.id === this.conversation.id ? "current" : "" },
        button(talks.title(conversation), () => this.turnTo(conversation), { kind: "entry" }),
        button(words("delete"), () => this.forget(conversation), { sign: "✕" }),
      );
    this.parts.list.replaceChildren(...kept.map(entry));
    const last = kept[0];
    if (last && !this.conversation.turns.length && !this.opened) this.conversation = last;
    this.opened = true;
  }

  turnTo(conversation) {
    this.stopping?.abort();
    this.conversation = conversation;
    this.parts.toggle(false);
    this.parts.notice.replaceChildren();
    this.show();
    this.showHistory();
    this.parts.field.focus();
  }

  async forget({ id }) {
    await store.remove("conversations", id);
    if (id === this.conversation.id) this.turnTo(talks.begin());
    else await this.showHistory();
  }

  async keep(conversation, write = store.put) {
    conversation.time = Date.now();
    await write("conversations", conversation);
    await this.showHistory();
  }

  show() {
    const { log, system, box, send } = this.parts;
    system.value = this.conversation.system;
    box.open = Boolean(this.conversation.system) && !this.conversation.turns.length;
    const views = this.conversation.turns.map((turn, number) => this.view(turn, number));
    log.replaceChildren(...(views.length ? views : [el("p", { className: "welcome" }, words("welcome"))]));
    log.scrollTop = log.scrollHeight;
    send.disabled = !this.models.length || talks.undecided(this.conversation);
  }

  view(turn, number) {
    const again = () => this.answer(number);
    if (turn.role === "user") return questionView(turn, (content) => this.ask(content, number));
    return turn.pair ? pairView(turn, (choice) => this.prefer(number, choice), again) : answerView(turn, again);
  }

  // Questions and answers

  send() {
    const { field, send } = this.parts;
    const content = field.value.trim();
    if (!content || this.stopping || send.disabled) return;
    field.value = "";
    this.ask(content, talks.next(this.conversation));
  }

  /** Ask as turn `number`; what came after it is gone. */
  ask(content, number) {
    const { turns } = this.conversation;
    turns.splice(number, turns.length, { role: "user", content });
    return this.answer(number + 1);
  }

  /** Have turn `number` answered, by one model or by two. */
  async answer(number) {
    if (this.stopping || !this.models.length) return;
    await this.trying(() => this.answerNow(number), () => this.answer(number));
  }

  async answerNow(number) {
    const { conversation, comparing, parts } = this;
    const stopping = new AbortController();
    this.stopping = stopping;
    conversation.turns.splice(number);
    document.body.classList.add("busy");
    this.show();
    try {
      await this.keep(conversation);
      const asked = [parts.model.value, parts.second.value];
      const answered = comparing ? this.answerTwice(asked, stopping) : this.answerOnce(asked[0], stopping);
      conversation.turns[number] = await answered;
      await this.keep(conversation, store.renew);
    } finally {
      this.stopping = null;
      document.body.classList.remove("busy");
      if (conversation === this.conversation) this.show();
    }
  }

  async answerOnce(model, stopping) {
    const view = growing(model);
    this.parts.log.append(view.element);
    return { role: "assistant", ...(await this.stream(model, view, stopping)) };
  }

  async answerTwice(models, stopping) {
    const order = talks.shuffled(models);
    const views = ["A", "B"].map((side) => growing(words("side", { side })));
    this.parts.log.append(pair(views.map(({ element }) => element)));
    const both = order.map((model, side) => this.stream(model, views[side], stopping));
    for (const one of both) one.catch(() => stopping.abort()); // a comparison needs both: the other is not left running
    await Promise.allSettled(both);
    return { role: "assistant", content: "", choice: "", pair: await Promise.all(both) };
  }

  stream(model, view, { signal }) {
    const { log } = this.parts;
    let text = "";
    const paint = eachFrame(() => {
      const below = log.scrollHeight - log.scrollTop - log.clientHeight < 80;
      view.show(text);
      if (below) log.scrollTop = log.scrollHeight;
    });
    const show = (content) => {
      text = content;
      paint();
    };
    return talk(this.backend, model, talks.messages(this.conversation), sampling(), signal, show);
  }

  /** Keep the choice here and, where the backend takes ratings, there. */
  async prefer(number, choice) {
    const { conversation } = this;
    talks.decide(conversation.turns[number], choice);
    const rating = talks.rating(conversation, number);
    await store.put("ratings", { id: talks.fresh(), ...rating });
    await this.keep(conversation, store.renew);
    this.show();
    const rate = () => this.trying(() => this.backend.rate?.(rating), rate);
    await rate();
  }
}
