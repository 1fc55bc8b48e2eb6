"use strict";
// The page: a post goes to /v1/predict, and its entities are shown in the text, in the picture and in a table.

const $ = (id) => document.getElementById(id);
const COLOURS = { PER: [11, 98, 196], LOC: [27, 122, 52], ORG: [176, 74, 0], OTHER: [138, 42, 143] };
let picture = null; // the File that was chosen
let row = null; // the result that is shown
let looked = null; // the File that it is of, which is not the chosen one any more when another was chosen since

fetch("v1/systems").then((answer) => answer.json()).then((known) => {
  $("system").textContent = `System: ${known.serving}.`;
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

$("preview").addEventListener("error", () => { $("preview").hidden = true; }); // what is wrong with it, the service says

$("image").addEventListener("change", () => choose($("image").files[0]));
$("remove").addEventListener("click", () => { choose(null); $("image").focus(); });
for (const kind of ["dragover", "drop"]) // beside its place a picture would replace the page
  document.addEventListener(kind, (event) => event.preventDefault());
for (const kind of ["dragover", "dragleave", "drop"])
  $("drop").addEventListener(kind, (event) => {
    $("drop").classList.toggle("over", kind === "dragover");
    if (kind === "drop" && event.dataTransfer.files.length) choose(event.dataTransfer.files[0]);
  });

$("post").addEventListener("submit", async (event) => {
  event.preventDefault();
  const form = $("post"), post = new FormData(), sent = picture;
  if (form.ariaBusy === "true") return; // a button that is disabled would lose the focus
  post.append("text", $("text").value);
  if (sent) post.append("image", sent);
  $("error").hidden = true;
  form.ariaBusy = "true";
  $("status").textContent = "Looking …";
  try {
    const answer = await fetch("v1/predict", { method: "POST", body: post });
    const told = await answer.json().catch(() => null); // what stands between may answer with a page of its own
    if (!answer.ok || !told) throw new Error(told?.error.message || `The service answered with status ${answer.status}.`);
    show(told.posts[0], sent);
  } catch (error) {
    $("error").textContent = error instanceof TypeError ? "The service can not be reached." : error.message;
    $("error").hidden = false;
    $("result").hidden = true;
    $("status").textContent = "";
  } finally {
    form.ariaBusy = "false";
  }
});

function show(found, file) {
  row = found;
  looked = file;
  const count = row.entities.length, kinds = new Map();
  $("status").textContent = `${count} ${count === 1 ? "entity" : "entities"} found.`;
  $("result").hidden = false;
  $("scene").hidden = !looked;
  URL.revokeObjectURL($("picture").src);
  if (looked) $("picture").src = URL.createObjectURL(looked);
  else $("picture").removeAttribute("src");
  for (const { kind } of row.candidates || []) kinds.set(kind, (kinds.get(kind) || 0) + 1);
  $("kinds").textContent = Array.from(kinds, ([kind, number]) => `${number} × ${kind}`).join(", ");
  $("looked").hidden = !kinds.size;
  for (const button of $("downloads").querySelectorAll("button")) button.hidden = !looked && button.dataset.format !== "json";
  $("notes").replaceChildren(...(row.notes || []).map((note) => element("li", note)));
  draw();
}

$("candidates").addEventListener("change", draw);
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
  const seen = entities.flatMap((entity) => (entity.boxes || []).map((box) => ({ box, entity })));
  seen.sort((one, other) => area(other.box) - area(one.box)); // the small ones on top, where the pointer finds them
  const candidates = $("candidates").checked ? row.candidates || [] : [];
  $("boxes").replaceChildren(
    ...candidates.map((candidate) => {
      const text = candidate.text ? ` “${candidate.text}”` : "";
      return rectangle(candidate.box, "candidate", `${candidate.kind}${text}, ${(candidate.score ?? 1).toFixed(2)}`);
    }),
    ...seen.map(({ box, entity }) => {
      const made = rectangle(box, `region ${entity.type}`, `${entity.text}, ${entity.type}`);
      linked(made, entity.number);
      return made;
    }));
}

const area = ([x1, y1, x2, y2]) => (x2 - x1) * (y2 - y1);

function rectangle([x1, y1, x2, y2], classes, words) {
  const made = document.createElementNS("http://www.w3.org/2000/svg", "rect");
  for (const [name, value] of Object.entries({ x: x1, y: y1, width: x2 - x1, height: y2 - y1, class: classes, tabindex: 0, role: "img", "aria-label": words }))
    made.setAttribute(name, value);
  const title = document.createElementNS("http://www.w3.org/2000/svg", "title");
  title.textContent = words;
  made.append(title);
  return made;
}

function tableRow(entity) {
  const line = element("tr", "", entity.type, entity.number), number = (value) => (value == null ? "–" : value.toFixed(2));
  const why = [entity.expression, ...Object.entries(entity.provenance || {}).map(([stage, words]) => `${stage}: ${words}`)];
  line.append(element("th", entity.text), element("td", ""), element("td", number(entity.score), "number"), element("td", number(entity.groundable), "number"), element("td", String(entity.boxes?.length || entity.masks?.length || 0), "number"), element("td", why.filter(Boolean).join("; "), "why"));
  line.cells[1].append(element("span", entity.type, "type"));
  line.role = "row"; // as on narrow screens the table is laid out as a grid, which would hide that it is one
  for (const cell of line.cells) cell.role = cell.tagName === "TH" ? "rowheader" : "cell";
  line.cells[0].scope = "row";
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
  const format = event.target.dataset.format, name = looked ? looked.name : "post";
  if (!format) return;
  const stem = name.replace(/\.[^.]*$/, ""), json = (value) => new Blob([JSON.stringify(value, null, 1)], { type: "application/json" });
  if (format === "json") save(json({ ...row, entities: shown().map(({ number, ...entity }) => entity) }), `${stem}.json`);
  if (format === "coco") save(json(toCoco(row, shown(), name)), `${stem}.coco.json`);
  if (format === "labelme") save(json(await toLabelme(row, shown(), name, await upright(looked))), `${stem}.labelme.json`);
  if (format === "png") overlay().toBlob((blob) => save(blob, `${stem}.overlay.png`), "image/png");
});

/** The picture with its masks and boxes. */
function overlay() {
  const canvas = document.createElement("canvas"), pen = canvas.getContext("2d");
  [canvas.width, canvas.height] = row.image_size;
  pen.drawImage($("picture"), 0, 0, canvas.width, canvas.height);
  pen.globalAlpha = 0.5;
  pen.drawImage($("masks"), 0, 0);
  pen.globalAlpha = 1;
  const size = Math.max(12, canvas.width / 40);
  pen.lineWidth = Math.max(2, canvas.width / 300);
  pen.font = `${size}px sans-serif`;
  for (const entity of shown())
    for (const [x1, y1, x2, y2] of entity.boxes || []) {
      pen.strokeStyle = pen.fillStyle = `rgb(${COLOURS[entity.type]})`;
      pen.strokeRect(x1, y1, x2 - x1, y2 - y1);
      const words = `${entity.text} ${entity.type}`;
      pen.fillRect(x1, y1, pen.measureText(words).width + size, 1.4 * size);
      pen.fillStyle = "#fff";
      pen.fillText(words, x1 + size / 2, y1 + size);
    }
  return canvas;
}

/** The file in base64, or its picture anew where the file may say that it is to be turned: labelme would not turn it. */
async function upright(file) {
  const text = new TextDecoder("latin1").decode(await file.arrayBuffer());
  if (!/Exif\0\0|eXIf|EXIF/.test(text)) return base64(file);
  const picture = await createImageBitmap(file), canvas = document.createElement("canvas");
  [canvas.width, canvas.height] = [picture.width, picture.height];
  canvas.getContext("2d").drawImage(picture, 0, 0);
  return canvas.toDataURL(file.type === "image/jpeg" ? "image/jpeg" : "image/png", 0.95).split(",")[1];
}

function save(blob, name) {
  const link = element("a", "");
  link.href = URL.createObjectURL(blob);
  link.download = name;
  link.click();
  setTimeout(() => URL.revokeObjectURL(link.href), 1000);
}
