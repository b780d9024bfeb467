// Elements without markup: what is text stays text, whatever a model wrote.

/** An element; properties beginning with "on" are listeners, those that are no property of it attributes. */
export function el(tag, properties = {}, ...children) {
  const element = document.createElement(tag);
  for (const [name, value] of Object.entries(properties)) {
    if (name.startsWith("on")) element.addEventListener(name.slice(2), value);
    else if (name in element) element[name] = value;
    else element.setAttribute(name, value);
  }
  element.append(...children);
  return element;
}

/** A button that shows `text`, or `sign` with `text` as its name for those who cannot see it. */
export function button(text, onclick, { sign = "", kind = "" } = {}) {
  const named = sign ? { "aria-label": text, title: text } : {};
  return el("button", { type: "button", className: kind, onclick, ...named }, sign || text);
}

/** `make` at most once a frame, and once more after the last call. */
export function eachFrame(make) {
  let asked = false;
  return () => {
    if (asked) return;
    asked = true;
    requestAnimationFrame(() => {
      asked = false;
      make();
    });
  };
}

/** Let the person save `text` as a file. */
export function save(name, text) {
  const url = URL.createObjectURL(new Blob([text], { type: "application/json" }));
  el("a", { href: url, download: name }).click();
  setTimeout(() => URL.revokeObjectURL(url), 10_000);
}

/** Put `text` on the clipboard; browsers offer it to pages from https or this machine only, hence the old way. */
export async function copy(text) {
  if (navigator.clipboard) return navigator.clipboard.writeText(text);
  const held = el("textarea", { value: text });
  document.body.append(held);
  held.select();
  document.execCommand("copy");
  held.remove();
}

/** A button that copies what `text()` gives, and says so. */
export function copyButton(label, done, text) {
  const made = button(label, async () => {
    await copy(text());
    made.textContent = done;
    setTimeout(() => (made.textContent = label), 1500);
  });
  return made;
}
