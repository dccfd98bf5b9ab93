// The map of the common space, with its legend and, as a list, what lies in its middle.

import { Refused, ask, json } from "./api.js";
import { Points } from "./canvas.js";
import { card } from "./card.js";
import { at, counted, make, number, percent, put } from "./dom.js";
import { tell } from "./results.js";
import { go, note, read } from "./state.js";

const STEPS = 65535;
const LISTED = 8;
const NAMED = 24; // classes of the legend, until all are asked for
const STEP = 60; // pixels that an arrow moves

let points = null;
let mapped = ""; // the run whose map it is
let run = null;
let about = null;
let open = false;

export function hideMap() {
  open = false;
}

export async function showMap(state, wanted, alone) {
  run = wanted;
  open = true;
  if (mapped === run.name) {
    if (points) settle(state.at);
    return;
  }
  mapped = run.name;
  tell("Drawing the map …");
  try {
    about = await json("/api/map", { run: run.name });
    const values = new Uint16Array(await (await ask("/api/map/points", { run: run.name })).arrayBuffer());
    if (mapped !== wanted.name) return;
    const count = about.images + about.texts;
    const [across, up, classes] = [0, 1, 2].map((part) => values.subarray(part * count, (part + 1) * count));
    points ??= watched();
    points.set({ across, up, classes, images: about.images, side: STEPS, marked: -1, only: -1 }, colours());
    tell("");
    describe(alone);
    legend(NAMED);
    settle(state.at);
  } catch (error) {
    if (!(error instanceof Refused)) throw error;
    mapped = "";
    tell(`There is no map: ${error.message}`, true);
  }
}

/** Goes where an address says. */
function settle(text) {
  const [x, y, zoom] = text.split(",").map(Number);
  if ([x, y, zoom].every(Number.isFinite) && text) points.look([x * STEPS, y * STEPS], zoom);
  else points.fit();
}

function watched() {
  const canvas = at("canvas");
  const made = new Points(canvas, { pick, hover, moved });
  canvas.addEventListener("keydown", (event) => {
    if (event.ctrlKey || event.metaKey || event.altKey) return;
    const moves = {
      ArrowLeft: () => made.pan(STEP, 0), ArrowRight: () => made.pan(-STEP, 0),
      ArrowUp: () => made.pan(0, STEP), ArrowDown: () => made.pan(0, -STEP),
      "+": () => made.nearer(1.5), "=": () => made.nearer(1.5), "-": () => made.nearer(1 / 1.5), 0: () => made.fit(),
      Enter: () => pick(made.nearest(made.size.map((one) => one / 2), 1)[0]),
    };
    if (!moves[event.key]) return;
    event.preventDefault();
    moves[event.key]();
  });
  at("map-tools").addEventListener("click", ({ target }) => {
    const ways = {
      in: () => made.nearer(1.5), out: () => made.nearer(1 / 1.5), fit: () => made.fit(),
      left: () => made.pan(STEP, 0), right: () => made.pan(-STEP, 0), up: () => made.pan(0, STEP), down: () => made.pan(0, -STEP),
    };
    ways[target.dataset.move]?.();
  });
  matchMedia("(prefers-color-scheme: dark)").addEventListener("change", () => {
    made.paint(colours());
    legend(at("legend").children.length);
  });
  return made;
}

function describe(alone) {
  const what = [about.images && `${counted(about.images, "image")} (discs)`, about.texts && `${counted(about.texts, "text")} (triangles)`];
  const all = about.images + about.texts;
  const some = all < about.total ? `, evenly spaced among ${number(about.total)}` : "";
  const [first, second] = about.explained;
  put(at("map-about"), `${alone ? "" : `${run.name}: `}${what.filter(Boolean).join(" and ")}${some}, at their places in the common space, flattened to its two`
    + ` widest directions. These carry ${percent(first)} and ${percent(second)} of the variance: `
    + (first + second < 0.5 ? "most of what tells items apart cannot be seen here." : "most of what tells items apart."));
  at("legend-title").hidden = !about.classes.length;
}

/** Colours of the classes, told apart by hue and lightness; then of what is not meant, and of what has no class. */
function colours() {
  const dark = matchMedia("(prefers-color-scheme: dark)").matches;
  const of = (place) => `oklch(${(dark ? 0.78 : 0.58) + 0.09 * ((place % 3) - 1)} 0.15 ${(place * 137.508 + 20) % 360})`;
  const style = getComputedStyle(document.documentElement);
  return [...about.classes.map((_, place) => of(place)), style.getPropertyValue("--rule"), style.getPropertyValue("--faint")];
}

function legend(most) {
  const all = colours();
  put(at("legend"), about.classes.slice(0, most).map((label, place) => {
    const swatch = make("span", { className: "swatch" });
    swatch.style.backgroundColor = all[place];
    const button = make("button", { type: "button", className: "chip", aria: { pressed: points.only === place }, on: { click: () => {
      points.only = points.only === place ? -1 : place;
      points.moved();
      for (const [other, entry] of [...at("legend").children].entries()) {
        entry.firstChild.setAttribute("aria-pressed", String(points.only === other));
      }
    } } }, swatch, make("span", { dir: "auto" }, label));
    return make("li", {}, button);
  }));
  const left = about.classes.length - most;
  if (left > 0) {
    at("legend").append(make("li", {}, make("button", { type: "button", className: "chip", on: { click: () => legend(Infinity) } }, `and ${number(left)} more`)));
  }
}

/** What is known of some points; nothing where the server does not answer, which is said. */
async function known(some) {
  try {
    return (await json("/api/map/items", { run: run.name, points: some.join(",") })).results;
  } catch (error) {
    if (!(error instanceof Refused)) throw error;
    tell(error.message, true);
    return [];
  }
}

async function pick(point) {
  if (point === undefined) return;
  const [row] = await known([point]);
  if (row) go({ item: { medium: row.medium, id: row.id }, from: run.name });
}

let hovered = -1;
let waiting = 0;

/** Says what a point is, beside it. */
function hover(point, place) {
  if (point === hovered) return;
  hovered = point;
  points.marked = point;
  points.draw();
  at("canvas").classList.toggle("pointing", point >= 0);
  clearTimeout(waiting);
  at("map-tip").hidden = true;
  if (point < 0) return;
  waiting = setTimeout(async () => {
    const [row] = await known([point]);
    if (!row || hovered !== point) return;
    const [width, height] = points.size;
    const tip = at("map-tip");
    put(tip, make("ol", { className: "hits" }, card(row, run.name, { small: true })));
    tip.style.left = place[0] > width / 2 ? "auto" : `${place[0] + 14}px`;
    tip.style.right = place[0] > width / 2 ? `${width - place[0] + 14}px` : "auto";
    tip.style.top = place[1] > height / 2 ? "auto" : `${place[1] + 14}px`;
    tip.style.bottom = place[1] > height / 2 ? `${height - place[1] + 14}px` : "auto";
    tip.hidden = false;
  }, 120);
}

/** The view rests: its place goes into the address, and what is in its middle into the list. */
async function moved() {
  if (!open || read().view !== "map") return;
  const [x, y] = points.middle.map((one) => (one / STEPS).toFixed(4));
  note({ at: points.zoom === 1 && x === "0.5000" && y === "0.5000" ? "" : `${x},${y},${points.zoom.toFixed(2)}` });
  const found = points.nearest(points.size.map((one) => one / 2), LISTED);
  if (!found.length) return;
  put(at("near"), (await known(found)).map((row) => card(row, run.name, { small: true })));
}
