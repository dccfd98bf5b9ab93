// Makes elements. Every text, strangers' too, is put in as text, never as markup, with what cannot be seen made visible.

const UNSEEN = /[\u0000-\u0009\u000b-\u001f\u007f-\u009f\u061c\u200b\u200e\u200f\u2028-\u202e\u2060-\u206f\ufeff\ufff9-\ufffb]|[\ud800-\udbff](?![\udc00-\udfff])|(?<![\ud800-\udbff])[\udc00-\udfff]/g;

/** A text with control characters, direction overrides and halves of characters written out: `\u202E`. */
export function visible(text) {
  return String(text).replace(UNSEEN, (sign) => `\\u${sign.charCodeAt(0).toString(16).toUpperCase().padStart(4, "0")}`);
}

/** An element with properties and children; `null` children are left out, `data` and `aria` are objects. */
export function make(tag, properties = {}, ...children) {
  const element = document.createElement(tag);
  for (const [name, value] of Object.entries(properties)) {
    if (value === null || value === undefined) continue;
    if (name === "on") for (const [kind, listener] of Object.entries(value)) element.addEventListener(kind, listener);
    else if (name === "data") Object.assign(element.dataset, value);
    else if (name === "aria") for (const [key, said] of Object.entries(value)) element.setAttribute(`aria-${key}`, visible(said));
    else if (name === "role") element.setAttribute(name, value);
    else element[name] = ["alt", "title"].includes(name) ? visible(value) : value;
  }
  put(element, ...children);
  return element;
}

/** Takes the place of all that an element holds. */
export function put(element, ...children) {
  const shown = children.flat().filter((child) => child !== null && child !== undefined && child !== false);
  element.replaceChildren(...shown.map((child) => (child instanceof Node ? child : visible(child))));
}

export const at = (id) => document.getElementById(id);

export const number = (count) => count.toLocaleString("en");

export const counted = (count, kind) => `${number(count)} ${kind}${count === 1 ? "" : "s"}`;

export function percent(share) {
  if (share < 0.01) return "less than 1\u00a0%";
  return share > 0.99 ? "more than 99\u00a0%" : `${Math.round(100 * share)}\u00a0%`;
}

/** Whether a click asks for what a link does by itself: another tab, another window, a download. */
export const elsewhere = (event) => event.ctrlKey || event.metaKey || event.shiftKey || event.altKey || event.button > 0;
