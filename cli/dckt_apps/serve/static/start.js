// The start page: what there is, queries to try, and the classes with examples.

import { at, counted, elsewhere, make, number, put } from "./dom.js";
import { address, afresh, go } from "./state.js";

const MOST = 60;

/** A link within the page that begins something new. */
export function begins(change, properties, ...children) {
  return make("a", {
    ...properties, href: address(afresh(change)),
    on: { click: (event) => {
      if (elsewhere(event)) return;
      event.preventDefault();
      go(afresh(change));
    } },
  }, ...children);
}

export function showStart(runs) {
  const [run] = runs;
  put(at("try"), run.queries.map((text) => make("li", {}, begins({ q: text }, { className: "chip", dir: "auto" }, text))));
  at("try-title").hidden = !run.queries.length;
  const classes = merged(runs);
  const some = classes.slice(0, MOST);
  put(at("classes"), some.map(entry));
  at("classes-title").hidden = !classes.length;
  at("all-classes").hidden = classes.length <= MOST;
  put(at("all-classes"), `All ${number(classes.length)} classes`);
  at("all-classes").onclick = () => {
    put(at("classes"), classes.map(entry));
    at("all-classes").hidden = true;
    at("classes").children[MOST].querySelector("a").focus();
  };
  const total = Object.values(run.sizes).reduce((sum, count) => sum + count, 0);
  at("empty").hidden = total > 0;
}

/** The classes of all runs, those of the first first. */
function merged(runs) {
  const found = new Map();
  for (const run of runs) for (const one of run.classes) if (!found.has(one.label)) found.set(one.label, one);
  return [...found.values()];
}

function entry({ label, image, text, examples }) {
  const counts = [image && counted(image, "image"), text && counted(text, "text")].filter(Boolean).join(", ");
  const strip = make("span", { className: "strip" }, examples.map((src) => make("img", {
    src, alt: "", loading: "lazy", decoding: "async", on: { error: (event) => event.target.remove() },
  })));
  return make("li", {}, begins({ classes: [label] }, { className: "class" },
    examples.length ? strip : null,
    make("span", { className: "label", dir: "auto" }, label),
    make("span", { className: "note" }, counts)));
}
