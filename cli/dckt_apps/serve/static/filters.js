// The form: what is looked for, in which medium, class and run, and what else narrows it.

import { at, counted, make, number, percent, put, visible } from "./dom.js";
import { tell } from "./results.js";
import { afresh, go, read } from "./state.js";
import { thumbnail } from "./uploads.js";

/** What is found where nobody says: images for words, texts for a picture, of an item what it is itself. */
export function usual(state, run) {
  if (state.find) return state.find;
  const one = Object.keys(run.sizes)[0];
  if (Object.keys(run.sizes).length === 1) return one;
  if (state.like && !state.q && !state.file) return state.like.medium;
  const ofImage = state.file && (state.kind === "picture" || state.of === "image");
  return ofImage && !state.q ? "text" : "image";
}

/** Has the form say what a state looks for. */
export function reflect(state, runs) {
  const [run] = runs;
  if (document.activeElement !== at("text") || state.q) at("text").value = state.q;
  for (const one of document.getElementsByName("find")) one.checked = one.value === usual(state, run);
  for (const one of document.getElementsByName("run")) one.checked = one.value === state.run;
  at("class").value = state.classes.length === 1 ? state.classes[0] : "";
  at("least").value = state.least;
  at("csls").checked = Boolean(state.csls);
  at("expand").checked = Boolean(state.expand);
  if (state.least || state.csls || state.expand || state.kind === "features") at("more-options").open = true;
  put(at("query"), query(state));
  at("query").hidden = !at("query").children.length;
  put(at("text-label"), at("query").hidden ? "Words to look for" : "Words to look for together with it, or none");
  const chips = [
    ...state.classes.map((one) => chip(`class ${one}`, { classes: state.classes.filter((other) => other !== one) })),
    ...state.where.map((one) => chip(`${one[0]} ${one[1]}`, { where: state.where.filter((other) => other !== one) })),
    state.least && chip(`likely at least ${percent(Number(state.least))}`, { least: "" }),
  ];
  put(at("filters"), chips);
  at("filters").hidden = !at("filters").children.length;
}

/** What is looked for beside the words: a picture, features, or an item. */
function query(state) {
  if (state.like) return removable(`Like ${state.like.medium} ${state.like.id}`, null, { like: null });
  if (!state.file) return null;
  return removable(state.kind === "features" ? `Features in ${state.file}` : state.file, thumbnail(), { file: "", kind: "" });
}

function removable(text, image, change) {
  const button = make("button", { type: "button", className: "remove", aria: { label: `Do not look for ${text}` }, on: { click: () => {
    go(change);
    at("text").focus();
  } } }, "✕");
  return make("span", { className: "chip" }, image, make("span", { dir: "auto" }, text), button);
}

function chip(text, change) {
  const button = make("button", { type: "button", className: "remove", aria: { label: `Without the filter ${text}` }, on: { click: () => go(change) } }, "✕");
  return make("li", { className: "chip" }, make("span", { dir: "auto" }, text), button);
}

export function startForm(runs) {
  const [run] = runs;
  const media = Object.keys(run.sizes);
  at("media").hidden = media.length < 2;
  at("class-line").hidden = !run.classes.length;
  put(at("class"), make("option", { value: "" }, "all"), run.classes.map(({ label, image = 0, text = 0 }) =>
    make("option", { value: label }, `${label} (${number(Math.max(image, text))})`)));
  at("runs").hidden = runs.length < 2;
  const choose = (value, name) => make("label", {}, make("input", { type: "radio", name: "run", value }), ` ${visible(name)}`);
  at("runs").append(choose("", "side by side"), ...runs.map((one) => choose(one.name, one.name)));
  at("text").parentElement.hidden = !run.takes.text;
  at("text-label").hidden = !run.takes.text;
  at("by-picture").hidden = at("drop-note").hidden = !run.takes.image;

  at("form").addEventListener("submit", (event) => {
    event.preventDefault();
    const q = at("text").value.trim();
    const { like, file, kind, of } = read();
    if (q || like || file) go({ ...afresh({ q, like, file, kind, of }), classes: read().classes, where: read().where });
    else {
      at("text").focus();
      tell("Nothing was typed: say in words what to look for, or choose a picture.", true);
    }
  });
  at("media").addEventListener("change", (event) => go({ find: event.target.value }));
  at("runs").addEventListener("change", (event) => go({ run: event.target.value }));
  at("class").addEventListener("change", (event) => go({ classes: event.target.value ? [event.target.value] : [] }));
  at("least").addEventListener("change", (event) => go({ least: event.target.value }));
  for (const [id, neighbours] of [["csls", "10"], ["expand", "5"]]) {
    at(id).addEventListener("change", (event) => go({ [id]: event.target.checked ? neighbours : "" }));
  }
}

/** How much there is, for the head of the page. */
export function sizes(run, words = true) {
  const counts = Object.entries(run.sizes).map(([kind, count]) => counted(count, kind));
  const share = words && run.words?.words ? Math.floor((100 * run.words.known) / run.words.words) : null;
  return counts.join(" and ") + (share === null ? "" : `; the run knows ${share}\u00a0% of the words of the texts`);
}
