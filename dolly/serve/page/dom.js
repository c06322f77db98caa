// Makes elements. Text goes in as text only: nothing here reads markup.

export const byId = (id) => document.getElementById(id);

// An element with attributes (`text` is its content, `on…` a listener) and children.
export function make(tag, attributes = {}, ...children) {
  const element = document.createElement(tag);
  for (const [name, value] of Object.entries(attributes)) {
    if (name === "text") element.textContent = value;
    else if (name.startsWith("on")) element.addEventListener(name.slice(2), value);
    else if (value !== false) element.setAttribute(name, value === true ? "" : value);
  }
  element.append(...children);
  return element;
}

export function button(text, onclick, attributes = {}) {
  return make("button", { type: "button", text, onclick, ...attributes });
}

const SVG = "http://www.w3.org/2000/svg";
const THUMB = "M7 11v9H3v-9h4zm0 0 4-8c1.5 0 2.5 1 2.5 2.5V9h5.3a1.8 1.8 0 0 1 1.8 2.1l-1.2 7.3A2 2 0 0 1 17.4 20H7";

export function thumb(label, onclick, { down = false } = {}) {
  const icon = document.createElementNS(SVG, "svg");
  icon.setAttribute("viewBox", "0 0 24 24");
  icon.setAttribute("aria-hidden", "true");
  const path = document.createElementNS(SVG, "path");
  path.setAttribute("d", THUMB);
  icon.append(path);
  const made = make("button", { type: "button", class: down ? "icon down" : "icon", title: label, onclick }, icon);
  made.setAttribute("aria-label", label);
  made.setAttribute("aria-pressed", "false");
  return made;
}

// What the server or the network refused, with a button that tries it again.
export function failure(error, retry) {
  const again = button("Retry", () => {
    if (document.body.dataset.busy) return;
    again.remove();
    retry();
  });
  return make("div", { class: "error", role: "alert" }, make("p", { text: error.message, dir: "auto" }), again);
}

export function copyButton(text) {
  const made = button("Copy", async () => {
    made.textContent = (await copy(text())) ? "Copied" : "Can't copy";
    setTimeout(() => (made.textContent = "Copy"), 1500);
  });
  return made;
}

async function copy(text) {
  try {
    await navigator.clipboard.writeText(text);
    return true;
  } catch {
    return false; // no secure context, or the browser's user forbids it
  }
}
