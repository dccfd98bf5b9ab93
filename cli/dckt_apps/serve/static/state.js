// What the page shows lives in its address, so that back, reload and sharing work. What was sent as a file does not: its
// name is in the address, and the file itself is kept as long as the page is open.

export const PAGE = 24;
const MOST = 480; // hits that an address may ask for

const files = new Map(); // by the number that the history keeps
let listener = () => {};

/** What an address asks for. `item`, `like` are {medium, id}; `where` is a list of [field, value]. */
export function read(search = location.search) {
  const said = new URLSearchParams(search);
  const view = said.get("view");
  const loaded = Number.parseInt(said.get("n") ?? "", 10);
  return {
    q: (said.get("q") ?? "").trim(),
    like: half(said.get("like")),
    file: said.get("file") ?? "",
    of: said.get("of") === "text" ? "text" : "image",
    kind: said.get("kind") === "features" ? "features" : "picture",
    find: ["image", "text"].includes(said.get("find")) ? said.get("find") : "",
    classes: said.getAll("class"),
    where: said.getAll("where").filter((one) => one.includes("=")).map(divided),
    least: said.get("least") ?? "",
    insist: said.has("insist"),
    csls: whole(said.get("csls")),
    expand: whole(said.get("expand")),
    run: said.get("run") ?? "",
    view: ["all", "map"].includes(view) ? view : "",
    n: Math.min(Math.max(loaded || PAGE, PAGE), MOST),
    item: half(said.get("item")),
    from: said.get("from") ?? "",
    at: said.get("at") ?? "",
  };
}

/** A whole number from 1; empty where there is none. */
const whole = (text) => (/^[1-9]\d{0,3}$/.test(text ?? "") ? text : "");

function half(text) {
  const [medium, ...rest] = (text ?? "").split(":");
  return ["image", "text"].includes(medium) && rest.length ? { medium, id: rest.join(":") } : null;
}

function divided(text) {
  const place = text.indexOf("=");
  return [text.slice(0, place), text.slice(place + 1)];
}

export const keyOf = ({ medium, id }) => `${medium}:${id}`;

/** The address of a state; what is as usual is left out. */
export function address(state) {
  const said = new URLSearchParams();
  const say = (name, value) => value && said.append(name, value);
  say("q", state.q);
  say("like", state.like && keyOf(state.like));
  say("file", state.file);
  if (state.file && state.kind === "features") {
    say("kind", state.kind);
    say("of", state.of);
  }
  say("find", state.find);
  for (const one of state.classes) said.append("class", one);
  for (const [field, value] of state.where) said.append("where", `${field}=${value}`);
  say("least", state.least);
  say("insist", state.insist && "yes");
  say("csls", state.csls);
  say("expand", state.expand);
  say("run", state.run);
  say("view", state.view);
  say("n", state.n > PAGE && String(state.n));
  say("item", state.item && keyOf(state.item));
  say("from", state.item && state.from);
  say("at", state.view === "map" && state.at);
  const text = said.toString();
  return text ? `?${text}` : location.pathname;
}

/** What is looked for, without what is open or how much is shown. */
export const question = (state) => address({ ...state, n: PAGE, item: null, from: "", at: "" }) + `#${history.state?.file ?? ""}`;

/** Whether anything is asked for; else the start page is shown. */
export const asks = (state) => Boolean(state.q || state.like || state.file || state.classes.length || state.where.length);

const FRESH = { q: "", like: null, file: "", classes: [], where: [], view: "", n: PAGE, item: null, from: "", insist: false, at: "" };

/** A state in which something new is looked for: what else was asked for goes, how it is asked for stays. */
export const afresh = (change) => ({ ...read(), ...FRESH, ...change });

/** Goes where the state is changed so, as a step that `back` takes back, or in place of the step before. */
export function go(change, { replace = false, file = null } = {}) {
  const before = read();
  const next = { ...before, ...change };
  if (question(next) !== question(before)) next.n = PAGE;
  const kept = { ...(history.state ?? {}), scroll: 0 };
  if (file) {
    kept.file = files.size;
    files.set(kept.file, file);
  } else if (!next.file) delete kept.file;
  if (!file && question(next) === question(before)) kept.scroll = window.scrollY;
  if (!next.item) kept.deep = 0;
  else if (!replace) kept.deep = (before.item ? (kept.deep ?? 0) : 0) + 1;
  if (address(next) === address(before) && !file) replace = true;
  history[replace ? "replaceState" : "pushState"](kept, "", address(next));
  listener(read());
}

/** Notes in the address where one is, without a step and without anything new to be shown. */
export function note(change) {
  history.replaceState(history.state, "", address({ ...read(), ...change }));
}

/** Closes what is open: back over all items that were opened one from another, or, come from elsewhere, in place. */
export function close() {
  const deep = history.state?.deep ?? 0;
  if (deep > 0) history.go(-deep);
  else go({ item: null, from: "" }, { replace: true });
}

/** The file that the address names; undefined where it came from elsewhere. */
export const fileHere = () => files.get(history.state?.file);

export function start(onChange) {
  listener = onChange;
  history.scrollRestoration = "manual";
  window.addEventListener("popstate", () => listener(read()));
  let waiting = 0;
  window.addEventListener("scroll", () => {
    clearTimeout(waiting);
    waiting = setTimeout(() => history.replaceState({ ...(history.state ?? {}), scroll: window.scrollY }, ""), 200);
  }, { passive: true });
  listener(read());
}

export const scrolled = () => history.state?.scroll ?? 0;
