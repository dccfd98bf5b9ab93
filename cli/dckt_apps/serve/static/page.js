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

function show({ results, unknown, cut, unlikely }) {
  const said = [results.length === 1 ? "1 result" : `${results.length} results, the nearest first`];
  if (unlikely) said[0] = `Nothing here is likely to be what you look for; ${said[0]}`;
  if (unknown?.length) said.push(`not known: ${unknown.join(", ")}`);
  if (cut) said.push("the text is longer than what is read, and its end is left out");
  at("status").textContent = said.join("; ");
  const list = at("results");
  list.className = results.some((row) => row.picture) ? "" : "texts";
  list.replaceChildren(...results.map(item));
}

function item(row) {
  const entry = document.createElement("li");
  if (row.picture) {
    const picture = document.createElement("img");
    picture.src = row.picture;
    picture.alt = `Result ${row.rank}: ${row.label ?? row.id}`;
    entry.append(picture);
  }
  if (row.text !== undefined) entry.append(paragraph("text", row.text));
  if (row.label !== undefined) entry.append(paragraph("label", row.label));
  const sure = row.probability === undefined ? "" : `, ${percent(row.probability)} likely`;
  entry.append(paragraph("place", `${row.rank}. Cosine ${row.cosine.toFixed(3)}${sure}`), paragraph("place", row.id));
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

function byText(text, insist = false) {
  lastQuestion = (anyway = insist) => byText(text, anyway);
  present(null);
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
  present(picture);
  at("text").value = "";
  const headers = { "Content-Type": "application/octet-stream" };
  ask(`/api/search/image?k=${RESULTS}&medium=${medium()}`, { method: "POST", headers, body: picture });
}

function byFeatures(file) {
  if (!file) return;
  lastQuestion = () => byFeatures(file);
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
});
at("file").addEventListener("change", (event) => {
  byPicture(event.target.files[0]);
  event.target.value = ""; // the same file may be chosen again
});
at("features").addEventListener("change", (event) => {
  byFeatures(event.target.files[0]);
  event.target.value = "";
});
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

const about = await (await fetch("/api/about")).json();
uploadLimit = about.limits.upload;
at("name").textContent = about.name;
document.title = `Search ${about.name} – dckt`;
for (const id of about.takes.text ? [] : ["text"]) at(id).closest(".line").hidden = true;
document.querySelector("label[for=text]").hidden = !about.takes.text;
for (const id of about.takes.image ? [] : ["by-picture", "drop-note"]) at(id).hidden = true;
const counts = Object.entries(about.sizes).map(([kind, count]) => `${count.toLocaleString("en")} ${kind}s`);
const share = about.words?.words ? Math.floor((100 * about.words.known) / about.words.words) : null;
const known = share === null ? "" : `; the run knows ${share} % of the words of the texts`;
at("about").textContent = counts.join(" and ") + known;
if (Object.keys(about.sizes).length < 2) at("media").remove();
