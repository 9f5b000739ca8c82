// The page: log in, list recent work, draw one trace. The address's fragment names the trace shown.
import { login, session, trace, traces } from "./api.js";
import { element, lasted, milliseconds } from "./dom.js";
import { waterfall } from "./waterfall.js";

const REFRESH = 2000; // milliseconds between looks while the page is visible
const at = (id) => document.getElementById(id);
let shown = "", pageToken = "";

function show(...visible) {
  for (const id of ["login", "list", "trace"]) at(id).hidden = !visible.includes(id);
  const info = session.get()?.info;
  at("logout").hidden = !info;
  at("who").textContent = info ? `${info.user_name} · ${info.scope === "system" ? "the whole system" : info.project_name || "no project"}` : "";
}

function complain(error) {
  if (error.status === 401) { session.clear(); return enter(); }
  at("trace").replaceChildren(element("p", { class: "error", role: "alert" }, error.message));
  at("trace").hidden = false;
}

function row(item) {
  const what = item.operation_kind || item.name.replace(/^weft\.\w+\.v1\./, "");
  return element("tr", { class: item.errors ? "failed" : undefined, "data-trace": item.trace_id },
    element("td", {}, new Date(item.started_at).toLocaleTimeString()),
    element("td", {}, element("a", { href: `#${item.trace_id}` }, what),
      element("small", {}, ` ${item.resource_id.slice(0, 8)}`)),
    element("td", {}, lasted(milliseconds(item.duration))),
    element("td", {}, String(item.spans)), element("td", {}, String(item.errors || "")));
}

async function list(append = false) {
  const answer = await traces({
    operations: at("operations").checked, errors: at("errors").checked,
    resource: at("resource").value.trim(), pageToken: append ? pageToken : "",
  });
  const rows = (answer.traces || []).map(row);
  const body = at("list").querySelector("tbody");
  if (append) body.append(...rows); else body.replaceChildren(...rows);
  pageToken = answer.next_page_token || "";
  at("more").hidden = !pageToken;
  at("list").querySelector(".empty").hidden = body.children.length > 0;
}

async function draw(id) {
  const found = await trace(id);
  const summary = found.summary;
  const open = new Set([...at("trace").querySelectorAll("details[open] summary")].map((each) => each.title));
  const drawn = waterfall(found);
  for (const each of drawn.querySelectorAll("summary")) each.parentElement.open = open.has(each.title);
  at("trace").replaceChildren(
    element("div", { class: "tools" },
      element("h2", {}, summary.operation_kind || summary.name.replace(/^weft\.\w+\.v1\./, "")),
      element("p", {}, `${lasted(milliseconds(summary.duration))} · ${summary.spans} spans · `,
        element("code", {}, summary.trace_id)),
      element("a", { href: "#" }, "All recent work")),
    drawn);
}

async function look() {
  try {
    if (shown) { await draw(shown); show("trace"); } else { await list(); show("list"); }
  } catch (error) { complain(error); }
}

function enter() {
  if (!session.get()) return show("login");
  shown = location.hash.slice(1);
  at("trace").replaceChildren();
  return look();
}

at("login").addEventListener("submit", async (event) => {
  event.preventDefault();
  const form = new FormData(event.target);
  const said = event.target.querySelector(".error");
  said.textContent = "";
  try {
    await login(form.get("user"), form.get("password"), form.get("project"), form.get("system") === "on");
    event.target.reset();
    enter();
  } catch (error) { said.textContent = error.message; }
});
at("logout").addEventListener("click", () => { session.clear(); enter(); });
at("more").addEventListener("click", () => list(true).catch(complain));
for (const id of ["operations", "errors", "resource"]) at(id).addEventListener("change", look);
window.addEventListener("hashchange", enter);
// What is open by hand stays; further pages are kept by not refreshing a list that was extended.
setInterval(() => {
  const extended = at("list").querySelectorAll("tbody tr").length > 50;
  if (session.get() && !document.hidden && (shown || !extended)) look();
}, REFRESH);
enter();
