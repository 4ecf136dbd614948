// What the page knows of the run that it shows: flows that live, what was refused, names, and all
// events since it was opened. Bounded everywhere.

import {ask, domainsOf} from "./api.js";
import {isRefusal} from "./filter.js";

export const kSamples = 60;          // Of a rate, one a look.
const kRefusedMax = 2000;
const kNamesMax = 2000;
const kEventsMax = 20000;
const kDomainsMax = 10000;
const kPageMax = 512;                // Names that are asked for at a time.

const lastLabels = name => name.split(".").slice(-2).join(".");

// A look that is taken however often it is asked for by one at a time: who asks while one is under
// way shares the next.
function shared(look) {
  let busy = null;
  let next = null;
  const begin = () => {
    busy = look().finally(() => { busy = null; });
    return busy;
  };
  return () => {
    if (!busy) return begin();
    next ??= busy.catch(() => {}).then(() => {
      next = null;
      return busy ?? begin();
    });
    return next;
  };
}

export class Model {
  constructor(run) {
    this.run = run;
    this.status = null;
    this.flows = new Map();          // Number → flow, with its rates.
    this.looked = 0;                 // When the flows were looked at last.
    this.refused = new Map();        // What and why → row.
    this.names = new Map();          // Name → row.
    this.questions = [];
    this.asks = true;                // The run knows the word.
    this.rules = null;
    this.rulesWhy = "";
    this.events = [];                // Lines as they came.
    this.lost = 0;
    this.ended = false;
    this.domains = new Map();
    this.unknown = new Set();
    this.lookAtQuestions = shared(() => this.readQuestions());
    this.lookAtRules = shared(() => this.readRules());
  }

  // Whose a name is; a guess until it is known.
  domainOf(name) {
    if (!name) return "";
    const known = this.domains.get(name);
    if (known !== undefined) return known || name;
    if (this.domains.size + this.unknown.size < kDomainsMax) this.unknown.add(name);
    return lastLabels(name);
  }

  async learnDomains() {
    const names = [...this.unknown].slice(0, kPageMax);
    if (names.length === 0) return;
    const answer = await domainsOf(names);
    for (const name of names) {
      this.unknown.delete(name);
      this.domains.set(name, answer[name] ?? "");
    }
  }

  async lookAtStatus() {
    this.status = (await ask(this.run, "status")).answer;
  }

  async lookAtFlows() {
    const seen = new Set();
    const now = performance.now();
    const passed = this.looked ? (now - this.looked) / 1000 : 0;
    let from;
    do {
      const page = await ask(this.run, "flows", from ? {from} : {});
      for (const flow of page.items) {
        seen.add(flow.flow);
        this.noteFlow(flow, passed);
      }
      from = page.answer.next;
    } while (from);
    for (const number of this.flows.keys()) if (!seen.has(number)) this.flows.delete(number);
    this.looked = now;
  }

  noteFlow(flow, passed) {
    const known = this.flows.get(flow.flow);
    const moved = known && passed > 0
      ? [(flow.bytes_to_host - known.bytes_to_host) / passed,
        (flow.bytes_to_guest - known.bytes_to_guest) / passed]
      : [0, 0];
    const rates = known ? known.rates : [];
    rates.push(Math.max(0, moved[0] + moved[1]));
    if (rates.length > kSamples) rates.shift();
    this.flows.set(flow.flow, {...flow, out: Math.max(0, moved[0]), in: Math.max(0, moved[1]), rates});
  }

  async readQuestions() {
    if (!this.asks) return;
    try {
      const {items} = await ask(this.run, "pending");
      this.questions = items;
    } catch (error) {
      if (error.code !== "unknown-request") throw error;
      this.asks = false;
      this.questions = [];
    }
  }

  async readRules() {
    const rules = [];
    let from;
    let last;
    try {
      do {
        last = await ask(this.run, "rules", from ? {from} : {});
        rules.push(...last.items);
        from = last.answer.next;
      } while (from && rules.length < 5000);
      this.rules = {list: rules, default: last.answer.default, generation: last.answer.generation};
    } catch (error) {
      if (error.code !== "unknown-request") throw error;
      this.rulesWhy = "This run is of a version that does not tell its rules.";
    }
  }

  async lookAtRefused() {
    try {
      const {items} = await ask(this.run, "refused");
      // The run has counted from its beginning, and events are among these.
      for (const row of items) this.noteRefused({...row, time: null}, 0, row.count);
    } catch (error) {
      if (error.code !== "unknown-request") throw error;
    }
  }

  // `count` more of them, or `all` that there were.
  noteRefused(event, count, all) {
    const what = event.name || event.address || "";
    if (!what && !event.left_out) return;
    const key = `${what} ${event.port ?? ""} ${event.proto ?? ""} ${event.reason}`;
    const row = this.refused.get(key) ?? {key, count: 0, ...event};
    const before = row.count;
    row.count = all ?? before + count;
    row.time = event.time ?? row.time;
    if (row.count <= before) return;
    this.refused.delete(key);
    this.refused.set(key, row);      // The newest stands last.
    if (this.refused.size > kRefusedMax) this.refused.delete(this.refused.keys().next().value);
  }

  noteName(event) {
    const row = this.names.get(event.name) ?? {name: event.name, count: 0, refused: 0};
    row.count += 1;
    row.result = event.result ?? "";
    row.reason = event.reason ?? "";
    row.query = event.query ?? "";
    row.time = event.time;
    if (row.result === "refused") row.refused += 1;
    this.names.delete(event.name);
    this.names.set(event.name, row);
    if (this.names.size > kNamesMax) this.names.delete(this.names.keys().next().value);
  }

  // A line of the stream. Returns what it was about.
  take(line) {
    const event = JSON.parse(line);
    this.events.push(line);
    if (this.events.length > kEventsMax) this.events.splice(0, kEventsMax / 10);
    if (isRefusal(event)) this.noteRefused(event, event.left_out ?? 1);
    if (event.type === "dns" && event.name) {
      this.noteName(event);
      if (event.result === "refused") this.noteRefused(event, 1);
    }
    if (event.type === "lost") this.lost += event.count;
    if (event.type === "end") this.ended = true;
    if (["close", "deny", "limit", "revoke"].includes(event.type)) this.flows.delete(event.flow);
    return event.type;
  }
}
