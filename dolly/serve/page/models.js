// The model picker and the settings of a request.

import { request } from "./api.js";
import { byId, make } from "./dom.js";

const SIDES = ["1", "2"];

// Fills the pickers with what is served, and says how long an answer may be.
export async function loadModels(longest) {
  const { data } = await (await request("v1/models")).json();
  for (const side of SIDES) {
    const options = data.map((model) => {
      const value = `${model.id}@${model.alias}`;
      return make("option", { value, text: `${value}, version ${model.version}` });
    });
    byId(`model-${side}`).replaceChildren(...options);
    const tokens = byId(`tokens-${side}`);
    tokens.max = longest;
    tokens.value ||= longest;
  }
  if (data.length > 1) byId("model-2").selectedIndex = 1;
}

// Shows the settings of the second model, or hides them.
export function showSecond(shown) {
  for (const field of document.querySelectorAll(".second")) field.hidden = !shown;
}

// Model and settings of each side that is asked; null if one is not valid, which the browser then shows.
export function chosen(sides) {
  const fields = SIDES.slice(0, sides).flatMap((side) => [byId(`temperature-${side}`), byId(`tokens-${side}`)]);
  const wrong = fields.find((field) => !field.checkValidity());
  if (wrong) {
    byId("settings").open = true;
    wrong.reportValidity();
    return null;
  }
  return SIDES.slice(0, sides).map((side) => ({
    model: byId(`model-${side}`).value,
    temperature: byId(`temperature-${side}`).valueAsNumber,
    max_tokens: byId(`tokens-${side}`).valueAsNumber,
  }));
}

export function systemTurns() {
  const content = byId("system").value.trim();
  return content ? [{ role: "system", content }] : [];
}
