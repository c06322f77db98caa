// The chat page: a conversation with one served model, or with two side by side.

import { Answer } from "./answer.js";
import { request } from "./api.js";
import { byId, failure, make } from "./dom.js";
import { offer, stored } from "./feedback.js";
import { chosen, loadModels, showSecond, systemTurns } from "./models.js";
import { Pair } from "./pair.js";

const log = byId("log");
const question = byId("question");
const compare = byId("compare");
// Question, answer (or null) and pair (or null), in their order.
let exchanges = [];
let controller = null;

async function begin() {
  log.replaceChildren();
  try {
    const settings = await (await request("page/settings.json")).json();
    stored.on = settings.feedback;
    await loadModels(settings.max_tokens);
  } catch (error) {
    log.append(failure(error, begin));
  }
}

// What has been said so far; a question without an answer is left out.
function history() {
  return exchanges.flatMap((exchange) => {
    const answer = exchange.pair?.chosen ?? exchange.answer;
    if (!answer?.text) return [];
    return [user(exchange.question), { role: "assistant", content: answer.content }];
  });
}

const user = (content) => ({ role: "user", content });

async function submit() {
  const text = question.value.trim();
  if (!text || controller) return;
  const open = exchanges.at(-1)?.pair;
  if (open && !open.revealed) {
    say("Vote first, or skip the vote.");
    open.votes.querySelector("button")?.focus();
    return;
  }
  if (!byId("model-1").value) return begin();
  const settings = chosen(compare.checked ? 2 : 1);
  if (!settings) return;
  const messages = [...systemTurns(), ...history(), user(text)];
  const exchange = { question: text, answer: null, pair: null };
  for (const old of log.querySelectorAll(".answer > .notes button")) old.remove(); // retries of earlier answers
  byId("hint").hidden = true;
  byId("settings").open = false;
  exchanges.push(exchange);
  const heading = make("h2", { class: "unseen", text: "You" });
  append(make("article", { class: "question" }, heading, make("div", { class: "text", dir: "auto", text })));
  question.value = "";
  fit();
  await (compare.checked ? askTwo(exchange, messages, settings) : askOne(exchange, messages, settings[0]));
}

async function askOne(exchange, messages, settings) {
  const answer = new Answer(settings);
  exchange.answer = answer;
  append(answer.element);
  await run(async (signal) => {
    try {
      await answer.fill(messages, signal);
    } catch (error) {
      answer.fail(error, () => askOne(exchange, messages, settings));
    }
  });
  answer.title.title = answer.origin;
  offer(answer, messages);
}

async function askTwo(exchange, messages, settings) {
  exchange.pair = new Pair(messages, settings, run);
  append(exchange.pair.element);
  await run((signal) => exchange.pair.ask(signal));
}

// Does work that Stop and a new conversation can end.
async function run(work) {
  if (controller) return;
  const mine = (controller = new AbortController());
  busy(true);
  say("The answer is being written.");
  try {
    await work(mine.signal);
  } finally {
    if (controller === mine) {
      controller = null;
      busy(false);
      say("");
    }
  }
}

function busy(now) {
  const focused = [byId("send"), byId("stop")].includes(document.activeElement);
  byId("send").hidden = now;
  byId("stop").hidden = !now;
  if (now) document.body.dataset.busy = "true";
  else delete document.body.dataset.busy;
  if (focused) question.focus();
}

const stop = () => controller?.abort();
const say = (text) => (byId("status").textContent = text);

// Follows a conversation that grows, unless its reader has scrolled up.
let height = 0;
const toEnd = () => scrollTo(0, (height = document.body.scrollHeight));
new ResizeObserver(() => {
  if (innerHeight + scrollY >= height - 80) toEnd();
  height = document.body.scrollHeight;
}).observe(log);

function append(element) {
  log.append(element);
  toEnd();
}

function fit() {
  question.style.height = "auto";
  question.style.height = `${question.scrollHeight + 2}px`;
}

function restart() {
  stop();
  controller = null;
  busy(false);
  say("");
  exchanges = [];
  log.replaceChildren();
  byId("hint").hidden = false;
  question.focus();
  if (!byId("model-1").options.length) begin();
}

byId("composer").addEventListener("submit", (event) => {
  event.preventDefault();
  submit();
});
question.addEventListener("keydown", (event) => {
  if (event.key !== "Enter" || event.shiftKey || event.isComposing) return;
  event.preventDefault();
  submit();
});
question.addEventListener("input", fit);
addEventListener("keydown", (event) => {
  if (event.key === "Escape" && !byId("key-dialog").open) stop();
});
byId("stop").addEventListener("click", stop);
byId("new").addEventListener("click", restart);
compare.addEventListener("change", () => showSecond(compare.checked));
showSecond(compare.checked);
begin();
