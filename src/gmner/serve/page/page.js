"use strict";
// The page: a post goes to /v1/predict/form, and its entities are shown in the text, in the picture and in a table.

const $ = (id) => document.getElementById(id);
const COLOURS = { PER: [11, 98, 196], LOC: [27, 122, 52], ORG: [176, 74, 0], OTHER: [138, 42, 143] };
let picture = null; // the File that was chosen
let row = null; // the result that is shown

fetch("v1/systems").then((answer) => answer.ok && answer.json()).then((known) => {
  if (known) $("system").textContent = `System: ${known.serving}.`;
  else $("access").open = true;
}).catch(() => {});

function choose(file) {
  picture = file || null;
  for (const id of ["preview", "remove"]) $(id).hidden = !picture;
  URL.revokeObjectURL($("preview").src);
  if (picture) {
    $("preview").src = URL.createObjectURL(picture);
    $("preview").alt = `The chosen picture, ${picture.name}`;
  } else {
    $("preview").removeAttribute("src");
    $("image").value = "";
  }
}

$("image").addEventListener("change", () => choose($("image").files[0]));
$("remove").addEventListener("click", () => { choose(null); $("image").focus(); });
for (const kind of ["dragover", "dragleave", "drop"])
  $("drop").addEventListener(kind, (event) => {
    event.preventDefault();
    $("drop").classList.toggle("over", kind === "dragover");
    if (kind === "drop" && event.dataTransfer.files.length) choose(event.dataTransfer.files[0]);
  });

$("post").addEventListener("submit", async (event) => {
  event.preventDefault();
  const form = new FormData();
  form.append("text", $("text").value);
  if (picture) form.append("image", picture);
  $("error").hidden = true;
  $("send").disabled = true;
  $("status").textContent = "Looking …";
  try {
    const key = $("key").value, headers = key ? { "X-API-Key": key } : {};
    const answer = await fetch("v1/predict/form", { method: "POST", body: form, headers });
    const told = await answer.json();
    if (!answer.ok) throw new Error(told.error.message);
    show(told.posts[0]);
  } catch (error) {
    $("error").textContent = error instanceof TypeError ? "The service can not be reached." : error.message;
    $("error").hidden = false;
    $("result").hidden = true;
    $("status").textContent = "";
  } finally {
    $("send").disabled = false;
  }
});

function show(found) {
  row = found;
  const count = row.entities.length;
  $("status").textContent = `${count} ${count === 1 ? "entity" : "entities"} found.`;
  $("result").hidden = false;
  $("scene").hidden = !picture;
  if (picture) {
    URL.revokeObjectURL($("picture").src);
    $("picture").src = URL.createObjectURL(picture);
  }
  $("notes").replaceChildren(...(row.notes || []).map((note) => element("li", note)));
  draw();
}

for (const id of ["score", "visible"])
  $(id).addEventListener("input", () => {
    $(`${id}-value`).textContent = Number($(id).value).toFixed(2);
    if (row) draw();
  });

/** The entities that the sliders let through; those that are not sure enough to be seen without their regions. */
function shown() {
  return row.entities
    .map((entity, number) => ({ ...entity, number }))
    .filter((entity) => (entity.score ?? 1) >= Number($("score").value))
    .map((entity) => ((entity.groundable ?? 1) >= Number($("visible").value) ? entity : { ...entity, boxes: [], masks: [] }));
}

function draw() {
  const entities = shown();
  drawText(entities);
  drawPicture(entities);
  $("entities").replaceChildren(...entities.map(tableRow));
}

function drawText(entities) {
  const letters = Array.from(row.text), parts = []; // offsets count code points
  let at = 0;
  for (const entity of entities.filter((one) => one.start != null).sort((one, other) => one.start - other.start)) {
    if (entity.start < at) continue;
    parts.push(letters.slice(at, entity.start).join(""));
    const mark = element("mark", letters.slice(entity.start, entity.end).join(""), entity.type, entity.number);
    mark.classList.add(entity.boxes?.length ? "seen" : "unseen");
    mark.tabIndex = 0;
    mark.append(element("small", entity.type));
    parts.push(mark);
    at = entity.end;
  }
  $("reading").replaceChildren(...parts, letters.slice(at).join(""));
}

function drawPicture(entities) {
  if (!row.image_size) return;
  const [width, height] = row.image_size, canvas = $("masks"), pen = canvas.getContext("2d");
  canvas.width = width;
  canvas.height = height;
  const image = pen.createImageData(width, height);
  for (const entity of entities)
    for (const mask of entity.masks || [])
      decodeMask(mask).forEach((on, at) => on && image.data.set([...COLOURS[entity.type], 255], 4 * at));
  pen.putImageData(image, 0, 0);
  $("boxes").setAttribute("viewBox", `0 0 ${width} ${height}`);
  $("boxes").replaceChildren(
    ...entities.flatMap((entity) =>
      (entity.boxes || []).map(([x1, y1, x2, y2]) => {
        const box = document.createElementNS("http://www.w3.org/2000/svg", "rect");
        for (const [name, value] of Object.entries({ x: x1, y: y1, width: x2 - x1, height: y2 - y1, class: `region ${entity.type}`, tabindex: 0, role: "img", "aria-label": `${entity.text}, ${entity.type}` }))
          box.setAttribute(name, value);
        linked(box, entity.number);
        return box;
      })));
}

function tableRow(entity) {
  const line = element("tr", "", entity.type, entity.number), number = (value) => (value == null ? "–" : value.toFixed(2));
  const why = [entity.expression, ...Object.entries(entity.provenance || {}).map(([stage, words]) => `${stage}: ${words}`)];
  line.append(element("td", entity.text), element("td", ""), element("td", number(entity.score)), element("td", number(entity.groundable)), element("td", String(entity.boxes?.length || entity.masks?.length || 0)), element("td", why.filter(Boolean).join("; ")));
  line.cells[1].append(element("span", entity.type, "type"));
  for (const cell of [2, 3, 4]) line.cells[cell].className = "number";
  return line;
}

function element(kind, text, classes = "", number = null) {
  const made = document.createElement(kind);
  made.textContent = text;
  made.className = classes;
  if (number !== null) linked(made, number);
  return made;
}

/** Whatever shows one entity lights up together, by pointer and by keyboard. */
function linked(made, number) {
  made.dataset.entity = number;
  const light = (on) => document.querySelectorAll(`[data-entity="${number}"]`).forEach((one) => one.classList.toggle("on", on));
  for (const kind of ["pointerenter", "focus"]) made.addEventListener(kind, () => light(true));
  for (const kind of ["pointerleave", "blur"]) made.addEventListener(kind, () => light(false));
}

$("downloads").addEventListener("click", async (event) => {
  const format = event.target.dataset.format, name = picture ? picture.name : "post";
  if (!format) return;
  const stem = name.replace(/\.[^.]*$/, ""), json = (value) => new Blob([JSON.stringify(value, null, 1)], { type: "application/json" });
  if (format === "json") save(json({ ...row, entities: shown().map(({ number, ...entity }) => entity) }), `${stem}.json`);
  if (format === "coco") save(json(toCoco(row, shown(), name)), `${stem}.coco.json`);
  if (format === "labelme") save(json(toLabelme(row, shown(), name, picture ? await base64(picture) : null)), `${stem}.labelme.json`);
  if (format === "png") overlay().toBlob((blob) => save(blob, `${stem}.overlay.png`), "image/png");
});

/** The picture with its masks and boxes. */
function overlay() {
  const canvas = document.createElement("canvas"), pen = canvas.getContext("2d");
  [canvas.width, canvas.height] = row.image_size || [1, 1];
  if (!row.image_size) return canvas;
  pen.drawImage($("picture"), 0, 0, canvas.width, canvas.height);
  pen.globalAlpha = 0.5;
  pen.drawImage($("masks"), 0, 0);
  pen.globalAlpha = 1;
  pen.lineWidth = Math.max(2, canvas.width / 300);
  pen.font = `${Math.max(12, canvas.width / 40)}px sans-serif`;
  for (const entity of shown())
    for (const [x1, y1, x2, y2] of entity.boxes || []) {
      pen.strokeStyle = pen.fillStyle = `rgb(${COLOURS[entity.type]})`;
      pen.strokeRect(x1, y1, x2 - x1, y2 - y1);
      pen.fillText(`${entity.text} ${entity.type}`, x1 + 4, y1 + Math.max(14, canvas.width / 36));
    }
  return canvas;
}

async function base64(file) {
  const bytes = new Uint8Array(await file.arrayBuffer());
  let text = "";
  for (let at = 0; at < bytes.length; at += 32768) text += String.fromCharCode(...bytes.subarray(at, at + 32768));
  return btoa(text);
}

function save(blob, name) {
  const link = element("a", "");
  link.href = URL.createObjectURL(blob);
  link.download = name;
  link.click();
  setTimeout(() => URL.revokeObjectURL(link.href), 1000);
}
