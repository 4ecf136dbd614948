// What the page asks of `sluice web`, which hands it on to the run. The token of the URL is used
// once; what it was exchanged for is a cookie that no script sees, and a key that stays with this
// origin.

const kKey = "sluice-key";

function headers(more = {}) {
  return {"X-Sluice-Key": sessionStorage.getItem(kKey) ?? "", ...more};
}

async function post(path, body) {
  const response = await fetch(path, {
    method: "POST",
    headers: headers({"Content-Type": "application/json"}),
    body: JSON.stringify(body),
  });
  const answer = await response.json().catch(() => ({}));
  if (!response.ok) throw new Error(answer.error ?? `status ${response.status}`);
  return answer;
}

// Takes the token out of the address, and opens the session with it.
export async function openSession() {
  const token = location.hash.slice(1);
  if (token) {
    history.replaceState(null, "", location.pathname);
    const answer = await post("/api/session", {token});
    sessionStorage.setItem(kKey, answer.key);
  }
}

export async function listRuns() {
  const response = await fetch("/api/runs", {headers: headers()});
  const answer = await response.json();
  if (!response.ok) throw new Error(answer.error);
  return answer.runs.map(run => run.answer);
}

// A request of the control socket. What came before its last line is in `items`; a refusal of the
// run's is an error that has its word as `code`.
export async function ask(run, what, members = {}) {
  const {items, answer} = await post("/api/ask", {run, do: what, ...members});
  if (answer.ok) return {items, answer};
  throw Object.assign(new Error(answer.message), {code: answer.error});
}

export async function domainsOf(names) {
  return post("/api/domains", {names});
}

// The events of a run, as server-sent events, which a fetch can send a header with. Ends when the
// run does, or is called off by the signal.
export async function* events(run, signal) {
  const response = await fetch(`/api/events?run=${encodeURIComponent(run)}`,
    {headers: headers(), signal});
  if (!response.ok) throw new Error((await response.json()).error);
  const reader = response.body.pipeThrough(new TextDecoderStream()).getReader();
  let rest = "";
  while (true) {
    const {value, done} = await reader.read();
    if (done) return;
    const pieces = (rest + value).split("\n\n");
    rest = pieces.pop();
    for (const piece of pieces) {
      let type = "message";
      let data = "";
      for (const line of piece.split("\n")) {
        if (line.startsWith("event: ")) type = line.slice(7);
        if (line.startsWith("data: ")) data = line.slice(6);
      }
      if (type === "end") return;
      if (data) yield {type, data};
    }
  }
}
