// The page of a report: columns that sort, one view at a time, and charts drawn when they come into view.
"use strict";

const all = (selector, within = document) => Array.from(within.querySelectorAll(selector));

// --- sorting ------------------------------------------------------------------------------------------------------

const NUMBER = /^(?:[<>≥≤≈~[]|more than)?\s*([+-]?(?:\d+\.?\d*|\.\d+)(?:e[+-]?\d+)?)/i;
const isMissing = (text) => text === "" || text === "-";

function number(text) {
  const match = NUMBER.exec(text.replace("\u2212", "-").replaceAll(",", ""));
  return match ? Number(match[1]) : NaN;
}

function sortable(table) {
  for (const head of table.tHead.rows[0].cells) {
    const button = document.createElement("button");
    button.type = "button";
    button.append(...head.childNodes);
    head.append(button);
    button.addEventListener("click", () => sort(table, head));
  }
}

function sort(table, head) {
  const body = table.tBodies[0];
  const rows = Array.from(body.rows, (row) => ({ row, text: row.cells[head.cellIndex].textContent.trim() }));
  const isNumeric = rows.every(({ text }) => isMissing(text) || !Number.isNaN(number(text)));
  const before = head.getAttribute("aria-sort");
  // numbers begin with the greatest
  const descending = before ? before === "ascending" : isNumeric;
  const compare = (a, b) => (isNumeric ? number(a) - number(b) : a.localeCompare(b, "en", { numeric: true }));
  rows.sort((a, b) => {
    const missing = isMissing(a.text) - isMissing(b.text); // at the end, either way
    return missing || (isMissing(a.text) ? 0 : (descending ? -1 : 1) * compare(a.text, b.text));
  });
  for (const other of table.tHead.rows[0].cells) other.removeAttribute("aria-sort");
  head.setAttribute("aria-sort", descending ? "descending" : "ascending");
  body.append(...rows.map(({ row }) => row));
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

function read() {
  const asked = new URLSearchParams(location.hash.slice(1));
  const isView = location.hash.includes("=");
  const strategies = asked.getAll("strategy").filter((name) => names.includes(name));
  view.isChosen = ["setting", "budget", "strategy", "strategies"].some((name) => asked.has(name));
  view.setting = asked.get("setting") ?? (view.isChosen ? "" : (form.elements.setting.options[1]?.value ?? ""));
  view.budget = asked.get("budget") ?? "";
  view.strategies = asked.get("strategies") === "none" ? new Set() : strategies.length ? new Set(strategies) : null;
  view.at = isView ? (asked.get("at") ?? "") : decodeURIComponent(location.hash.slice(1));
  form.elements.setting.value = view.setting;
  form.elements.budget.value = view.budget;
  for (const box of all("[name=strategy]", form)) box.checked = isPicked(box.value);
}

function write() {
  const said = new URLSearchParams();
  if (view.isChosen) {
    said.set("setting", view.setting);
    if (view.budget) said.set("budget", view.budget);
    for (const name of view.strategies ?? []) said.append("strategy", name);
    if (view.strategies && !view.strategies.size) said.set("strategies", "none");
  }
  if (view.at) said.set("at", view.at);
  history.replaceState(null, "", `#${said}`);
}

function chosen() {
  const boxes = all("[name=strategy]", form).filter((box) => box.checked);
  view.setting = form.elements.setting.value;
  view.budget = form.elements.budget.value;
  view.strategies = boxes.length === names.length ? null : new Set(boxes.map((box) => box.value));
  view.isChosen = true;
  write();
  apply();
}

function go(id) {
  const place = document.getElementById(id);
  if (!place) return;
  for (let fold = place.closest("details"); fold; fold = fold.parentElement.closest("details")) fold.open = true;
  place.scrollIntoView();
}

function viewable() {
  form.hidden = false;
  read();
  apply();
  form.addEventListener("change", chosen);
  form.addEventListener("submit", (event) => event.preventDefault());
  form.addEventListener("reset", (event) => {
    event.preventDefault();
    history.replaceState(null, "", "#");
    read();
    apply();
  });
  for (const button of all("[data-all]", form)) {
    button.addEventListener("click", () => {
      for (const box of all("[name=strategy]", form)) box.checked = Boolean(button.dataset.all);
      chosen();
    });
  }
  const pick = document.getElementById("pick");
  addEventListener("click", (event) => pick.contains(event.target) || (pick.open = false));
  pick.addEventListener("keydown", (event) => {
    if (event.key !== "Escape") return;
    pick.open = false;
    pick.querySelector("summary").focus();
  });
  addEventListener("hashchange", () => {
    read();
    apply();
    go(view.at);
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

// --- charts -------------------------------------------------------------------------------------------------------

const NARROW = 560; // pixels
const PAPER = 680;
const dark = matchMedia("(prefers-color-scheme: dark)");
const DARK = {
  title: { color: "#eeeeee", subtitleColor: "#bbbbbb" },
  legend: { labelColor: "#dddddd", titleColor: "#dddddd" },
  axis: { labelColor: "#dddddd", titleColor: "#dddddd", gridColor: "#333333", domainColor: "#555555", tickColor: "#555555" },
  view: { stroke: "#555555" },
  text: { color: "#eeeeee" },
  rule: { color: "#eeeeee" },
};

// A colour that stands out from white, half way to white: so it does from black.
function light(colour) {
  const parts = colour.match(/^#(..)(..)(..)$/)?.slice(1) ?? [];
  return parts.length ? `#${parts.map((part) => Math.round((parseInt(part, 16) + 255) / 2).toString(16).padStart(2, "0")).join("")}` : colour;
}

function fitted(spec, figure, isDark, width) {
  const own = structuredClone(spec);
  if (own.usermeta?.min_width) own.width = Math.max(own.usermeta.min_width, Math.min(own.width, width - 8));
  if (own.title && [own.title.text].flat().join(" ") === figure.dataset.title) {
    // the heading above says it; a file made of the chart has it back in the report's own figures
    own.title = own.title.subtitle ? { text: own.title.subtitle, fontSize: 12, fontWeight: "normal" } : undefined;
  }
  own.config = { ...own.config, background: "transparent", padding: 4, font: "system-ui, sans-serif" };
  for (const [part, look] of isDark ? Object.entries(DARK) : []) own.config[part] = { ...own.config[part], ...look };
  if (own.title && isDark) own.title.color = DARK.title.color;
  if (width < NARROW) own.config.legend = { ...own.config.legend, columns: 2 };
  narrowed(own, isDark);
  return own;
}

// Leave out what is not picked: of rows, and of the scales that name strategies; and lighten colours where it is dark.
function narrowed(part, isDark) {
  if (Array.isArray(part?.data?.values)) {
    part.data.values = part.data.values.filter((row) => ["strategy", "row", "column"].every((name) => !names.includes(row[name]) || isPicked(row[name])));
  }
  for (const channel of Object.values(part?.encoding ?? {})) {
    const { domain, range } = channel?.scale ?? {};
    if (isDark && typeof channel?.value === "string" && channel.value.startsWith("#")) channel.value = "#eeeeee";
    if (!Array.isArray(domain) || !domain.some((name) => names.includes(name))) continue;
    const kept = domain.map((name, i) => [name, range?.[i]]).filter(([name]) => !names.includes(name) || isPicked(name));
    channel.scale.domain = kept.map(([name]) => name);
    if (range) channel.scale.range = kept.map(([, value]) => (isDark && typeof value === "string" ? light(value) : value));
  }
  for (const layer of part?.layer ?? []) narrowed(layer, isDark);
}

const drawn = new Map(); // figure -> {key, result}

async function draw(figure, isDark = dark.matches, width = figure.clientWidth) {
  const key = [width, isDark, ...(view.strategies ?? ["all"])].join();
  const before = drawn.get(figure);
  if (before?.key === key || !width) return;
  const now = { key };
  drawn.set(figure, now);
  const chart = figure.querySelector(".chart");
  const spec = fitted(JSON.parse(figure.querySelector("script").textContent), figure, isDark, width);
  before?.result?.finalize();
  if (spec.data?.values && !spec.data.values.length) {
    chart.textContent = "None of the strategies that are picked is in this chart.";
    return;
  }
  try {
    now.result = await vegaEmbed(chart, spec, {
      mode: "vega-lite",
      renderer: "svg",
      actions: { export: true, source: false, compiled: false, editor: false },
      downloadFileName: figure.dataset.name,
      tooltip: { theme: isDark ? "dark" : "light" },
    });
    chart.style.minHeight = "";
  } catch (error) {
    chart.textContent = `This chart cannot be drawn: ${error.message}`;
  }
}

const seen = new IntersectionObserver(
  (entries) => {
    for (const { target } of entries.filter((entry) => entry.isIntersecting)) {
      seen.unobserve(target);
      draw(target);
    }
  },
  { rootMargin: "300px" },
);

// Draw a figure when it comes into view, again where its width, the scheme or the strategies have changed.
function watch(figure) {
  if (!window.vegaEmbed) return;
  seen.unobserve(figure);
  seen.observe(figure);
}

function charts() {
  dark.addEventListener("change", () => figures.forEach(watch));
  let waiting;
  addEventListener("resize", () => {
    clearTimeout(waiting);
    waiting = setTimeout(() => figures.forEach(watch), 200);
  });
}

// Pictures take time to decode, which paper does not give: charts with pictures are drawn for it beforehand.
function pictured() {
  const left = figures.filter((figure) => figure.querySelector("script").textContent.includes("data:image/"));
  const idle = window.requestIdleCallback ?? setTimeout;
  const next = async () => {
    const figure = left.shift();
    if (!figure) return;
    if (!drawn.has(figure)) await draw(figure, false, PAPER);
    idle(next);
  };
  idle(next);
}

// --- paper --------------------------------------------------------------------------------------------------------

// Paper has every fold open and every chart drawn: of all settings, unless somebody has chosen some.
function printable() {
  let opened = [];
  let setting = "";
  const badges = document.querySelector(".badges");
  if (window.vegaEmbed) pictured();
  addEventListener("beforeprint", () => {
    opened = all("details:not([open])").filter((fold) => !["pick", "contents"].includes(fold.id) && !fold.closest(".vega-embed"));
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

all("table").forEach((table) => table.tBodies[0].rows.length > 1 && sortable(table));
all("th[data-tip]").forEach(tippable);
figures.forEach(stepped);
const narrow = matchMedia("(max-width: 40rem)");
const abouts = all("table").filter((table) => table.querySelector(".identity"));
const arrange = () => abouts.forEach((table) => ordered(table, narrow.matches));
if (narrow.matches) arrange();
narrow.addEventListener("change", arrange);
document.getElementById("contents").open = matchMedia("(min-width: 72rem)").matches;
if (form) viewable();
else figures.forEach(watch);
if (window.vegaEmbed) charts();
printable();
go(view.at);
