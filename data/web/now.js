// Flows that live, by the domain that they are with.

import {ask} from "./api.js";
import {age, bytes, h, Rows, setText, Spark} from "./dom.js";
import {kSamples} from "./model.js";

const kShownMax = 200;   // Flows of a domain that are drawn.

const rate = value => value < 1 ? "" : `${bytes(value)}/s`;

function groupsOf(model, filter) {
  const groups = new Map();
  for (const flow of model.flows.values()) {
    if (!filter(flow)) continue;
    const name = model.domainOf(flow.name) || flow.address;
    let group = groups.get(name);
    if (!group) {
      group = {name, known: Boolean(flow.name), flows: [], out: 0, in: 0, to: 0, from: 0, kernel: 0,
        rates: []};
      groups.set(name, group);
    }
    group.flows.push(flow);
    group.out += flow.out;
    group.in += flow.in;
    group.to += flow.bytes_to_host;
    group.from += flow.bytes_to_guest;
    group.kernel += flow.path === "kernel" ? 1 : 0;
    const shift = kSamples - flow.rates.length;
    flow.rates.forEach((value, i) => {
      group.rates[shift + i] = (group.rates[shift + i] ?? 0) + value;
    });
  }
  // By the last minute, so that rows do not jump with every second.
  for (const group of groups.values()) {
    group.weight = group.rates.reduce((sum, value) => sum + (value ?? 0), 0);
  }
  return [...groups.values()].sort((a, b) => b.weight - a.weight ||
    (b.to + b.from) - (a.to + a.from) || (a.name < b.name ? -1 : 1));
}

function badges(tap, kernel) {
  return [tap ? h("span", {class: "badge", title: "carried by sluice, frame by frame"},
    tap === true ? "tap" : `tap ${tap}`) : null,
  kernel ? h("span", {class: "badge kernel", title: "carried by the guest's kernel"},
    kernel === true ? "kernel" : `kernel ${kernel}`) : null];
}

export class NowView {
  constructor(page) {
    this.page = page;
    this.open = new Set();
    this.body = h("tbody");
    this.none = h("p", {class: "none"}, "No flow lives.");
    this.table = h("table", {},
      h("thead", {}, h("tr", {}, h("th", {}, "Domain"), h("th", {class: "wide"}, "Path"),
        h("th", {}, "Rate"), h("th", {class: "number"}, "Out"), h("th", {class: "number"}, "In"),
        h("th", {class: "number wide"}, "Moved"), h("th", {}, h("span", {class: "unseen"}, "End")))),
      this.body);
    this.element = h("div", {}, this.table, this.none);
    this.rows = new Rows(this.body);
  }

  show(model, filter) {
    const lines = [];
    for (const group of groupsOf(model, filter)) {
      lines.push({key: `g ${group.name}`, group});
      if (!this.open.has(group.name)) continue;
      const flows = group.flows.sort((a, b) => a.opened < b.opened ? 1 : -1);
      for (const flow of flows.slice(0, kShownMax)) lines.push({key: flow.flow, flow});
      if (flows.length > kShownMax) {
        lines.push({key: `m ${group.name}`, more: flows.length - kShownMax});
      }
    }
    this.none.hidden = lines.length > 0;
    this.table.hidden = lines.length === 0;
    setText(this.none, model.flows.size > 0 ? "No flow is like this." : "No flow lives.");
    this.rows.show(lines, line => line.key,
      line => line.group ? this.makeGroup(line.group.name)
        : line.flow ? this.makeFlow(line.flow) : h("tr", {class: "flow"}, h("td", {colspan: 7})),
      (row, line) => {
        if (line.group) row.fill(line.group);
        else if (line.flow) row.fill(line.flow);
        else setText(row.firstChild, `… and ${line.more} more`);
      });
  }

  toggle(name) {
    if (!this.open.delete(name)) this.open.add(name);
    this.page.draw();
  }

  makeGroup(name) {
    const count = h("span", {class: "small"});
    const button = h("button", {class: "open", "aria-expanded": "false",
      onclick: () => this.toggle(name)}, h("span", {class: "turn", "aria-hidden": "true"}, "▸"),
    h("b", {}, name), count);
    const spark = new Spark(`rate of ${name}`);
    const cells = {path: h("td", {class: "wide"}), out: h("td", {class: "number"}),
      in: h("td", {class: "number"}), moved: h("td", {class: "number wide"})};
    const row = h("tr", {class: "group"}, h("td", {class: "what"}, button), cells.path,
      h("td", {}, spark.element), cells.out, cells.in, cells.moved, h("td"));
    row.fill = group => {
      button.setAttribute("aria-expanded", String(this.open.has(name)));
      setText(count, group.flows.length === 1 ? "1 flow" : `${group.flows.length} flows`);
      const tap = group.flows.length - group.kernel;
      if (row.paths !== `${tap} ${group.kernel}`) {
        row.paths = `${tap} ${group.kernel}`;
        cells.path.replaceChildren(...badges(tap, group.kernel).filter(badge => badge));
      }
      spark.show(Array.from({length: kSamples}, (_, i) => group.rates[i] ?? 0));
      setText(cells.out, rate(group.out));
      setText(cells.in, rate(group.in));
      setText(cells.moved, bytes(group.to + group.from));
    };
    return row;
  }

  makeFlow(flow) {
    const cells = {path: h("td", {class: "wide"}), age: h("td", {class: "small"}),
      out: h("td", {class: "number"}), in: h("td", {class: "number"}),
      moved: h("td", {class: "number wide"})};
    const port = flow.port ? `:${flow.port}` : "";
    const end = h("button", {class: "stop", title: "Reset it on both sides",
      "aria-label": `End the flow to ${flow.name ?? flow.address}${port}`,
      onclick: () => this.end(flow.flow, end)}, "End");
    const row = h("tr", {class: "flow"},
      h("td", {class: "what"}, `${flow.name ?? flow.address}${port}/${flow.proto} `,
        flow.name ? h("span", {class: "small mono"}, flow.address) : null),
      cells.path, cells.age, cells.out, cells.in, cells.moved, h("td", {class: "number"}, end));
    row.fill = now => {
      if (row.path !== now.path) {
        row.path = now.path;
        cells.path.replaceChildren(
          ...badges(now.path === "tap", now.path === "kernel").filter(badge => badge));
      }
      setText(cells.age, age(now.duration_s));
      setText(cells.out, rate(now.out));
      setText(cells.in, rate(now.in));
      setText(cells.moved, bytes(now.bytes_to_host + now.bytes_to_guest));
    };
    return row;
  }

  async end(flow, button) {
    button.disabled = true;
    try {
      await ask(this.page.model.run, "kill", {flow});
      this.page.model.flows.delete(flow);
      this.page.draw();
    } catch (error) {
      this.page.tell(error.message);
    }
  }
}
