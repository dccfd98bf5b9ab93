// Pictures and features that come as files: chosen, dropped or pasted.

import { at, make, visible } from "./dom.js";
import { tell } from "./results.js";
import { afresh, fileHere, go } from "./state.js";

let limit = Infinity; // bytes

function send(file, kind, change = {}) {
  if (!file) return;
  if (file.size > limit) {
    tell(`Not sent: ${visible(file.name)} has ${(file.size / 1e6).toFixed(1)} MB, more than the ${limit / 1e6} MB that may be sent.`, true);
    return;
  }
  if (kind === "picture" && file.type && !file.type.startsWith("image/")) {
    tell(`Not sent: ${visible(file.name)} is no picture.`, true);
    return;
  }
  go(afresh({ file: file.name || "a picture", kind, ...change }), { file });
}

/** The picture that is looked for, small; null where there is none. */
export function thumbnail() {
  const file = fileHere();
  if (!file?.type.startsWith("image/")) return null;
  const src = URL.createObjectURL(file);
  const free = () => URL.revokeObjectURL(src);
  return make("img", { id: "preview", src, alt: "The picture that is looked for", on: { load: free, error: free } });
}

export function startUploads(takes, most) {
  limit = most;
  for (const [id, kind] of [["file", "picture"], ["features", "features"]]) {
    at(id).addEventListener("change", ({ target }) => {
      send(target.files[0], kind, kind === "features" ? { of: at("of").value } : {});
      target.value = ""; // the same file may be chosen again
    });
  }
  if (!takes.image) return;
  document.addEventListener("paste", (event) => {
    const file = [...event.clipboardData.files].find((one) => one.type.startsWith("image/"));
    if (!file) return;
    event.preventDefault();
    send(file, "picture");
  });
  for (const kind of ["dragenter", "dragover"]) {
    document.addEventListener(kind, (event) => {
      if (!event.dataTransfer?.types.includes("Files")) return;
      event.preventDefault();
      document.body.classList.add("dropping");
    });
  }
  document.addEventListener("dragleave", (event) => event.relatedTarget || document.body.classList.remove("dropping"));
  document.addEventListener("drop", (event) => {
    document.body.classList.remove("dropping");
    if (!event.dataTransfer.files.length) return;
    event.preventDefault();
    send(event.dataTransfer.files[0], "picture");
  });
}
