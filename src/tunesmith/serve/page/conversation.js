// A conversation is {id, time, system, turns}; a turn {role, content, …}. An answer also says which model gave it.
// While two models are compared, a turn has `pair`, two such answers in the order shown, and `choice` once made.

/** A name that nothing else has. */
export function fresh() {
  return Array.from(crypto.getRandomValues(new Uint32Array(4)), (part) => part.toString(36)).join("-");
}

export function begin() {
  return { id: fresh(), time: Date.now(), system: "", turns: [] };
}

/** What a model is asked: the turns before number `end`. */
export function messages({ system, turns }, end = turns.length) {
  const said = turns.slice(0, end).map(({ role, content }) => ({ role, content }));
  return system ? [{ role: "system", content: system }, ...said] : said;
}

export function title({ turns }) {
  return turns[0]?.content.trim().slice(0, 60) ?? "";
}

/** The number of the next question: where the last one got no answer, it takes its place. */
export function next({ turns }) {
  return turns.at(-1)?.role === "user" ? turns.length - 1 : turns.length;
}

/** Whether two answers still wait for the person's choice. */
export function undecided({ turns }) {
  const last = turns.at(-1);
  return Boolean(last?.pair) && !last.choice;
}

/** The choice between two answers, which the conversation goes on with: the first where neither was preferred. */
export function decide(turn, choice) {
  turn.choice = choice;
  turn.content = turn.pair[choice === "b" ? 1 : 0].content;
}

/** The two models in an order that nobody can guess. */
export function shuffled([first, second]) {
  return crypto.getRandomValues(new Uint8Array(1))[0] % 2 ? [first, second] : [second, first];
}

/** The preference as it is kept for the statistics. */
export function rating(conversation, number) {
  const { pair, choice } = conversation.turns[number];
  const [a, b] = pair.map(({ model, content }) => ({ model, answer: content }));
  return { messages: messages(conversation, number), a, b, choice };
}
