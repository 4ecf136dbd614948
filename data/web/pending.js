// What waits for an answer: a card for each question.

import {ask} from "./api.js";
import {age, h, Rows, setText} from "./dom.js";

// When a card comes or goes, what is under the mouse is another one of a sudden: for so long a press
// means none. Keys have their focus, which moves with its card.
const kSettle = 500;
const kScopes = [["once", "once"], ["run", "for this run"], ["always", "always"]];

export class PendingView {
  constructor(page, parent) {
    this.page = page;
    this.parent = parent;
    this.rows = new Rows(parent);
    this.numbers = "";
    this.moved = 0;
  }

  show(model) {
    const questions = model.questions;
    this.parent.hidden = questions.length === 0;
    const numbers = questions.map(one => one.question).join(" ");
    if (numbers !== this.numbers) {
      this.numbers = numbers;
      this.moved = performance.now();
      this.parent.classList.add("settling");
      clearTimeout(this.settled);
      this.settled = setTimeout(() => this.parent.classList.remove("settling"), kSettle);
    }
    const held = this.parent.contains(document.activeElement);
    this.rows.show(questions, one => String(one.question), one => this.make(one),
      (card, one) => card.fill(one));
    // Whoever answers by keys goes on with the next one, but not on its button.
    if (held && !this.parent.contains(document.activeElement)) {
      (this.parent.querySelector(".card") ?? document.getElementById("view")).focus();
    }
  }

  make(question) {
    const what = question.name ?? question.address;
    const domain = question.domain;
    // The domain that somebody has registered stands out: what is before it may be anything.
    const before = domain && what.endsWith(domain) ? what.slice(0, what.length - domain.length) : "";
    const shown = domain ? [before, h("b", {}, domain)] : [h("b", {}, what)];
    const about = h("p", {class: "about"});
    const rules = question.rules ?? {};
    const of = h("select", {title: "What the answer is about", "aria-label": "What it is about"},
      ["name:port", "name", "domain"].filter(each => rules[each])
        .map(each => h("option", {value: each}, rules[each])));
    // An answer for once is about what was asked, and nothing else.
    const narrow = () => {
      of.disabled = scope.value === "once";
      if (of.disabled) of.selectedIndex = 0;
    };
    const scope = h("select", {title: "How long the answer holds", "aria-label": "How long",
      onchange: narrow},
      kScopes.map(([value, text]) =>
        h("option", {value, selected: value === (question.remember ?? "run")}, text)));
    const answer = async (verb, event) => {
      if (event.detail > 0 && performance.now() - this.moved < kSettle) return;
      buttons.forEach(button => { button.disabled = true; });
      try {
        await ask(this.page.model.run, verb,
          {question: question.question, scope: scope.value, by: "web",
            ...(of.value && !of.disabled ? {of: of.value} : {})});
        await this.page.model.lookAtQuestions();
      } catch (error) {
        this.page.tell(error.message);
        buttons.forEach(button => { button.disabled = false; });
      }
      this.page.draw();
    };
    const button = (name, verb, text) => h("button",
      {class: name, "data-answer": verb, onclick: event => answer(verb, event)}, text);
    const buttons = [button("main", "approve", "Approve"), button("stop", "refuse", "Refuse")];
    narrow();
    const card = h("article",
      {class: "card", tabindex: "-1", "aria-label": `May it reach ${what}?`},
      h("p", {class: "asked"}, "May it reach ", ...shown,
        question.port ? ` on port ${question.port}` : "", ` (${question.proto})?`),
      about,
      question.note ? h("p", {class: "about"}, `The rule says: ${question.note}`) : null,
      h("div", {class: "choices"}, of.options.length > 0 ? of : null, scope),
      h("div", {class: "answers"}, buttons));
    card.fill = now => {
      const waited = (Date.now() - Date.parse(now.first)) / 1000;
      const times = now.count === 1 ? "asked once" : `asked ${now.count} times`;
      const state = now.state === "unanswered"
        ? "nobody answered in time; an answer holds for the next try"
        : `waiting${now.left_s === null || now.left_s === undefined ? ""
          : `, ${age(now.left_s)} left`}`;
      setText(about, `${times}, first ${age(waited)} ago; ${state}; rule ${now.rule || "default"}` +
        (now.name ? "" : "; no name is known"));
    };
    return card;
  }
}
