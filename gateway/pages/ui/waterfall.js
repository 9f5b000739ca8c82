// One trace as a waterfall: a row a span, indented below what caused it, drawn where it stood in time.
import { element, lasted, milliseconds } from "./dom.js";

// Timestamps have microseconds, which Date drops: the fraction is read from the text.
function instant(text) {
  const fraction = /\.(\d+)/.exec(text);
  return Date.parse(text.replace(/\.\d+/, "")) + (fraction ? parseFloat(`0.${fraction[1]}`) * 1000 : 0);
}

// Spans in the order of a tree walk, each with its depth. A span whose cause is not here is a root.
export function tree(spans) {
  const known = new Set(spans.map((span) => span.span_id));
  const below = new Map();
  for (const span of spans) {
    const cause = known.has(span.parent_span_id) && span.parent_span_id !== span.span_id ? span.parent_span_id : "";
    if (!below.has(cause)) below.set(cause, []);
    below.get(cause).push(span);
  }
  const rows = [], seen = new Set();
  const walk = (cause, depth) => {
    for (const span of below.get(cause) || []) {
      if (seen.has(span.span_id)) continue;
      seen.add(span.span_id);
      rows.push({ span, depth });
      walk(span.span_id, depth + 1);
    }
  };
  walk("", 0);
  return rows;
}

const COLOURS = ["#2b6cb0", "#2f855a", "#b7791f", "#6b46c1", "#c05621", "#285e61", "#97266d", "#4a5568"];

function details(span) {
  const facts = [["span", span.span_id], ["kind", (span.kind || "").replace("SPAN_KIND_", "").toLowerCase()],
    ["began", span.started_at], ...Object.entries(span.attributes || {}).sort()];
  const table = element("table", {}, ...facts.map(([key, value]) =>
    element("tr", {}, element("th", { scope: "row" }, key), element("td", {}, value))));
  const events = (span.events || []).map((event) =>
    element("li", {}, `${event.time}  ${event.name}  `, Object.entries(event.attributes || {}).map(([k, v]) => `${k}=${v}`).join(" ")));
  return element("div", { class: "details" },
    span.status_message ? element("p", { class: "error" }, span.status_message) : null,
    table, events.length ? element("ul", {}, ...events) : null);
}

export function waterfall(trace) {
  const spans = trace.spans || [];
  const begin = Math.min(...spans.map((span) => instant(span.started_at)));
  const end = Math.max(...spans.map((span) => instant(span.started_at) + milliseconds(span.duration)));
  const total = Math.max(end - begin, 0.001);
  const services = [...new Set(spans.map((span) => span.service))];
  const colour = (service) => COLOURS[services.indexOf(service) % COLOURS.length];
  const legend = element("p", { class: "legend" }, ...services.map((service) => {
    const mark = element("span", { class: "mark" });
    mark.style.background = colour(service);
    return element("span", {}, mark, service);
  }));
  const rows = tree(spans).map(({ span, depth }) => {
    const failed = span.status === "SPAN_STATUS_ERROR";
    const ms = milliseconds(span.duration);
    const bar = element("span", { class: failed ? "bar failed" : "bar" });
    bar.style.left = `${((instant(span.started_at) - begin) / total) * 100}%`;
    bar.style.width = `${Math.max((ms / total) * 100, 0.15)}%`;
    if (!failed) bar.style.background = colour(span.service);
    const name = element("span", { class: "name" }, failed ? "✗ " : "", span.name.replace(/^weft\.\w+\.v1\./, ""));
    name.style.paddingLeft = `${depth * 14}px`;
    return element("details", { class: failed ? "row failed" : "row" },
      element("summary", { title: span.name },
        name, element("span", { class: "service" }, span.service),
        element("span", { class: "track" }, bar), element("span", { class: "took" }, lasted(ms))),
      details(span));
  });
  return element("div", { class: "waterfall", role: "list" }, legend, ...rows);
}
