// Asks the server and shows what it answers. All that comes from there is put in as text, never as markup.

const RESULTS = 12;
const at = (id) => document.getElementById(id);
let newest = 0; // answers to older questions are dropped
let uploadLimit = Infinity;
let lastQuestion = null;

async function ask(address, request) {
  const question = ++newest;
  at("status").className = "";
  at("status").textContent = "Searching …";
  at("start").hidden = at("more").hidden = true;
  at("results").classList.add("stale");
  try {
    const response = await fetch(address, request);
    const answer = await response.json().catch(() => ({}));
    if (question !== newest) return;
    if (answer.insist && question === newest) return offerAnyway(answer.error);
    if (!response.ok) throw new Error(answer.error || `the server answered with ${response.status}`);
    show(answer);
  } catch (error) {
    if (question === newest) fail(error instanceof TypeError ? "The server cannot be reached." : error.message);
  }
}

function offerAnyway(reason) {
  fail(reason);
  const button = document.createElement("button");
  button.type = "button";
  button.textContent = "Search anyway";
  button.addEventListener("click", () => lastQuestion(true));
  at("status").append(" ", button);
}

function fail(reason) {
  at("results").replaceChildren();
  at("status").className = "fault";
  at("status").textContent = `Not found: ${reason}`;
}

function show({ results, unknown, cut, unlikely, total }) {
  if (total !== undefined) return showClass(results, total);
  const said = [results.length === 1 ? "1 result" : `${results.length} results, the nearest first`];
  if (unlikely) said[0] = `Nothing here is likely to be what you look for; ${said[0]}`;
  if (unknown?.length) said.push(`not known: ${unknown.join(", ")}`);
  if (cut) said.push("the text is longer than what is read, and its end is left out");
  at("status").textContent = said.join("; ");
  const list = at("results");
  list.className = results.some((row) => row.picture) ? "" : "texts";
  list.replaceChildren(...results.map(item));
}

function showClass(results, total) {
  const list = at("results");
  list.className = results.some((row) => row.picture) ? "" : "texts";
  list.replaceChildren(...results.map(item));
  const shown = list.children.length;
  at("status").textContent = `${shown} of ${total.toLocaleString("en")} of the class ${place().get("class")}`;
  at("more").hidden = shown >= total;
}

async function loadMore() {
  const label = place().get("class");
  const start = at("results").children.length;
  const response = await fetch(`/api/items?${itemsOf(label)}&start=${start}`);
  const { results, total } = await response.json();
  if (place().get("class") !== label || at("results").children.length !== start) return;
  at("results").append(...results.map(item));
  const shown = at("results").children.length;
  at("status").textContent = `${shown} of ${total.toLocaleString("en")} of the class ${label}`;
  at("more").hidden = shown >= total;
}

function itemsOf(label) {
  const wanted = medium() === "other" ? {} : { medium: medium() };
  return new URLSearchParams({ label, k: RESULTS, ...wanted });
}

function item(row) {
  const entry = document.createElement("li");
  if (row.picture) {
    const picture = document.createElement("img");
    picture.src = row.picture;
    picture.alt = `${row.rank ? `Result ${row.rank}: ` : ""}${row.label ?? row.id}`;
    entry.append(picture);
  }
  if (row.text !== undefined) entry.append(paragraph("text", row.text));
  if (row.label !== undefined) entry.append(paragraph("label", row.label));
  const sure = row.probability === undefined ? "" : `, ${percent(row.probability)} likely`;
  if (row.rank) entry.append(paragraph("place", `${row.rank}. Cosine ${row.cosine.toFixed(3)}${sure}`));
  entry.append(paragraph("place", row.id));
  return entry;
}

function percent(share) {
  if (share < 0.01) return "less than 1 %";
  return share > 0.99 ? "more than 99 %" : `${Math.round(100 * share)} %`;
}

function paragraph(kind, text) {
  const element = document.createElement("p");
  element.className = kind;
  element.dir = "auto";
  element.textContent = text;
  return element;
}

function present(picture) {
  const preview = at("preview");
  preview.hidden = !picture;
  if (!picture) return;
  const address = URL.createObjectURL(picture);
  preview.onload = preview.onerror = () => URL.revokeObjectURL(address);
  preview.src = address;
}

const medium = () => document.querySelector("[name=medium]:checked")?.value ?? "other";

// What is looked for lives in the address, so that back, reload and sharing work: ?q= or ?class=, and ?find=.
const place = () => new URLSearchParams(location.search);

function go(wanted) {
  const find = medium() === "other" ? {} : { find: medium() };
  const query = new URLSearchParams(Object.keys(wanted).length ? { ...wanted, ...find } : {}).toString();
  if (query !== place().toString()) history.pushState(null, "", query ? `?${query}` : location.pathname);
}

function arrive() {
  const find = document.querySelector(`[name=medium][value="${CSS.escape(place().get("find") ?? "other")}"]`);
  if (find) find.checked = true;
  at("text").value = place().get("q") ?? "";
  if (place().get("q")?.trim()) byText(place().get("q").trim());
  else if (place().has("class")) byClass(place().get("class"));
  else begin();
}

function begin() {
  newest += 1;
  lastQuestion = null;
  present(null);
  at("results").replaceChildren();
  at("results").classList.remove("stale");
  at("status").className = at("status").textContent = "";
  at("more").hidden = true;
  at("start").hidden = !at("classes").children.length;
}

function byClass(label) {
  lastQuestion = () => byClass(label);
  present(null);
  go({ class: label });
  ask(`/api/items?${itemsOf(label)}`);
}

function classLink({ label, image, text }) {
  const entry = document.createElement("li");
  const link = document.createElement("a");
  link.href = `?${new URLSearchParams({ class: label })}`;
  const name = document.createElement("span");
  name.textContent = label;
  const counts = Object.entries({ image, text }).filter(([, count]) => count);
  const told = document.createElement("span");
  told.className = "note";
  told.textContent = counts.map(([kind, count]) => counted(count, kind)).join(", ");
  link.append(name, told);
  link.addEventListener("click", (event) => {
    if (event.ctrlKey || event.metaKey || event.shiftKey) return;
    event.preventDefault();
    at("text").value = "";
    byClass(label);
  });
  entry.append(link);
  return entry;
}

const counted = (count, kind) => `${count.toLocaleString("en")} ${kind}${count === 1 ? "" : "s"}`;

function byText(text, insist = false) {
  lastQuestion = (anyway = insist) => byText(text, anyway);
  present(null);
  go({ q: text });
  const body = JSON.stringify({ text, k: RESULTS, medium: medium(), insist });
  ask("/api/search/text", { method: "POST", headers: { "Content-Type": "application/json" }, body });
}

function byPicture(picture) {
  if (!picture) return;
  if (picture.size > uploadLimit) {
    newest += 1;
    fail(`the picture has more than the ${uploadLimit / 1e6} MB that may be sent`);
    return;
  }
  lastQuestion = () => byPicture(picture);
  go({});
  present(picture);
  at("text").value = "";
  const headers = { "Content-Type": "application/octet-stream" };
  ask(`/api/search/image?k=${RESULTS}&medium=${medium()}`, { method: "POST", headers, body: picture });
}

function byFeatures(file) {
  if (!file) return;
  lastQuestion = () => byFeatures(file);
  go({});
  present(null);
  at("text").value = "";
  const headers = { "Content-Type": "application/octet-stream" };
  const address = `/api/search/features?of=${at("of").value.split("-")[0]}&k=${RESULTS}&medium=${medium()}`;
  ask(address, { method: "POST", headers, body: file });
}

at("form").addEventListener("submit", (event) => {
  event.preventDefault();
  const text = at("text").value.trim();
  if (text) byText(text);
  else {
    go({});
    begin();
    at("status").textContent = "Nothing was typed: say in words what to look for.";
  }
});
at("file").addEventListener("change", (event) => {
  byPicture(event.target.files[0]);
  event.target.value = ""; // the same file may be chosen again
});
at("features").addEventListener("change", (event) => {
  byFeatures(event.target.files[0]);
  event.target.value = "";
});
at("more").addEventListener("click", loadMore);
window.addEventListener("popstate", arrive);
at("media").addEventListener("change", () => lastQuestion?.());
document.addEventListener("paste", (event) => {
  const picture = [...event.clipboardData.files].find((file) => file.type.startsWith("image/"));
  if (picture) byPicture(picture);
});
for (const kind of ["dragenter", "dragover"]) {
  document.addEventListener(kind, (event) => {
    event.preventDefault();
    document.body.classList.add("dropping");
  });
}
document.addEventListener("dragleave", (event) => {
  if (!event.relatedTarget) document.body.classList.remove("dropping");
});
document.addEventListener("drop", (event) => {
  event.preventDefault();
  document.body.classList.remove("dropping");
  byPicture(event.dataTransfer.files[0]);
});

const { runs: [about], limits } = await (await fetch("/api/about")).json();
uploadLimit = limits.upload;
at("name").textContent = about.name;
document.title = `Search ${about.name} – dckt`;
for (const id of about.takes.text ? [] : ["text"]) at(id).closest(".line").hidden = true;
document.querySelector("label[for=text]").hidden = !about.takes.text;
for (const id of about.takes.image ? [] : ["by-picture", "drop-note"]) at(id).hidden = true;
const counts = Object.entries(about.sizes).map(([kind, count]) => counted(count, kind));
const share = about.words?.words ? Math.floor((100 * about.words.known) / about.words.words) : null;
const known = share === null ? "" : `; the run knows ${share} % of the words of the texts`;
at("about").textContent = counts.join(" and ") + known;
if (Object.keys(about.sizes).length < 2) at("media").remove();
at("classes").replaceChildren(...about.classes.map(classLink));
arrive();
