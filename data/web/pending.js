// What waits for an answer: a card for each question.

import {ask} from "./api.js";
import {age, h, Rows, setText} from "./dom.js";

const kScopes = [["once", "once"], ["run", "for this run"], ["always", "always"]];

export class PendingView {
  constructor(page, parent) {
    this.page = page;
    this.parent = parent;
    this.rows = new Rows(parent);
  }

  show(model) {
    const questions = model.questions;
    this.parent.hidden = questions.length === 0;
    this.rows.show(questions, one => String(one.question), one => this.make(one),
      (card, one) => card.fill(one));
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
    const scope = h("select", {title: "How long the answer holds", "aria-label": "How long"},
      kScopes.map(([value, text]) =>
        h("option", {value, selected: value === (question.remember ?? "run")}, text)));
    const answer = async verb => {
      buttons.forEach(button => { button.disabled = true; });
      try {
        await ask(this.page.model.run, verb,
          {question: question.question, scope: scope.value, of: of.value, by: "web"});
        await this.page.model.lookAtQuestions();
      } catch (error) {
        this.page.tell(error.message);
        buttons.forEach(button => { button.disabled = false; });
      }
      this.page.draw();
    };
    const buttons = [
      h("button", {class: "main", "data-answer": "approve", onclick: () => answer("approve")},
        "Approve"),
      h("button", {class: "stop", "data-answer": "refuse", onclick: () => answer("refuse")},
        "Refuse")];
    const card = h("article", {class: "card", "aria-label": `May it reach ${what}?`},
      h("p", {class: "asked"}, "May it reach ", ...shown,
        question.port ? ` on port ${question.port}` : "", `/${question.proto}?`),
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
