// What was refused, which names were asked for, the policy, and everything to take away.

import {ask} from "./api.js";
import {clock, h, Rows, setText} from "./dom.js";

class Table {
  constructor(heads, none) {
    this.body = h("tbody");
    this.table = h("table", {}, h("thead", {}, h("tr", {}, heads)), this.body);
    this.none = h("p", {class: "none"}, none);
    this.before = h("div");
    this.element = h("div", {}, this.before, this.table, this.none);
    this.rows = new Rows(this.body);
  }
  showRows(list, key, make, none) {
    if (none) setText(this.none, none);
    this.table.hidden = list.length === 0;
    this.none.hidden = list.length > 0;
    this.rows.show(list, key, make, (row, item) => row.fill(item));
  }
}

const kRowsMax = 500;

export class RefusedView extends Table {
  constructor(page) {
    super([h("th", {}, "What"), h("th", {}, "Why"), h("th", {class: "number"}, "Times"),
      h("th", {class: "wide"}, "Last"), h("th", {}, h("span", {class: "unseen"}, "Rule"))],
    "Nothing was refused.");
    this.page = page;
  }

  show(model, filter) {
    const list = [...model.refused.values()].reverse()
      .filter(row => filter({type: "deny", ...row})).slice(0, kRowsMax);
    this.showRows(list, row => row.key, row => this.make(row),
      model.refused.size > 0 ? "No refusal is like this." : "Nothing was refused.");
  }

  make(row) {
    const times = h("td", {class: "number"});
    const last = h("td", {class: "wide small"});
    const what = row.name || row.address || "others, that were not told one by one";
    const port = row.port ? `:${row.port}` : "";
    const line = h("tr", {},
      h("td", {class: "what"}, what, port, row.proto ? `/${row.proto}` : "",
        row.type === "dns" || !row.proto ? h("span", {class: "small"}, " asked for") : null),
      h("td", {}, h("span", {class: "badge deny"}, row.reason)), times, last,
      h("td", {class: "number"}, row.name || row.address
        ? h("button", {"data-rule": what, onclick: () => openRule(this.page, row)},
          "Make a rule") : null));
    line.fill = now => {
      setText(times, now.count);
      setText(last, now.time ? clock(now.time) : "");
    };
    return line;
  }
}

// What a rule could be about, the narrowest first.
function targetsOf(model, row) {
  const suffix = row.proto && row.proto !== "tcp" ? `/${row.proto}` : "";
  const port = row.port ? `:${row.port}` : "";
  if (!row.name) {
    const bare = row.address.includes(":") ? `[${row.address}]` : row.address;
    return [...new Set([`${bare}${port}${suffix}`, bare])];
  }
  const domain = model.domainOf(row.name);
  const targets = [`${row.name}${port}${suffix}`, row.name];
  if (domain && domain !== row.name) targets.push(`.${domain}${port}${suffix}`);
  return [...new Set(targets)];
}

function openRule(page, row) {
  const dialog = document.getElementById("rule");
  const option = h("pre", {class: "mono"});
  const toml = h("pre", {class: "mono"});
  const targets = targetsOf(page.model, row);
  let target = targets[0];
  const choose = each => {
    target = each;
    setText(option, `--allow '${target}'`);
    setText(toml, `[[rule]]\nallow = ${JSON.stringify(target)}`);
  };
  const choices = targets.map((each, i) => h("label", {},
    h("input", {type: "radio", name: "target", value: each, checked: i === 0,
      onchange: () => choose(each)}), " ", h("code", {}, each)));
  choose(target);
  const copy = text => navigator.clipboard.writeText(text)
    .catch(() => page.tell("The browser does not let the page copy; select the text."));
  const apply = h("button", {class: "main", id: "apply-rule", onclick: async () => {
    apply.disabled = true;
    try {
      await ask(page.model.run, "allow", {rule: target});
      page.model.refused.delete(row.key);
      await page.model.lookAtStatus();
      dialog.close();
    } catch (error) {
      page.tell(error.message);
      dialog.close();
    }
    page.draw();
  }}, "Allow in this run");
  dialog.replaceChildren(
    h("h2", {}, "Allow what was refused"),
    h("p", {class: "small"}, `Refused: ${row.reason}. The most specific rule decides.`),
    ...choices,
    h("p", {class: "small"}, "For the next run, as an option:"), option,
    h("p", {class: "small"}, "… or in a policy's file:"), toml,
    h("div", {class: "answers"}, apply,
      h("button", {onclick: () => copy(option.textContent)}, "Copy option"),
      h("button", {onclick: () => copy(toml.textContent)}, "Copy TOML"),
      h("button", {onclick: () => dialog.close()}, "Close")));
  dialog.showModal();
}

export class NamesView extends Table {
  constructor() {
    super([h("th", {}, "Name"), h("th", {class: "wide"}, "Type"), h("th", {}, "Result"),
      h("th", {class: "number"}, "Times"), h("th", {class: "wide"}, "Last")], "");
  }

  show(model, filter) {
    const list = [...model.names.values()].reverse()
      .filter(row => filter({type: "dns", ...row})).slice(0, kRowsMax);
    this.showRows(list, row => row.name, row => {
      const cells = ["wide", "", "number", "wide small"].map(name => h("td", {class: name}));
      const line = h("tr", {}, h("td", {class: "what"}, row.name), cells);
      line.fill = now => {
        const words = now.reason && now.reason !== "accepted" ? now.reason : now.result;
        setText(cells[0], now.query);
        if (line.words !== words) {
          line.words = words;
          cells[1].replaceChildren(
            h("span", {class: now.result === "refused" ? "badge deny" : "badge"}, words));
        }
        setText(cells[2], now.count);
        setText(cells[3], clock(now.time));
      };
      return line;
    }, model.names.size > 0 ? "No name is like this."
      : "No name was asked for since this page was opened.");
  }
}

export class PolicyView extends Table {
  constructor() {
    super([h("th", {}, "Rule"), h("th", {}, "Target"), h("th", {class: "wide"}, "From"),
      h("th", {class: "number"}, "Flows")], "");
    this.default = h("p", {});
    this.before.append(this.default);
  }

  show(model, filter) {
    const rules = model.rules;
    this.default.hidden = !rules;
    if (rules) {
      const unused = rules.list.filter(rule => rule.hits === 0).length;
      setText(this.default, `Generation ${rules.generation}. The most specific rule decides; ` +
        `what none speaks of: ${rules.default}. ${unused} of ${rules.list.length} rules have ` +
        "decided about nothing so far.");
    }
    const list = (rules?.list ?? []).map((rule, place) => ({...rule, place}))
      .filter(rule => filter({...rule, type: "policy", name: rule.target}));
    this.showRows(list, rule => `${rule.place} ${rule.rule} ${rule.target}`, rule => {
      const hits = h("td", {class: "number"});
      const kind = rule.effect === "deny" ? "badge deny" : rule.effect === "ask" ? "badge ask" : "badge";
      const line = h("tr", {}, h("td", {}, h("span", {class: kind}, rule.effect)),
        h("td", {class: "what"}, h("code", {}, rule.target),
          rule.note ? h("span", {class: "small"}, ` ${rule.note}`) : null),
        h("td", {class: "wide small"}, rule.rule), hits);
      line.fill = now => {
        line.className = now.hits === 0 ? "never" : "";
        setText(hits, now.hits === 0 ? "never" : now.hits ?? "");
      };
      return line;
    }, model.rulesWhy || (rules ? "No rule is like this." : "…"));
  }
}

export class ExportView {
  constructor(page) {
    this.count = h("p");
    this.element = h("div", {class: "panel"}, h("h2", {}, "Take it away"), this.count,
      h("p", {class: "small"}, "A line of JSON each, as --events writes them: for 'sluice observe', ",
        "'sluice log convert', jq. What was before the page was opened is not among them."),
      h("div", {class: "answers"},
        h("button", {class: "main", id: "save-events", onclick: () => this.save(page, false)},
          "Save events"),
        h("button", {onclick: () => this.save(page, true)}, "Save what the filter shows")));
  }
  show(model) {
    setText(this.count, `${model.events.length} events since this page was opened` +
      (model.lost > 0 ? `; ${model.lost} were lost, as the page was too slow.` : "."));
  }
  save(page, filtered) {
    const lines = page.model.events
      .filter(line => !filtered || page.filter(JSON.parse(line))).map(line => `${line}\n`);
    const url = URL.createObjectURL(new Blob(lines, {type: "application/jsonl"}));
    h("a", {href: url, download: `sluice-${page.model.run}.jsonl`}).click();
    setTimeout(() => URL.revokeObjectURL(url), 10000);
  }
}
