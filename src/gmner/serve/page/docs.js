"use strict";
// The API as a page, from its own description (openapi.json).

const $ = (id) => document.getElementById(id);

fetch("openapi.json").then((answer) => answer.json()).then((api) => {
  $("summary").textContent = api.info.summary;
  const operations = Object.entries(api.paths).flatMap(([path, methods]) =>
    Object.entries(methods).map(([method, operation]) => ({ title: `${method.toUpperCase()} ${path}`, operation })));
  $("told").replaceChildren(...operations.map(({ title, operation }, at) => section(api, title, operation, `route-${at}`)));
  $("routes").replaceChildren(...operations.map(({ title }, at) => {
    const link = element("a", title);
    link.href = `#route-${at}`;
    return element("li", link);
  }));
}).catch(() => { $("status").textContent = "openapi.json can not be read."; });

function section(api, title, operation, id) {
  const made = element("section", element("h2", title), ...paragraphs(operation.description));
  made.id = id;
  for (const [kind, { schema }] of Object.entries(operation.requestBody?.content || {}))
    made.append(element("h3", `Body: ${kind}`), ...fields(api, schema));
  const answers = Map.groupBy(Object.entries(operation.responses), ([, { content }]) => JSON.stringify(content));
  for (const same of answers.values())
    made.append(
      ...same.map(([status, { description }]) => element("h3", `${status}: ${description}`)),
      ...Object.values(same[0][1].content || {}).flatMap(({ schema }) => fields(api, schema || {})));
  return made;
}

/** The fields of an object, and of the objects in it, as a table; nothing for what has no fields. */
function fields(api, schema) {
  const rows = listed(api, schema, "");
  if (!rows.length) return [];
  const head = element("tr", ...["field", "type", "what it is"].map((name) => element("th", name)));
  for (const cell of head.cells) cell.scope = "col";
  return [element("table", element("thead", head), element("tbody", ...rows))];
}

function listed(api, schema, before) {
  const known = resolved(api, schema);
  return Object.entries(known.properties || {}).flatMap(([name, field]) => {
    const place = before + name, told = resolved(api, field), line = element("th", place);
    line.scope = "row";
    const required = known.required?.includes(name) ? "required. " : "";
    const inner = resolved(api, told.items || told);
    return [
      element("tr", line, element("td", kind(api, field)), element("td", required + (field.description || told.description || ""))),
      ...listed(api, inner, `${place}${told.items ? "[]" : ""}.`),
    ];
  });
}

/** A schema without its reference, and of several the one that is not null. */
function resolved(api, schema) {
  if (schema.$ref) return schema.$ref.slice(2).split("/").reduce((at, step) => at[step], api);
  const one = (schema.anyOf || []).find((other) => other.type !== "null");
  return one ? resolved(api, one) : schema;
}

function kind(api, schema) {
  const known = resolved(api, schema);
  if (known.type === "array") return `list of ${kind(api, known.items || {})}`;
  return known.format === "binary" ? "file" : known.type || "anything";
}

/** Markdown's paragraphs and code, which is all that the description has of it. */
function paragraphs(text) {
  return (text || "").split("\n\n").map((words) =>
    element("p", ...words.split("`").map((part, at) => (at % 2 ? element("code", part) : part))));
}

function element(kind, ...content) {
  const made = document.createElement(kind);
  made.append(...content);
  return made;
}
