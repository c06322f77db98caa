// Shows an answer's Markdown: code, lists, headings, bold. Links and pictures stay text, so nothing is loaded.

import { make } from "./dom.js";

const LONGEST = 200_000; // characters; a longer text is shown as it is
const FENCE = /^ {0,3}(`{3,}|~{3,})[^`]*$/;
const HEADING = /^ {0,3}#{1,6} +(.*)$/;
const BULLET = /^ {0,6}[-*+] +(.*)$/;
const NUMBER = /^ {0,6}(\d{1,9})[.)] +(.*)$/;
const INLINE = /(`[^`\n]+`|\*\*[^*\n]+\*\*)/;

// Replaces the content of `into` by the text.
export function render(text, into) {
  into.replaceChildren(...(text.length > LONGEST ? [paragraph([text])] : blocks(text.split("\n"))));
}

function blocks(lines) {
  const made = [];
  for (let at = 0; at < lines.length; ) {
    const take = starts(lines[at]);
    const [block, next] = take(lines, at);
    if (block) made.push(block);
    at = next;
  }
  return made;
}

function starts(line) {
  if (!line.trim()) return (_, at) => [null, at + 1];
  if (FENCE.test(line)) return code;
  if (HEADING.test(line)) return (lines, at) => [make("h3", { dir: "auto" }, ...inline(HEADING.exec(lines[at])[1])), at + 1];
  if (BULLET.test(line)) return (lines, at) => list(lines, at, "ul", BULLET);
  if (NUMBER.test(line)) return (lines, at) => list(lines, at, "ol", NUMBER);
  return text;
}

// Up to a fence of the same kind that is at least as long, or to the end while the answer still comes.
function code(lines, start) {
  const mark = FENCE.exec(lines[start])[1];
  let end = start + 1;
  while (end < lines.length && !isEnd(lines[end].trim(), mark)) end += 1;
  const content = make("code", { text: lines.slice(start + 1, end).join("\n") });
  return [make("pre", { tabindex: "0", dir: "ltr" }, content), end + 1];
}

const isEnd = (line, mark) => line.length >= mark.length && line === mark[0].repeat(line.length);

function list(lines, start, tag, pattern) {
  const made = make(tag);
  let at = start;
  for (; at < lines.length; at += 1) {
    const found = pattern.exec(lines[at]);
    if (found) made.append(make("li", { dir: "auto" }, ...inline(found.at(-1))));
    else if (/^ {2,}\S/.test(lines[at])) made.lastChild.append("\n", ...inline(lines[at].trim()));
    else break;
  }
  if (tag === "ol") made.start = Number(pattern.exec(lines[start])[1]);
  return [made, at];
}

function text(lines, start) {
  let end = start + 1;
  while (end < lines.length && starts(lines[end]) === text) end += 1;
  return [paragraph(inline(lines.slice(start, end).join("\n"))), end];
}

const paragraph = (children) => make("p", { dir: "auto" }, ...children);

function inline(text) {
  return text.split(INLINE).map((part, number) => {
    if (number % 2 === 0) return part;
    return part[0] === "`" ? make("code", { text: part.slice(1, -1) }) : make("strong", { text: part.slice(2, -2) });
  });
}
