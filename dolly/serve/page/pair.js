// Two answers to one question, side by side and blind: the names are shown after the vote.

import { Answer } from "./answer.js";
import { button, make } from "./dom.js";
import { offer, send, stored } from "./feedback.js";

const VOTES = { a: "A is better", b: "B is better", tie: "Tie", neither: "Both are bad" };

export class Pair {
  #choice = 0;
  #continue = [];

  // `run` calls a function with a signal that Stop aborts.
  constructor(messages, settings, run) {
    const order = crypto.getRandomValues(new Uint8Array(1))[0] % 2 ? [0, 1] : [1, 0];
    this.messages = messages;
    this.run = run;
    this.revealed = false;
    this.answers = order.map((side, at) => new Answer(settings[side], "AB"[at]));
    this.votes = make("div", { class: "votes", role: "group", "aria-label": "Vote", hidden: true });
    this.place = make("div", { class: "place", role: "status" });
    const columns = make("div", { class: "columns" }, ...this.answers.map((answer) => answer.element));
    this.element = make("section", { class: "pair", "aria-label": "Two answers" }, columns, this.votes, this.place);
  }

  // The answer that the conversation goes on with.
  get chosen() {
    const answer = this.answers[this.#choice];
    return answer.text ? answer : this.answers[1 - this.#choice];
  }

  async ask(signal) {
    await Promise.all(this.answers.map((answer) => this.#fill(answer, signal)));
    this.#offerVotes();
  }

  async #fill(answer, signal) {
    try {
      await answer.fill(this.messages, signal);
    } catch (error) {
      answer.fail(error, () => this.run((again) => this.#again(answer, again)));
    }
  }

  async #again(answer, signal) {
    answer.text = "";
    answer.actions.replaceChildren();
    answer.notes.replaceChildren();
    this.votes.hidden = true;
    await this.#fill(answer, signal);
    this.#offerVotes();
  }

  #offerVotes() {
    const both = this.answers.every((answer) => answer.text && !answer.failed);
    const vote = (name) => button(VOTES[name], () => this.#vote(name));
    const buttons = both ? Object.keys(VOTES).map(vote) : [];
    buttons.push(button("Skip, show the models", () => this.#reveal()));
    this.votes.replaceChildren(make("p", { text: both ? "Which answer is better?" : "No vote: an answer has failed." }), ...buttons);
    this.votes.hidden = false;
  }

  #vote(vote) {
    this.#choice = vote === "b" ? 1 : 0;
    this.#reveal();
    const answers = this.answers.map((answer) => answer.record);
    if (stored.on) send({ messages: this.messages, answers, vote }, this.place);
    this.votes.firstChild.textContent = `Your vote: ${VOTES[vote]}.`;
  }

  #reveal() {
    this.revealed = true;
    for (const retry of this.element.querySelectorAll(".answer > .notes button")) retry.remove();
    for (const [at, answer] of this.answers.entries()) {
      answer.title.textContent = `${"AB"[at]}: ${answer.origin}`;
      offer(answer, this.messages);
    }
    const text = make("p", { text: "The models are shown." });
    this.#continue = this.answers.map((_, at) => button(`Continue with ${"AB"[at]}`, () => this.#choose(at)));
    this.votes.replaceChildren(text, ...this.#continue);
    this.votes.setAttribute("aria-label", "Continue with");
    this.#choose(this.answers.indexOf(this.chosen));
    this.#continue[this.#choice].focus();
  }

  #choose(at) {
    this.#choice = at;
    this.#continue.forEach((each, number) => {
      each.setAttribute("aria-pressed", String(number === at));
      each.disabled = !this.answers[number].text;
    });
  }
}
