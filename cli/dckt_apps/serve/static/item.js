// An item, large: the pair, what is known of it, and what is like it in both media.

import { Refused, item as fetchItem, json } from "./api.js";
import { card, picture, worth } from "./card.js";
import { at, make, put } from "./dom.js";
import { shownIn } from "./results.js";
import { begins } from "./start.js";
import { close, go, keyOf } from "./state.js";

const ALIKE = 6;

let shown = ""; // the item that is open
let opener = null; // what had the focus before

/** Opens what a state says is open, or closes what is open. */
export async function showItem(state, runs) {
  const dialog = at("item");
  if (!state.item) {
    if (dialog.open) shut(dialog);
    return;
  }
  const run = runs.find((one) => one.name === state.from) ?? runs[0];
  const key = `${run.name}/${keyOf(state.item)}`;
  if (key === shown && dialog.open) {
    arrows(state, run);
    return;
  }
  if (!dialog.open) opener = document.activeElement;
  shown = key;
  arrows(state, run);
  put(at("item-body"), make("h2", { id: "item-title", tabIndex: -1 }, "Loading …"));
  if (!dialog.open) dialog.showModal();
  let row;
  try {
    row = await fetchItem(run.name, state.item);
  } catch (error) {
    if (!(error instanceof Refused)) throw error;
    if (shown === key) put(at("item-body"), make("h2", { id: "item-title", tabIndex: -1 }, "Not found"), make("p", {}, error.message));
    return;
  }
  if (shown !== key) return;
  const hit = shownIn(run.name).find((one) => keyOf(one) === keyOf(row));
  put(at("item-body"), ...body({ ...hit, ...row }, run, runs));
  at("item-title").focus({ preventScroll: true });
  at("item").scrollTo(0, 0);
  for (const medium of Object.keys(run.sizes)) alike(row, medium, run, key);
}

function shut(dialog) {
  const key = shown.slice(shown.indexOf("/") + 1);
  shown = "";
  dialog.close();
  const cards = [...document.querySelectorAll("main .card")];
  const back = cards.find((one) => one === opener) ?? cards.find((one) => one.dataset.key === key) ?? opener;
  if (back?.isConnected) back.focus({ preventScroll: true });
}

function body(row, run, runs) {
  const image = row.medium === "image" ? row : row.pair;
  const text = row.medium === "text" ? row : row.pair;
  const title = row.label ?? row.id;
  return [
    make("h2", { id: "item-title", tabIndex: -1, dir: "auto" }, title),
    make("div", { className: "pair" },
      image ? make("div", { className: "large" }, picture(image, row, true)) : null,
      make("div", { className: "told" },
        text ? make("p", { className: "whole", dir: "auto" }, text.text === undefined ? "Of the text, only its features are known." : text.text.trim() || "(an empty text)") : null,
        row.pair ? null : make("p", { className: "note" }, row.medium === "image" ? "No text goes with this image." : "No image goes with this text."),
        facts(row, run, runs))),
    ...Object.keys(run.sizes).map((medium) => make("section", { className: "alike", data: { medium } })),
  ];
}

/** What is known besides; a class and a value of the metadata lead to all that have it. */
function facts(row, run, runs) {
  const lines = [];
  const line = (name, ...values) => lines.push(make("dt", { dir: "auto" }, name), make("dd", { dir: "auto" }, ...values));
  if (row.label !== undefined) line("Class", begins({ classes: [row.label] }, {}, row.label));
  for (const [field, said] of Object.entries(row.metadata ?? row.pair?.metadata ?? {})) {
    const values = [said].flat();
    line(field, ...values.flatMap((value, place) => [
      place ? ", " : "", begins({ where: [[field, String(value)]], find: row.medium }, { title: `All with ${field} ${value}` }, String(value)),
    ]));
  }
  if (row.split !== undefined) line("Split", row.split);
  line("Id", row.id);
  if (row.rank) line("Found", worth(row));
  if (runs.length > 1) line("Run", run.name);
  return make("dl", {}, lines);
}

async function alike(row, medium, run, key) {
  const section = at("item-body").querySelector(`.alike[data-medium=${medium}]`);
  const like = { medium: row.medium, id: row.id };
  const what = medium === "image" ? "Images" : "Texts";
  put(section, make("h3", {}, `${what} like this`));
  try {
    const found = await json("/api/search", { run: run.name, like: row.id, of: row.medium, medium, k: ALIKE });
    if (shown !== key) return;
    const all = begins({ like, find: medium }, { className: "all" }, `All ${what.toLowerCase()} like this`);
    const list = make("ol", { className: "hits" }, found.results.map((one) => card(one, run.name, { small: true })));
    list.setAttribute("aria-label", `${what} like this`);
    section.append(found.results.length ? list : make("p", { className: "note" }, "There are none."), all);
  } catch (error) {
    if (!(error instanceof Refused)) throw error;
    section.append(make("p", { className: "note" }, error.message));
  }
}

/** The arrows lead along the hits among which the item is. */
function arrows(state, run) {
  const rows = shownIn(run.name);
  const place = rows.findIndex((one) => keyOf(one) === keyOf(state.item));
  for (const [id, step] of [["item-before", -1], ["item-after", 1]]) {
    const next = place < 0 ? undefined : rows[place + step];
    at(id).disabled = !next;
    at(id).onclick = () => next && go({ item: { medium: next.medium, id: next.id } }, { replace: true });
  }
  put(at("item-place"), place < 0 ? "" : `${place + 1} of ${rows.length} that are shown`);
}

export function startItem() {
  at("item-close").addEventListener("click", close);
  at("item").addEventListener("cancel", (event) => {
    event.preventDefault();
    close();
  });
  at("item").addEventListener("click", (event) => event.target === at("item") && close());
  at("item").addEventListener("keydown", (event) => {
    const id = { ArrowLeft: "item-before", ArrowRight: "item-after" }[event.key];
    if (id && !event.altKey && !event.ctrlKey && !event.metaKey) at(id).click();
  });
}
