// The page: which run is shown, by which view, and when it is looked at anew.

import {events, listRuns, openSession} from "./api.js";
import {age, bytes, h, setText} from "./dom.js";
import {parseFilter} from "./filter.js";
import {Model} from "./model.js";
import {NowView} from "./now.js";
import {PendingView} from "./pending.js";
import {ExportView, NamesView, PolicyView, RefusedView} from "./tables.js";

const kLookEach = 1000;
const kRunsEach = 3;      // Looks between two at the list of runs, and at what changes seldom.
const kAllTheTime = 400;  // With more flows than this they are looked at half as often.

const find = id => document.getElementById(id);

class Page {
  constructor() {
    this.model = null;
    this.filter = () => true;
    this.pending = new PendingView(this, find("pending"));
    this.views = [
      {id: "now", title: "Now", view: new NowView(this), count: model => model.flows.size},
      {id: "refused", title: "Refused", view: new RefusedView(this),
        count: model => model.refused.size},
      {id: "dns", title: "DNS", view: new NamesView(), count: model => model.names.size},
      {id: "policy", title: "Policy", view: new PolicyView(), count: () => 0},
      {id: "export", title: "Export", view: new ExportView(this), count: () => 0},
    ];
    this.shown = this.views[0];
    this.looks = 0;
    this.drawing = false;
    this.stop = new AbortController();
    for (const each of this.views) {
      each.number = h("span", {class: "count"});
      each.tab = h("button", {role: "tab", id: `tab-${each.id}`, onclick: () => this.choose(each)},
        each.title, each.number);
      find("tabs").append(each.tab);
    }
    find("tabs").addEventListener("keydown", event => this.onTabKey(event));
    find("filter").addEventListener("input", event => this.setFilter(event.target.value));
    find("runs").addEventListener("change", event => this.follow(event.target.value));
    document.addEventListener("keydown", event => this.onKey(event));
    this.choose(this.shown);
  }

  choose(view) {
    this.shown = view;
    for (const each of this.views) {
      const chosen = each === view;
      each.tab.setAttribute("aria-selected", String(chosen));
      each.tab.tabIndex = chosen ? 0 : -1;
    }
    find("view").setAttribute("aria-labelledby", `tab-${view.id}`);
    find("view").replaceChildren(view.view.element);
    if (view.id === "policy" && this.model) {
      this.model.lookAtRules().then(() => this.draw(), error => this.tell(error.message));
    }
    this.draw();
  }

  onTabKey(event) {
    const step = {ArrowRight: 1, ArrowLeft: -1}[event.key];
    if (!step) return;
    const place = this.views.indexOf(this.shown) + step;
    this.choose(this.views[(place + this.views.length) % this.views.length]);
    this.shown.tab.focus();
  }

  // "/" leads to the filter, "1" to "5" to the views, "p" to what waits.
  onKey(event) {
    if (event.ctrlKey || event.altKey || event.metaKey) return;
    if (event.target.matches("input, select, dialog *")) {
      if (event.key === "Escape" && event.target.id === "filter") event.target.blur();
      return;
    }
    const place = Number(event.key) - 1;
    if (this.views[place]) {
      this.choose(this.views[place]);
      this.shown.tab.focus();
    } else if (event.key === "/") {
      event.preventDefault();
      find("filter").focus();
    } else if (event.key === "p") {
      find("pending").querySelector("button")?.focus();
    }
  }

  setFilter(text) {
    const wrong = find("filter-error");
    try {
      this.filter = parseFilter(text);
      wrong.hidden = true;
    } catch (error) {
      setText(wrong, error.message);
      wrong.hidden = false;
    }
    find("filter").setAttribute("aria-invalid", String(!wrong.hidden));
    this.draw();
  }

  tell(message) {
    setText(find("notice"), message);
    find("notice").hidden = false;
    clearTimeout(this.silence);
    this.silence = setTimeout(() => { find("notice").hidden = true; }, 8000);
  }

  // At most once a frame, however much happens.
  draw() {
    if (this.drawing) return;
    this.drawing = true;
    requestAnimationFrame(() => {
      this.drawing = false;
      if (!this.model) return;
      this.drawTotals();
      this.pending.show(this.model);
      const waiting = this.model.questions.length;
      // Said aloud when it changes, and not with every second that passes.
      setText(find("asked"), waiting > 0 ? `${waiting} waiting for an answer` : "");
      document.title = `${waiting > 0 ? `(${waiting}) ` : ""}sluice ${this.model.run}`;
      for (const each of this.views) setText(each.number, each.count(this.model) || "");
      this.shown.view.show(this.model, this.filter);
    });
  }

  drawTotals() {
    const status = this.model.status;
    if (!status) return;
    let out = 0;
    let into = 0;
    for (const flow of this.model.flows.values()) {
      out += flow.out;
      into += flow.in;
    }
    const refused = Object.values(status.drops).reduce((sum, count) => sum + count, 0);
    const totals = [
      ["default", status.default ?? this.model.rules?.default], ["rules", status.rules],
      ["generation", status.generation], ["flows", status.flows],
      ["dropped or refused", refused], ["out", `${bytes(out)}/s`], ["in", `${bytes(into)}/s`],
      ["up", age(status.uptime_s)]];
    find("totals").replaceChildren(...totals.filter(([, value]) => value !== undefined)
      .map(([name, value]) => h("div", {}, h("dt", {}, name), h("dd", {}, value))));
  }

  showRuns(runs) {
    const chooser = find("runs");
    const list = runs.map(run => [run.run, `${run.run}  ${run.program}`]);
    const names = list.map(([name]) => name).join(" ");
    if (chooser.dataset.names !== names) {
      chooser.dataset.names = names;
      chooser.replaceChildren(...list.map(([name, text]) => h("option", {value: name}, text)));
      if (this.model) chooser.value = this.model.run;
    }
    if (list.length === 0) {
      if (!this.model) this.tell("Nothing of yours runs: start something with 'sluice run'.");
      return;
    }
    if (!this.model) this.follow(list[0][0]);
  }

  follow(run) {
    this.stop.abort();
    this.stop = new AbortController();
    const model = new Model(run);
    this.model = model;
    find("runs").value = run;
    this.listen(model, this.stop.signal);
    this.look();
  }

  // At what was before the first event: all that is later comes by events.
  lookBack(model) {
    Promise.all([model.lookAtRefused(), model.lookAtQuestions(), model.lookAtRules()])
      .then(() => this.draw(), error => this.tell(error.message));
  }

  async listen(model, signal) {
    try {
      for await (const {type, data} of events(model.run, signal)) {
        if (type === "missed") {
          model.lost += Number(data);
          continue;
        }
        if (type === "begin") {
          this.lookBack(model);
          continue;
        }
        const what = model.take(data);
        if (what === "ask" || what === "decision") {
          model.lookAtQuestions().then(() => this.draw(), () => {});
        }
        if (what === "policy") model.lookAtRules().then(() => this.draw(), () => {});
        this.draw();
      }
      if (!signal.aborted) this.tell(`The run ${model.run} has ended.`);
    } catch (error) {
      if (!signal.aborted) this.tell(error.message);
    }
    if (!signal.aborted) model.ended = true;
  }

  async look() {
    const model = this.model;
    if (!model || model.ended) return;
    try {
      await model.lookAtStatus();
      const all = this.looks % 2 === 0 || model.flows.size < kAllTheTime;
      if (all) await model.lookAtFlows();
      if (this.looks % kRunsEach === 0 || model.questions.length > 0) {
        await model.lookAtQuestions();
      }
      if (this.looks % kRunsEach === 0) await model.lookAtRefused();
      if (this.shown.id === "policy" && this.looks % kRunsEach === 0) await model.lookAtRules();
      await model.learnDomains();
    } catch (error) {
      this.tell(error.message);
    }
    this.draw();
  }

  async tick() {
    try {
      if (this.looks % kRunsEach === 0) this.showRuns(await listRuns());
      await this.look();
    } catch (error) {
      this.tell(error.message);
    }
    this.looks += 1;
    setTimeout(() => this.tick(), kLookEach);
  }
}

const page = new Page();
openSession().then(() => page.tick(), error => page.tell(error.message));
