// An item among others: its picture or why there is none, its class, its text.

import { elsewhere, make, percent } from "./dom.js";
import { ask } from "./api.js";
import { address, go, keyOf, read } from "./state.js";

/** A card as an entry of a list; it opens the item. `small` leaves out all but picture, class and text. */
export function card(row, run, { small = false } = {}) {
  const key = keyOf(row);
  const opens = { item: { medium: row.medium, id: row.id }, from: run };
  const link = make("a", {
    className: "card", href: address({ ...read(), ...opens }), data: { key, run },
    on: { click: (event) => {
      if (elsewhere(event)) return;
      event.preventDefault();
      go(opens);
    } },
  }, ...inside(row, small));
  return make("li", { className: row.medium }, link);
}

function inside(row, small) {
  const pictured = row.medium === "image" ? row : row.pair;
  const parts = [];
  if (pictured && (pictured.picture || pictured.missing)) parts.push(picture(pictured, row));
  if (row.text !== undefined) parts.push(...caption(row.text.trim() || "(an empty text)"));
  if (row.label !== undefined) parts.push(make("span", { className: "label", dir: "auto" }, row.label));
  else if (row.medium === "image") parts.push(make("span", { className: "label", dir: "auto" }, row.id));
  if (row.rank && !small) parts.push(make("span", { className: "place" }, worth(row)));
  return parts;
}

/** A text, cut by the style where it is long; then the card, which shows the whole, says so. */
function caption(text) {
  const shown = make("span", { className: "text", dir: "auto" }, text);
  const all = make("span", { className: "all", hidden: true }, "Read all");
  new ResizeObserver(() => { all.hidden = shown.scrollHeight <= shown.clientHeight + 1; }).observe(shown);
  return [shown, all];
}

/** The picture of a row, with what stands in its place where it cannot be shown. */
export function picture(row, of = row, large = false) {
  if (!row.picture) return missing(row.missing ?? "there is none");
  const frame = make("span", { className: "picture" });
  const image = make("img", {
    src: large ? `${row.picture}?large=true` : row.picture,
    alt: of.medium === "text" ? "The picture of its pair" : row.label ? `${row.label}, ${row.id}` : row.id,
    loading: large ? "eager" : "lazy", decoding: "async",
    on: { error: async () => {
      const reason = await ask(row.picture).then(() => "it cannot be shown", (error) => error.message);
      frame.replaceWith(missing(reason));
    } },
  });
  frame.append(image);
  return frame;
}

function missing(reason) {
  return make("span", { className: "picture missing" }, make("span", { className: "note" }, `No picture: ${reason}`));
}

/** What a hit's figures say. */
export function worth(row) {
  const sure = row.probability === undefined ? "" : `${percent(row.probability)} likely, `;
  const ranked = typeof row.csls === "number" ? `, CSLS ${row.csls.toFixed(3)}` : "";
  return `${row.rank}. ${sure}cosine ${row.cosine.toFixed(3)}${ranked}`;
}
