// The page of a report: columns that sort, one view at a time, which the address holds, tooltips, copies and paper.

const all = (selector, within = document) => Array.from(within.querySelectorAll(selector));

// --- sorting ------------------------------------------------------------------------------------------------------

const NUMBER = /^(?:[<>≥≤≈~[]|more than)?\s*([+-]?(?:\d+\.?\d*|\.\d+)(?:e[+-]?\d+)?)/i;
const isMissing = (text) => text === "" || text === "-";

function number(text) {
  const match = NUMBER.exec(text.replace("\u2212", "-").replaceAll(",", ""));
  return match ? Number(match[1]) : NaN;
}

function sortable(table) {
  table.made = Array.from(table.tBodies[0].rows);
  for (const [place, head] of Array.from(table.tHead.rows[0].cells).entries()) {
    const button = document.createElement("button");
    button.type = "button";
    button.append(...head.childNodes);
    head.append(button);
    head.dataset.place = place; // also where a narrow window has moved it
    button.addEventListener("click", () => {
      sort(table, head, following(table, head));
      write({ isStep: true });
    });
  }
}

const areNumbers = (found) => found.every((text) => isMissing(text) || !Number.isNaN(number(text)));
const texts = (table, head) => table.made.map((row) => row.cells[head.cellIndex].textContent.trim());

// A first click sorts, numbers from the greatest and words from the first; a second turns that, a third undoes it.
function following(table, head) {
  const ways = areNumbers(texts(table, head)) ? ["descending", "ascending", ""] : ["ascending", "descending", ""];
  return ways[(ways.indexOf(head.getAttribute("aria-sort") ?? "") + 1) % ways.length];
}

// Sort by a column, `way` being "ascending" or "descending"; else the rows stand as they were made.
function sort(table, head, way) {
  for (const other of table.tHead.rows[0].cells) other.removeAttribute("aria-sort");
  if (way) head.setAttribute("aria-sort", way);
  const found = texts(table, head);
  const compare = areNumbers(found) ? (a, b) => number(a) - number(b) : (a, b) => a.localeCompare(b, "en", { numeric: true });
  const rows = table.made.map((row, i) => ({ row, text: found[i] }));
  const turn = way === "descending" ? -1 : 1;
  const order = (a, b) => {
    const missing = isMissing(a.text) - isMissing(b.text); // at the end, either way
    return missing || (isMissing(a.text) ? 0 : turn * compare(a.text, b.text));
  };
  table.tBodies[0].append(...(way ? rows.sort(order) : rows).map(({ row }) => row));
}

// On a narrow window numbers come before what a row is about.
function ordered(table, isNarrow) {
  for (const row of table.rows) {
    const about = all(".identity", row);
    if (isNarrow) row.append(...about);
    else row.cells[0].after(...about);
  }
}

// --- the view -----------------------------------------------------------------------------------------------------

const form = document.getElementById("view");
const figures = all("figure");
const contents = document.getElementById("contents");
const pick = document.getElementById("pick");
const tables = all("table").filter((table) => table.tBodies[0].rows.length > 1);
const folds = all("details").filter((fold) => ![contents, pick].includes(fold)); // all are closed at first
const view = { setting: "", budget: "", strategies: null, at: "", isChosen: false }; // strategies: null is all of them
const names = form ? all("[name=strategy]", form).map((box) => box.value) : [];
const isPicked = (name) => !name || !view.strategies || view.strategies.has(name);
const isIn = (setting, budget) =>
  (!view.setting || !setting || setting === view.setting) && (!view.budget || !budget || budget === view.budget);

function apply() {
  const parts = all("[data-setting]");
  const settings = new Set();
  let shown = 0;
  for (const part of parts) {
    part.hidden = !isIn(part.dataset.setting, part.dataset.budget);
    shown += !part.hidden;
    if (!part.hidden) settings.add(part.dataset.setting);
  }
  for (const head of all("thead [data-strategy]")) column(head, !isPicked(head.dataset.strategy));
  for (const row of all("tbody tr")) {
    const about = row.dataset.about ? JSON.parse(row.dataset.about) : {};
    const setting = about.learner ? [about.dataset, about.embedding, about.learner].join("/") : "";
    const budget = about.budget === "full-data" ? "" : about.budget; // a bound is of every budget
    row.hidden = !isPicked(row.dataset.strategy) || !isIn(setting, budget);
  }
  for (const empty of all(".empty")) {
    const own = all(":scope > .part", empty.previousElementSibling);
    empty.hidden = !own.length || own.some((part) => !part.hidden);
    empty.textContent = `Nothing here: ${why()}.`;
  }
  const picked = view.strategies ? view.strategies.size : names.length;
  const count = `${settings.size} of ${form.elements.setting.length - 1} settings, ${picked} of ${names.length} strategies, ${shown} of ${parts.length} charts and tables`;
  form.querySelector("output").textContent = picked && shown ? count : `Nothing to show: ${why()}. ${count}.`;
  form.querySelector("#pick summary").textContent = view.strategies ? `${picked} of ${names.length} strategies` : "all strategies";
  figures.forEach(watch);
}

function why() {
  if (view.strategies && !view.strategies.size) return "no strategy is picked";
  return `no ${view.budget ? `budget ${view.budget}` : "values"} of ${view.setting || "any setting"}`;
}

function column(head, isHidden) {
  if (head.hidden === isHidden) return;
  const at = head.cellIndex;
  head.hidden = isHidden;
  for (const row of head.closest("table").tBodies[0].rows) row.cells[at].hidden = isHidden;
}

// The address is #PLACE, or names what is not as at first: setting=, budget=, strategy= (each), down= and up= (each table that
// is sorted, and the place of its column), open= (each fold) and at= (the place that a link led to).
const isPlace = () => !location.hash.includes("=");
const idOf = (part) => part.closest("[id]").id;
const ofFold = (fold) => fold.id || idOf(fold);
const WRITTEN = "written"; // marks what this page put into the history, which is a view even where it reads as a link
const WAYS = { down: "descending", up: "ascending" };

function read() {
  const asked = new URLSearchParams(isPlace() ? { at: location.hash.slice(1) } : location.hash.slice(1));
  view.at = asked.get("at") ?? "";
  for (const fold of folds) fold.open = asked.getAll("open").includes(ofFold(fold)) || isAround(fold, view.at);
  for (const table of tables) {
    const heads = Array.from(table.tHead.rows[0].cells);
    const wanted = (way) => heads.find((head) => asked.getAll(way).includes(sorted(table, head)));
    const way = Object.keys(WAYS).find(wanted);
    if (way || heads.some((head) => head.hasAttribute("aria-sort"))) sort(table, way ? wanted(way) : heads[0], WAYS[way]);
  }
  if (form) readForm(asked);
}

function readForm(asked) {
  const strategies = asked.getAll("strategy").filter((name) => names.includes(name));
  view.isChosen = ["setting", "budget", "strategy", "strategies"].some((name) => asked.has(name));
  view.setting = asked.get("setting") ?? (view.isChosen ? "" : (form.elements.setting.options[1]?.value ?? ""));
  view.budget = asked.get("budget") ?? "";
  view.strategies = asked.get("strategies") === "none" ? new Set() : strategies.length ? new Set(strategies) : null;
  form.elements.setting.value = view.setting;
  form.elements.budget.value = view.budget;
  for (const box of all("[name=strategy]", form)) box.checked = isPicked(box.value);
}

const sorted = (table, head) => `${idOf(table)}_${head.dataset.place}`;
const isAround = (fold, id) => Boolean(id) && fold.contains(document.getElementById(id));

// Put the view into the address; a step is one that the back button takes back.
function write({ isStep = false } = {}) {
  const said = new URLSearchParams();
  if (view.isChosen) {
    said.set("setting", view.setting);
    if (view.budget) said.set("budget", view.budget);
    for (const name of view.strategies ?? []) said.append("strategy", name);
    if (view.strategies && !view.strategies.size) said.set("strategies", "none");
  }
  for (const [key, way] of Object.entries(WAYS)) {
    for (const head of all(`th[aria-sort=${way}]`)) said.append(key, sorted(head.closest("table"), head));
  }
  for (const fold of folds) if (fold.open && !isAround(fold, view.at)) said.append("open", ofFold(fold));
  const place = said.size ? "" : view.at;
  if (view.at) said.set("at", view.at);
  const hash = `#${place || said}`;
  history[isStep && hash !== (location.hash || "#") ? "pushState" : "replaceState"](WRITTEN, "", hash);
}

function chosen() {
  const boxes = all("[name=strategy]", form).filter((box) => box.checked);
  view.setting = form.elements.setting.value;
  view.budget = form.elements.budget.value;
  view.strategies = boxes.length === names.length ? null : new Set(boxes.map((box) => box.value));
  view.isChosen = true;
  write({ isStep: true });
  apply();
}

// Show what the address says. A link of the page leads to a place, and leaves the view as it is.
function follow({ isFirst = false } = {}) {
  const isWritten = history.state === WRITTEN;
  if (isPlace() && location.hash && !isWritten && !isFirst) {
    view.at = location.hash.slice(1);
    for (const fold of folds) if (isAround(fold, view.at)) fold.open = true;
    write();
  } else {
    read();
    history.replaceState(WRITTEN, "");
    if (form) apply();
  }
  if (!isWritten) document.getElementById(view.at)?.scrollIntoView(); // else the browser knows where it was
}

function addressed() {
  addEventListener("hashchange", () => follow());
  for (const fold of folds) {
    fold.addEventListener("toggle", () => {
      if (!fold.open && isAround(fold, view.at)) view.at = "";
      write();
    });
  }
}

function viewable() {
  form.hidden = false;
  form.addEventListener("change", chosen);
  form.addEventListener("submit", (event) => event.preventDefault());
  form.addEventListener("reset", (event) => {
    event.preventDefault();
    readForm(new URLSearchParams());
    write({ isStep: true });
    apply();
  });
  for (const button of all("[data-all]", form)) {
    button.addEventListener("click", () => {
      for (const box of all("[name=strategy]", form)) box.checked = Boolean(button.dataset.all);
      chosen();
    });
  }
  for (const event of ["click", "focusin"]) addEventListener(event, ({ target }) => pick.contains(target) || (pick.open = false));
  pick.addEventListener("keydown", (event) => {
    if (event.key !== "Escape") return;
    pick.open = false;
    pick.querySelector("summary").focus();
  });
}

// --- tooltips -----------------------------------------------------------------------------------------------------

const tip = document.getElementById("tip");

function tell(element, text) {
  const box = element.getBoundingClientRect();
  tip.textContent = text;
  tip.hidden = false;
  tip.style.left = `${Math.max(4, Math.min(box.left, innerWidth - tip.offsetWidth - 4))}px`;
  const above = box.top - tip.offsetHeight - 6;
  tip.style.top = `${above > 0 ? above : box.bottom + 6}px`;
}

function tippable(head) {
  const button = head.querySelector("button") ?? head;
  const show = () => {
    tell(head, head.dataset.tip);
    button.setAttribute("aria-describedby", "tip");
  };
  const hide = () => {
    tip.hidden = true;
    button.removeAttribute("aria-describedby");
  };
  for (const event of ["pointerenter", "focusin"]) head.addEventListener(event, show);
  for (const event of ["pointerleave", "focusout"]) head.addEventListener(event, hide);
  head.addEventListener("keydown", (event) => event.key === "Escape" && hide());
}

// The points of a chart, one by one, by the arrow keys.
function stepped(figure) {
  let at = -1;
  figure.addEventListener("keydown", (event) => {
    const step = { ArrowRight: 1, ArrowLeft: -1 }[event.key];
    if (event.key === "Escape") tip.hidden = true;
    if (!step) return;
    const points = all(".role-mark path, .role-mark image, .role-mark text", figure).filter((one) => one.__data__?.tooltip);
    if (!points.length) return;
    event.preventDefault();
    at = (at + step + points.length) % points.length;
    const told = points[at].__data__.tooltip;
    const lines = typeof told === "object" ? Object.entries(told).map(([name, value]) => `${name}: ${value}`) : [told];
    tell(points[at], lines.join("\n"));
  });
  figure.addEventListener("blur", () => (tip.hidden = true));
}

// --- copies -------------------------------------------------------------------------------------------------------

// What is seen of a table, for a spreadsheet, or a text, letter by letter.
function copyable(button) {
  const box = button.parentElement.parentElement.querySelector(":scope > .scroll");
  button.hidden = false;
  button.addEventListener("click", async () => {
    getSelection().selectAllChildren(box);
    try {
      await navigator.clipboard.writeText(box.innerText);
      button.textContent = "copied";
    } catch {
      button.textContent = "selected: copy it by keyboard"; // where the browser gives no clipboard
    }
    button.addEventListener("blur", () => (button.textContent = "copy"), { once: true });
  });
}

// --- paper --------------------------------------------------------------------------------------------------------

// Paper has every fold open and every chart drawn: of all settings, unless somebody has chosen some.
function printable() {
  let opened = [];
  let setting = "";
  const badges = document.querySelector(".badges");
  if (window.vegaEmbed) pictured();
  addEventListener("beforeprint", () => {
    opened = folds.filter((fold) => !fold.open);
    for (const fold of opened) fold.open = true;
    document.getElementById("main").append(badges); // the answer stays first
    setting = view.setting;
    if (!view.isChosen) view.setting = "";
    if (form) apply();
    if (window.vegaEmbed) for (const figure of figures) if (!figure.querySelector("svg image")) draw(figure, false);
  });
  addEventListener("afterprint", () => {
    for (const fold of opened) fold.open = false;
    document.querySelector("header").append(badges);
    view.setting = setting;
    if (form) apply();
  });
}

// --- start --------------------------------------------------------------------------------------------------------

tables.forEach(sortable);
all("th[data-tip]").forEach(tippable);
figures.forEach(stepped);
all(".copy").forEach(copyable);
addEventListener("scroll", () => (tip.hidden = true), { capture: true, passive: true }); // it stands where it is
const narrow = matchMedia("(max-width: 40rem)");
const abouts = all("table").filter((table) => table.querySelector(".identity"));
const arrange = () => abouts.forEach((table) => ordered(table, narrow.matches));
if (narrow.matches) arrange();
narrow.addEventListener("change", arrange);
contents.open = matchMedia("(min-width: 72rem)").matches;
addressed();
if (form) viewable();
else figures.forEach(watch);
if (window.vegaEmbed) charts();
printable();
follow({ isFirst: true });
