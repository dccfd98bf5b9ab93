// Begins, and shows whatever the address asks for.

import { Refused, json } from "./api.js";
import { at, elsewhere, make, put, visible } from "./dom.js";
import { reflect, sizes, startForm } from "./filters.js";
import { showItem, startItem } from "./item.js";
import { startKeys } from "./keys.js";
import { hideMap, showMap } from "./map.js";
import { clear, loadMore, showResults, tell } from "./results.js";
import { showStart } from "./start.js";
import { afresh, asks, go, read, start } from "./state.js";
import { startUploads } from "./uploads.js";

let runs = [];

function show(state) {
  const some = runs.filter((run) => run.name === state.run);
  const asked = some.length ? some : runs;
  const looks = asks(state) || state.view === "all";
  const map = state.view === "map" && !looks;
  reflect(state, asked);
  title(state);
  for (const [id, here] of [["to-all", state.view === "all"], ["to-map", map]]) {
    if (here) at(id).setAttribute("aria-current", "page");
    else at(id).removeAttribute("aria-current");
  }
  at("start").hidden = looks || map;
  at("map").hidden = !map;
  document.body.classList.toggle("mapping", map);
  document.body.classList.toggle("asking", looks);
  if (looks) showResults(state, asked).then(() => showItem(read(), runs));
  else {
    clear();
    tell("");
  }
  if (map) showMap(state, asked[0], runs.length === 1);
  else hideMap();
  showItem(state, runs);
}

function title(state) {
  const name = runs.map((run) => run.name).join(" and ");
  const what = state.q || state.file || state.classes.join(", ") || (state.view === "map" ? "Map" : "");
  document.title = visible([what, `Search ${name}`, "dckt"].filter(Boolean).join(" – "));
}

async function begin() {
  tell("Loading …");
  let about;
  try {
    about = await json("/api/about");
  } catch (error) {
    if (!(error instanceof Refused)) throw error;
    tell(error.message, true);
    at("status").append(" ", make("button", { type: "button", on: { click: begin } }, "Try again"));
    return;
  }
  runs = about.runs;
  put(at("name"), runs.map((run) => run.name).join(" and "));
  put(at("about"), runs.length === 1 ? sizes(runs[0]) : runs.map((run) => `${run.name}: ${sizes(run, false)}`).join("; "));
  for (const [id, change] of [["home", {}], ["to-all", { view: "all" }], ["to-map", { view: "map" }]]) {
    at(id).addEventListener("click", (event) => {
      if (elsewhere(event)) return;
      event.preventDefault();
      go(afresh({ find: "", least: "", ...change }));
    });
  }
  at("more").addEventListener("click", loadMore);
  startForm(runs);
  startUploads(runs[0].takes, about.limits.upload);
  startItem();
  startKeys();
  showStart(runs);
  tell("");
  start(show);
}

await begin();
