// Requests to the server that the page came from, and the key that they are sent with.

import { byId } from "./dom.js";

const KEY = "dolly-key";

// What was refused: `message` is for people.
export class ServerError extends Error {
  constructor(message, status = 0) {
    super(message);
    this.status = status;
  }
}

// Sends a request, with a body by POST; asks for an API key if the server wants one.
export async function request(path, { body, signal } = {}) {
  for (;;) {
    const key = sessionStorage.getItem(KEY);
    const response = await send(path, key, body, signal);
    if (response.ok) return response;
    const error = await refusal(response);
    if (response.status !== 401 || !(await anotherKey(key, error.message))) throw error;
  }
}

async function send(path, key, body, signal) {
  const headers = { Accept: "application/json" };
  if (key) headers.Authorization = `Bearer ${key}`;
  if (body) headers["Content-Type"] = "application/json";
  const method = body ? "POST" : "GET";
  try {
    return await fetch(path, { method, headers, signal, body: body && JSON.stringify(body) });
  } catch (error) {
    if (signal?.aborted) throw error;
    throw new ServerError("The server can't be reached.");
  }
}

async function refusal(response) {
  let text = response.statusText;
  try {
    text = (await response.json()).error.message;
  } catch {
    // A proxy in between: it has no message in OpenAI's format.
  }
  const wait = response.headers.get("Retry-After");
  const when = wait ? ` The server asks to wait ${wait} s.` : "";
  return new ServerError(`Error ${response.status}: ${text}.${when}`.replace("..", "."), response.status);
}

// Yields the chunks of a streamed answer, in OpenAI's format.
export async function* streamed(body, signal) {
  const response = await request("v1/chat/completions", { body: { ...body, stream: true }, signal });
  if (!response.headers.get("Content-Type")?.startsWith("text/event-stream")) {
    throw new ServerError("Something else than the server has answered.");
  }
  const reader = response.body.pipeThrough(new TextDecoderStream()).getReader();
  let rest = "";
  try {
    for (;;) {
      const { done, value } = await read(reader, signal);
      if (done) break;
      const lines = (rest + value).split("\n");
      rest = lines.pop();
      for (const line of lines) {
        if (!line.startsWith("data:")) continue;
        const data = line.slice(5).trim();
        if (data === "[DONE]") return;
        const chunk = JSON.parse(data);
        if (chunk.error) throw new ServerError(`The server ended the answer: ${chunk.error.message}`);
        yield chunk;
      }
    }
  } finally {
    reader.cancel().catch(() => {});
  }
  throw lost();
}

async function read(reader, signal) {
  try {
    return await reader.read();
  } catch (error) {
    throw signal.aborted ? error : lost();
  }
}

const lost = () => new ServerError("The connection was lost before the answer ended.");

let asking = null;

// Asks for a key, once for several requests; returns whether there is another one than the one that was refused.
async function anotherKey(refused, fault) {
  if (sessionStorage.getItem(KEY) !== refused) return true;
  asking ??= askForKey(refused ? fault : "").finally(() => (asking = null));
  return asking;
}

function askForKey(fault) {
  const dialog = byId("key-dialog");
  const input = byId("key");
  byId("key-fault").textContent = fault;
  input.value = "";
  dialog.showModal();
  return new Promise((resolve) => {
    byId("key-form").onsubmit = (event) => {
      event.preventDefault();
      const key = input.value.trim();
      const written = /^[\x21-\x7e]+$/.test(key);
      byId("key-fault").textContent = written ? "" : "A key has letters, digits and signs, no spaces.";
      if (!written) return;
      sessionStorage.setItem(KEY, key);
      input.value = "";
      resolve(true);
      dialog.close();
    };
    byId("key-cancel").onclick = () => dialog.close();
    dialog.onclose = () => resolve(false); // does nothing after a key
  });
}
