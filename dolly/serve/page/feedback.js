// Thumbs and corrected answers of one answer; where they and votes are sent.

import { request } from "./api.js";
import { button, failure, make, thumb } from "./dom.js";
import { render } from "./markdown.js";

// Does the server store feedback? It says so in its settings.
export const stored = { on: false };

// Sends feedback and shows in `place` what became of it, with a retry if it was refused.
export async function send(feedback, place, done = () => {}) {
  place.replaceChildren(make("p", { text: "Storing…" }));
  try {
    await request("v1/feedback", { body: feedback });
  } catch (error) {
    place.replaceChildren(failure(error, () => send(feedback, place, done)));
    return;
  }
  place.replaceChildren(make("p", { text: "Stored." }));
  done();
}

// Adds the buttons to an answer that has ended; `messages` is what it answered.
export function offer(answer, messages) {
  if (!stored.on || !answer.text) return;
  const place = make("div", { class: "place", role: "status" });
  const about = { messages, answers: [answer.record] };
  const thumbs = {};
  const rate = (rating) =>
    send({ ...about, rating }, place, () => {
      for (const [name, each] of Object.entries(thumbs)) each.setAttribute("aria-pressed", String(name === rating));
    });
  thumbs.up = thumb("Good answer", () => rate("up"));
  thumbs.down = thumb("Bad answer", () => rate("down"), { down: true });
  const correct = button("Correct", () => edit(answer, about, place, correct));
  answer.actions.append(thumbs.up, thumbs.down, correct);
  answer.element.append(place);
}

function edit(answer, about, place, opener) {
  const area = make("textarea", { rows: "6", dir: "auto" });
  area.value = answer.content;
  const close = () => {
    form.remove();
    opener.disabled = false;
    opener.focus();
  };
  const save = (event) => {
    event.preventDefault();
    const correction = area.value.trim();
    if (!correction) return area.focus();
    send({ ...about, correction }, place, () => show(answer, correction));
    close();
  };
  const buttons = make(
    "div",
    { class: "actions" },
    make("button", { type: "submit", class: "main", text: "Save" }),
    button("Cancel", close),
  );
  const label = make("label", { text: "The answer as it should be" }, area);
  const form = make("form", { class: "correction", onsubmit: save }, label, buttons);
  form.addEventListener("keydown", (event) => {
    if (event.key !== "Escape") return;
    event.stopPropagation();
    close();
  });
  opener.disabled = true;
  answer.element.insertBefore(form, place);
  area.focus();
}

function show(answer, correction) {
  answer.corrected = correction;
  answer.correction ??= make("div", { class: "corrected" }, make("h3", { text: "Corrected" }), make("div", { class: "text" }));
  render(correction, answer.correction.lastChild);
  answer.body.after(answer.correction);
}
