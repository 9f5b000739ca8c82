// The REST API as this page uses it. The token lives in this tab alone and never in an address.
const KEY = "weft-token";

export class Problem extends Error {
  constructor(status, body) {
    super(body.detail || body.title || `HTTP ${status}`);
    this.status = status;
    this.reason = body.reason || "";
    this.traceId = body.trace_id || "";
  }
}

export const session = {
  get: () => JSON.parse(sessionStorage.getItem(KEY) || "null"),
  set: (value) => sessionStorage.setItem(KEY, JSON.stringify(value)),
  clear: () => sessionStorage.removeItem(KEY),
};

async function call(method, path, body) {
  const headers = { accept: "application/json" };
  const current = session.get();
  if (current) headers.authorization = `Bearer ${current.token}`;
  if (body) headers["content-type"] = "application/json";
  const answer = await fetch(path, { method, headers, body: body && JSON.stringify(body) });
  const text = await answer.text();
  let value = {};
  try { value = text ? JSON.parse(text) : {}; } catch { value = { detail: text }; }
  if (!answer.ok) throw new Problem(answer.status, value);
  return value;
}

export async function login(user, password, project, system) {
  const scope = system ? { system: true } : project ? { project: { name: project } } : undefined;
  const answer = await call("POST", "/identity/v1/tokens", { password: { user_name: user, password }, scope });
  session.set({ token: answer.token, info: answer.info });
}

export function traces({ operations, errors, resource, pageToken }) {
  const query = new URLSearchParams({ page_size: "50" });
  if (operations) query.set("operations_only", "true");
  if (errors) query.set("errors_only", "true");
  if (resource) query.set("resource_id", resource);
  if (pageToken) query.set("page_token", pageToken);
  return call("GET", `/telemetry/v1/traces?${query}`);
}

export const trace = (id) => call("GET", `/telemetry/v1/traces/${encodeURIComponent(id)}`);
