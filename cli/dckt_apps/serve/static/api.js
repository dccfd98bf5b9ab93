// Asks the server.

import { visible } from "./dom.js";

/** An answer that is a refusal; `insist` where who asks once more, insisting, has one. */
export class Refused extends Error {
  constructor(reason, insist = false) {
    super(reason);
    this.insist = insist;
  }
}

export async function ask(path, parameters = {}, request = {}) {
  const said = new URLSearchParams();
  for (const [name, value] of Object.entries(parameters)) {
    for (const one of Array.isArray(value) ? value : [value]) {
      if (one !== "" && one !== null && one !== undefined && one !== false) said.append(name, one);
    }
  }
  let response;
  try {
    response = await fetch(`${path}?${said}`, request);
  } catch (error) {
    if (error.name === "AbortError") throw error;
    throw new Refused("The server cannot be reached. Is dckt serve still running?");
  }
  if (response.ok) return response;
  const answer = await response.json().catch(() => ({}));
  if (response.status === 503) throw new Refused("Too many ask at once: try again in a moment.");
  throw new Refused(visible(answer.error ?? `The server answered with ${response.status}.`), answer.insist);
}

export const json = async (...how) => (await ask(...how)).json();

const body = (file, signal) => ({
  method: "POST", headers: { "Content-Type": "application/octet-stream" }, body: file, signal,
});

/** Hits `start` to `start + k` of what a state looks for, in one run. */
export function search(run, state, file, start, k, signal) {
  const narrowed = { run, start, k, medium: state.find, class: state.classes, where: state.where.map((one) => one.join("=")) };
  const how = { ...narrowed, q: state.q, like: state.like?.id, threshold: state.least, insist: state.insist, csls: state.csls, expand: state.expand };
  if (file && state.kind === "features") return json("/api/search/features", { ...how, of: state.of }, body(file, signal));
  if (file) return json("/api/search/image", { ...how, of: state.like?.medium }, body(file, signal));
  if (state.q || state.like) return json("/api/search", { ...how, of: state.like?.medium }, { signal });
  return json("/api/items", narrowed, { signal });
}

export const item = (run, { medium, id }) => json("/api/item", { run, medium, id });
