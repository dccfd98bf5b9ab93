// What was found: a column for each run that is asked, and how to see more.

import { Refused, search } from "./api.js";
import { card } from "./card.js";
import { at, counted, make, number, put, visible } from "./dom.js";
import { PAGE, fileHere, go, note, question, read, scrolled } from "./state.js";

const AT_ONCE = 48; // how many an address that wants many is answered with at a time

let asked = ""; // the question that is shown
let columns = [];
let under = null; // what ends requests that nobody waits for any more

/** Empties the results: nothing is looked for. */
export function clear() {
  under?.abort();
  asked = "";
  columns = [];
  put(at("results"));
  put(at("said"));
  at("more").hidden = true;
}

/** Shows what a state looks for, unless it is shown already. */
export async function showResults(state, runs) {
  if (question(state) === asked) return;
  asked = question(state);
  under?.abort();
  under = new AbortController();
  const file = fileHere();
  if (state.file && !file) {
    clear();
    tell(`${state.file} was sent as a file, which no address keeps: choose it once more.`);
    return;
  }
  const side = runs.length > 1;
  const place = scrolled(); // now, before a page that is short for a moment is taken to be scrolled
  columns = runs.map((run) => column(run, side));
  at("results").className = side ? "side" : "";
  tell("Searching …");
  at("more").hidden = true;
  const before = [...at("results").children];
  before.forEach((one) => one.classList.add("stale"));
  const mine = under;
  await Promise.all(columns.map((one) => fill(one, state, file, state.n, mine.signal)));
  if (mine.signal.aborted) return;
  put(at("results"), columns.map((one) => one.element));
  finish();
  requestAnimationFrame(() => window.scrollTo(0, place));
}

function column(run, side) {
  const heading = side ? make("h2", { className: "run" }, run.name) : null;
  const status = make("p", { className: "status" });
  const list = make("ol", { className: "hits" });
  list.setAttribute("aria-label", side ? `Found in ${visible(run.name)}` : "Found");
  return { run, side, status, list, rows: [], more: false, told: [], element: make("section", {}, heading, status, list) };
}

async function fill(one, state, file, wanted, signal) {
  while (one.rows.length < wanted) {
    const count = Math.min(AT_ONCE, wanted - one.rows.length);
    let answer;
    try {
      answer = await search(one.run.name, state, file, one.rows.length, count, signal);
    } catch (error) {
      if (error.name === "AbortError") return;
      if (!(error instanceof Refused)) throw error;
      refuse(one, error);
      return;
    }
    one.rows.push(...answer.results);
    one.list.append(...answer.results.map((row) => card(row, one.run.name)));
    one.more = answer.more ?? one.rows.length < answer.total;
    one.told = said(answer, one, state);
    if (!one.more || !answer.results.length) break;
  }
  one.list.classList.toggle("texts", one.rows.length > 0 && one.rows.every((row) => row.medium === "text"));
  put(one.status, one.told.join(". "));
}

/** What an answer says besides its hits, in sentences. */
function said(answer, one, state) {
  const count = one.rows.length;
  if (answer.total !== undefined) {
    const of = state.classes.length ? ` of class ${visible(state.classes.join(", "))}` : "";
    return [answer.total ? `${number(count)} of ${number(answer.total)}${of}` : `There is nothing${of}`];
  }
  const narrowed = state.classes.length + state.where.length > 0;
  const among = one.rows.length && !narrowed ? ` of ${counted(one.run.sizes[one.rows[0].medium], one.rows[0].medium)}` : "";
  const told = [count === 0 ? "Nothing was found" : `The ${count === 1 ? "nearest one" : `${number(count)} nearest`}${among}`];
  if (count === 0 && state.least) told[0] = "Nothing here is that likely to be what you look for";
  if (answer.unlikely) told.unshift("Nothing here is likely to be what you look for");
  if (answer.unknown?.length) told.push(`Not known: ${answer.unknown.map(visible).join(", ")}`);
  if (answer.cut) told.push("The text is longer than what is read, and its end is left out");
  return told;
}

function refuse(one, error) {
  one.told = [];
  one.more = false;
  one.status.classList.add("fault");
  const again = error.insist
    ? make("button", { type: "button", on: { click: () => go({ insist: true }) } }, "Search all the same")
    : null;
  put(one.status, `Not found: ${error.message} `, again);
}

/** Loads the next ones of all columns that have any. */
export async function loadMore() {
  const state = read();
  const wanted = Math.max(...columns.map((one) => one.rows.length)) + PAGE;
  const first = columns.find((one) => one.more)?.rows.length;
  at("more").disabled = true;
  const mine = under;
  await Promise.all(columns.filter((one) => one.more).map((one) => fill(one, state, fileHere(), wanted, mine.signal)));
  at("more").disabled = false;
  if (mine.signal.aborted) return;
  note({ n: Math.max(...columns.map((one) => one.rows.length)) });
  finish();
  at("results").querySelectorAll(".card")[first]?.focus({ preventScroll: true });
}

function finish() {
  at("more").hidden = !columns.some((one) => one.more);
  tell(columns.length === 1 ? "" : `${columns.length} runs side by side`);
  put(at("said"), columns.map((one) => `${one.side ? `${one.run.name}: ` : ""}${one.status.textContent}`).join(" "));
  if (columns.length > 1) compare();
}

/** Says of each hit which place it has in the other columns. */
function compare() {
  for (const one of columns) {
    for (const [place, row] of one.rows.entries()) {
      const others = columns.filter((other) => other !== one).map((other) => {
        const found = other.rows.findIndex((it) => it.medium === row.medium && it.id === row.id);
        return found < 0 ? `not among the first ${other.rows.length} of ${other.run.name}` : `${found + 1}. in ${other.run.name}`;
      });
      const link = one.list.children[place].querySelector(".card");
      link.querySelector(".beside")?.remove();
      if (row.rank) link.append(make("span", { className: "beside" }, others.join(", ")));
    }
  }
}

/** Says something above the results. */
export function tell(text, fault = false) {
  at("status").classList.toggle("fault", fault);
  put(at("status"), text);
}

/** The hits of a run as they are shown, for the arrows between open items. */
export const shownIn = (run) => columns.find((one) => one.run.name === run)?.rows ?? [];
