// Markdown → elements. Nothing is ever parsed as HTML, no address is fetched, and a link is http(s) or stays text.
import { copyButton, el } from "./dom.js";
import { words } from "./words.js";

// What begins a block. Where two repetitions meet, a character fits only one: a long line takes linear time.
const FENCE = /^ {0,3}(`{3,}|~{3,}(?!~))([^`]*)$/;
const LANGUAGE = /^\s*([\w+#.-]*)/;
const HEADING = /^ {0,3}(#{1,6}) (.*)$/;
const ITEM = /^(\s*)([-*+]|\d{1,9}[.)])\s+(?!\s)(.*)$/;
const QUOTE = /^ {0,3}> ?(.*)$/;
const RULE = /^ {0,3}([-*_])(?:\s*\1){2,}\s*$/;
const DASHES = /^:?-+:?$/;
const ADDRESS = /https?:\/\/[^\s<>"'`]+[^\s<>"'`.,;:!?)\]，。；：！？）】]/;
const INLINE = new RegExp(
  [
    /(`+)(.+?)\1/, // code
    /\*\*(?=\S)(.+?)\*\*/, // strong
    /\*(?=[^\s*])(.+?)\*/, // emphasis
    /~~(?=\S)(.+?)~~/, // struck out
    /\[([^\]\n]+)\]\(([^()\s]+)\)/, // link
    `(${ADDRESS.source})`,
  ]
    .map((part) => part.source ?? part)
    .join("|"),
);

const DEEPEST = 8; // quotes and lists within one another; what is deeper stays text
const LONGEST = 20_000; // characters of a run in which marks are looked for

/** The elements that `text` describes. */
export function markdown(text, depth = 0) {
  const made = document.createDocumentFragment();
  if (depth > DEEPEST) made.append(text);
  const lines = depth > DEEPEST ? [] : text.replaceAll("\r\n", "\n").split("\n");
  for (let at = 0; at < lines.length; ) at = block(made, lines, at, depth + 1);
  return made;
}

/** Append the block that begins at line `at`; gives the line after it. */
function block(made, lines, at, depth) {
  const line = lines[at];
  if (!line.trim()) return at + 1;
  if (FENCE.test(line)) return fence(made, lines, at);
  if (RULE.test(line)) return rule(made, at);
  if (HEADING.test(line)) return heading(made, line, at);
  if (QUOTE.test(line)) return quote(made, lines, at, depth);
  if (ITEM.test(line)) return list(made, lines, at, depth);
  if (line.includes("|") && border(lines[at + 1] ?? "")) return table(made, lines, at);
  return paragraph(made, lines, at);
}

function rule(made, at) {
  made.append(el("hr"));
  return at + 1;
}

/** The page has headings of its own above those of an answer. */
function heading(made, line, at) {
  const [, marks, text] = HEADING.exec(line);
  made.append(el(`h${Math.min(marks.length + 2, 6)}`, {}, ...inline(text.trim())));
  return at + 1;
}

function fence(made, lines, at) {
  const [, mark, told] = FENCE.exec(lines[at]);
  const [, language] = LANGUAGE.exec(told);
  let end = at + 1;
  while (end < lines.length && !closes(lines[end].trim(), mark)) end++;
  made.append(code(lines.slice(at + 1, end).join("\n"), language));
  return end + 1;
}

function closes(line, mark) {
  return line.startsWith(mark) && line === mark[0].repeat(line.length);
}

function code(text, language) {
  const copy = copyButton(words("copy"), words("copied"), () => text);
  const head = el("figcaption", {}, el("span", {}, language), copy);
  return el("figure", { className: "code" }, head, el("pre", { tabIndex: 0 }, el("code", {}, text)));
}

function quote(made, lines, at, depth) {
  const inner = [];
  for (; at < lines.length && QUOTE.test(lines[at]); at++) inner.push(QUOTE.exec(lines[at])[1]);
  made.append(el("blockquote", {}, markdown(inner.join("\n"), depth)));
  return at;
}

/** A list ends at a line that is neither an item nor indented; what is indented belongs to the item before. */
function list(made, lines, at, depth) {
  const [, indent, mark] = ITEM.exec(lines[at]);
  const ordered = /\d/.test(mark);
  const inner = " ".repeat(indent.length + 2);
  const items = [];
  for (; at < lines.length; at++) {
    const item = ITEM.exec(lines[at]);
    if (item && item[1].length <= indent.length) {
      if (/\d/.test(item[2]) !== ordered || item[1].length < indent.length) break;
      items.push([item[3]]);
    } else if (lines[at].startsWith(inner)) items.at(-1).push(lines[at].slice(inner.length));
    else if (!lines[at].trim() && ITEM.test(lines[at + 1] ?? "")) items.at(-1).push("");
    else break;
  }
  const start = ordered ? { start: parseInt(mark, 10) } : {};
  made.append(el(ordered ? "ol" : "ul", start, ...items.map((item) => el("li", {}, ...tight(item, depth)))));
  return at;
}

/** An item's first line stands without a paragraph of its own. */
function tight([first, ...rest], depth) {
  return [...inline(first), ...(rest.length ? [markdown(rest.join("\n"), depth)] : [])];
}

function table(made, lines, at) {
  const row = (line, tag) => el("tr", {}, ...cells(line).map((cell) => el(tag, {}, ...inline(cell))));
  const head = el("thead", {}, row(lines[at], "th"));
  const body = el("tbody");
  for (at += 2; at < lines.length && lines[at].includes("|"); at++) body.append(row(lines[at], "td"));
  made.append(el("div", { className: "table", tabIndex: 0 }, el("table", {}, head, body)));
  return at;
}

/** Whether a line stands between the head of a table and its rows. */
function border(line) {
  return cells(line).every((cell) => DASHES.test(cell));
}

function cells(line) {
  return line.trim().replace(/^\||\|$/g, "").split("|").map((cell) => cell.trim());
}

function paragraph(made, lines, at) {
  const found = [lines[at++]];
  const other = (line) => !line.trim() || [FENCE, HEADING, QUOTE, ITEM, RULE].some((start) => start.test(line));
  while (at < lines.length && !other(lines[at])) found.push(lines[at++]);
  made.append(el("p", {}, ...inline(found.join("\n"))));
  return at;
}

/** Nodes for one run of text. */
function inline(text) {
  if (text.length > LONGEST) return [text];
  const nodes = [];
  for (let found; (found = INLINE.exec(text)); text = text.slice(found.index + found[0].length)) {
    if (found.index) nodes.push(text.slice(0, found.index));
    nodes.push(mark(found));
  }
  return text ? [...nodes, text] : nodes;
}

function mark([whole, , coded, strong, emphasis, struck, label, target, address]) {
  if (coded !== undefined) return el("code", {}, coded);
  if (strong !== undefined) return el("strong", {}, ...inline(strong));
  if (emphasis !== undefined) return el("em", {}, ...inline(emphasis));
  if (struck !== undefined) return el("del", {}, ...inline(struck));
  return link(label ?? address, target ?? address) ?? whole;
}

/** A link to another site, or nothing where the address is of another kind. */
function link(label, target) {
  if (!/^https?:\/\//i.test(target) || !URL.canParse(target)) return null;
  return el("a", { href: target, target: "_blank", rel: "noopener noreferrer nofollow" }, label);
}
