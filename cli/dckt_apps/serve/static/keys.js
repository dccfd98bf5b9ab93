// The keyboard: arrows go from hit to hit, `/` to the words, Escape from a hit back to the words.

import { at } from "./dom.js";

const WAYS = { ArrowLeft: [-1, 0], ArrowRight: [1, 0], ArrowUp: [0, -1], ArrowDown: [0, 1] };

/** The card that lies next in a direction: straight on first, then the nearest. */
function next(from, [across, up]) {
  const middle = ({ left, right, top, bottom }) => [(left + right) / 2, (top + bottom) / 2];
  const here = from.getBoundingClientRect();
  const [x, y] = middle(here);
  let best = null;
  let least = Infinity;
  for (const card of document.querySelectorAll("main .card")) {
    const there = card.getBoundingClientRect();
    if (card === from || !there.width) continue;
    const [cx, cy] = middle(there);
    const ahead = across ? (cx - x) * across : (cy - y) * up;
    const aside = across ? Math.abs(there.top - here.top) : Math.abs(cx - x);
    if (ahead <= 2 || (across && aside > here.height / 2)) continue;
    const far = ahead + 3 * aside;
    if (far < least) [best, least] = [card, far];
  }
  return best;
}

export function startKeys() {
  document.addEventListener("keydown", (event) => {
    if (event.ctrlKey || event.metaKey || event.altKey || at("item").open) return;
    const here = document.activeElement;
    const typing = here?.matches("input, select, textarea");
    if (event.key === "/" && !typing) {
      event.preventDefault();
      at("text").focus();
      at("text").select();
    } else if (event.key === "Escape" && here?.closest("#results")) at("text").focus();
    else if (event.key === "ArrowDown" && here === at("text")) {
      const first = document.querySelector("main .card");
      if (first) {
        event.preventDefault();
        first.focus();
      }
    } else if (WAYS[event.key] && here?.matches(".card")) {
      const card = next(here, WAYS[event.key]);
      if (!card) return;
      event.preventDefault();
      card.focus();
    }
  });
}
