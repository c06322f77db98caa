// One answer of a model: its text as it comes, what ended it, and what can be done with it.

import { streamed } from "./api.js";
import { copyButton, failure, make } from "./dom.js";
import { render } from "./markdown.js";

const BETWEEN = 80; // ms between two drawings of a text that still comes
const ENDINGS = {
  length: "Cut: it has as many tokens as Settings allow.",
  content_filter: "Ended by a filter of the server.",
};

export class Answer {
  #drawing = 0;
  #took = 0;

  // `title`: the heading; empty for the model's name. `settings`: model, temperature and max_tokens.
  constructor(settings, title = settings.model) {
    this.settings = settings;
    this.text = this.response = this.version = "";
    this.corrected = null;
    this.failed = false;
    this.title = make("h2", { text: title });
    this.body = make("div", { class: "text" });
    this.notes = make("div", { class: "notes" });
    this.actions = make("div", { class: "actions" });
    this.element = make("article", { class: "answer" }, this.title, this.body, this.notes, this.actions);
  }

  // What the conversation goes on with.
  get content() {
    return this.corrected ?? this.text;
  }

  // The answer as the server stores it with feedback.
  get record() {
    const { response, version, text, settings } = this;
    return { response, version, text, ...settings };
  }

  // Model, version and settings, for people.
  get origin() {
    const { model, temperature, max_tokens } = this.settings;
    return `${model}, version ${this.version || "unknown"}, temperature ${temperature}, ${max_tokens} tokens at most`;
  }

  // Asks the model and shows its answer. Throws what the server refused; a stop is no fault.
  async fill(messages, signal) {
    this.failed = false;
    this.element.setAttribute("aria-busy", "true");
    try {
      for await (const chunk of streamed({ messages, ...this.settings }, signal)) this.#take(chunk);
    } catch (error) {
      if (!signal.aborted) throw error;
      this.note("Stopped.");
    } finally {
      this.#draw();
      this.element.removeAttribute("aria-busy");
      if (this.text) this.actions.append(copyButton(() => this.content));
    }
  }

  note(text) {
    this.notes.append(make("p", { text }));
  }

  // Shows why the answer failed; what has come of it stays.
  fail(error, retry) {
    this.failed = true;
    this.notes.append(failure(error, retry));
  }

  #take(chunk) {
    this.response = chunk.id;
    this.version = /^version (.*), [^,]*$/.exec(chunk.system_fingerprint)?.[1] ?? "";
    const choice = chunk.choices[0];
    this.text += choice?.delta.content ?? "";
    if (ENDINGS[choice?.finish_reason]) this.note(ENDINGS[choice.finish_reason]);
    this.#drawing ||= setTimeout(() => this.#draw(), Math.max(BETWEEN, 10 * this.#took));
  }

  #draw() {
    clearTimeout(this.#drawing);
    this.#drawing = 0;
    const started = performance.now();
    render(this.text, this.body);
    this.#took = performance.now() - started;
  }
}
