// The page of a report: columns that sort, filters, and charts drawn when they come into view.
"use strict";

// --- sorting ------------------------------------------------------------------------------------------------------

const NUMBER = /^(?:[<>≥≤≈~]|more than)?\s*([+-]?(?:\d+\.?\d*|\.\d+)(?:e[+-]?\d+)?)/i;
const isMissing = (text) => text === "" || text === "-";

function number(text) {
  const match = NUMBER.exec(text.replace("\u2212", "-"));
  return match ? Number(match[1]) : NaN;
}

function sortable(table) {
  const body = table.tBodies[0];
  if (body.rows.length < 2) return;
  Array.from(table.tHead.rows[0].cells).forEach((head, column) => {
    const button = document.createElement("button");
    button.type = "button";
    button.append(...head.childNodes);
    head.append(button);
    button.addEventListener("click", () => sort(table, head, column));
  });
}

function sort(table, head, column) {
  const body = table.tBodies[0];
  const rows = Array.from(body.rows, (row) => ({ row, text: row.cells[column].textContent.trim() }));
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

// --- filters ------------------------------------------------------------------------------------------------------

function filterable(form) {
  const cells = Array.from(document.querySelectorAll("table"), (table) => ({
    table,
    columns: Array.from(table.tHead.rows[0].cells, (head) => head.textContent.trim()),
  })).filter(({ columns }) => columns.includes("dataset") && columns.includes("strategy"));
  const places = Array.from(document.querySelectorAll("[data-about]"), (section) => ({
    section,
    about: JSON.parse(section.dataset.about),
  }));
  const apply = () => {
    const wanted = Array.from(new FormData(form)).filter(([, value]) => value !== "");
    const counts = [0, 0, 0, 0];
    for (const { table, columns } of cells) {
      const asked = wanted.map(([name, value]) => [columns.indexOf(name), value]).filter(([at]) => at >= 0);
      for (const row of table.tBodies[0].rows) {
        row.hidden = asked.some(([at, value]) => row.cells[at].textContent.trim() !== value);
        counts[0] += !row.hidden;
        counts[1] += 1;
      }
    }
    for (const { section, about } of places) {
      section.hidden = wanted.some(([name, value]) => name in about && about[name] !== value);
      counts[2] += !section.hidden;
      counts[3] += 1;
    }
    form.querySelector("output").textContent =
      `${counts[0]} of ${counts[1]} rows` + (counts[3] ? `, ${counts[2]} of ${counts[3]} settings` : "");
  };
  form.hidden = false;
  form.addEventListener("change", apply);
  form.addEventListener("submit", (event) => event.preventDefault());
  form.addEventListener("reset", () => setTimeout(apply));
  form.reset(); // a page that comes back from the history keeps its choices
}

// --- charts -------------------------------------------------------------------------------------------------------

const NARROW = 560; // pixels
const dark = matchMedia("(prefers-color-scheme: dark)");
const DARK = {
  title: { color: "#eeeeee", subtitleColor: "#aaaaaa" },
  legend: { labelColor: "#dddddd", titleColor: "#dddddd" },
  axis: { labelColor: "#dddddd", titleColor: "#dddddd", gridColor: "#333333", domainColor: "#555555", tickColor: "#555555" },
  view: { stroke: "#555555" },
  text: { color: "#eeeeee" },
  rule: { color: "#eeeeee" },
};

function fitted(spec, figure) {
  const width = figure.clientWidth;
  const own = structuredClone(spec);
  if (own.usermeta?.min_width) own.width = Math.max(own.usermeta.min_width, Math.min(own.width, width - 8));
  if (own.title?.text === figure.dataset.title) {
    // the heading above says it; a file made of the chart has it back in the report's own figures
    own.title = own.title.subtitle ? { text: own.title.subtitle, fontSize: 12, fontWeight: "normal" } : undefined;
  }
  own.config = { ...own.config, background: "transparent", padding: 4, font: "system-ui, sans-serif" };
  for (const [part, look] of dark.matches ? Object.entries(DARK) : []) own.config[part] = { ...own.config[part], ...look };
  if (own.title && dark.matches) own.title.color = DARK.title.color;
  if (width < NARROW) own.config.legend = { ...own.config.legend, columns: 2 };
  return own;
}

const drawn = new Map(); // figure -> {width, view}

async function draw(figure) {
  const spec = JSON.parse(figure.querySelector("script").textContent);
  const before = drawn.get(figure);
  const now = { width: figure.clientWidth };
  drawn.set(figure, now);
  const chart = figure.querySelector(".chart");
  try {
    const result = await vegaEmbed(chart, fitted(spec, figure), {
      mode: "vega-lite",
      renderer: "svg",
      actions: { export: true, source: false, compiled: false, editor: false },
      downloadFileName: figure.dataset.name,
      tooltip: { theme: dark.matches ? "dark" : "light" },
    });
    before?.view?.finalize();
    now.view = result;
    chart.style.minHeight = "";
  } catch (error) {
    chart.textContent = `This chart cannot be drawn: ${error.message}`;
  }
}

function charts(figures) {
  const seen = new IntersectionObserver(
    (entries) => {
      for (const { target } of entries.filter((entry) => entry.isIntersecting)) {
        seen.unobserve(target);
        draw(target);
      }
    },
    { rootMargin: "300px" },
  );
  for (const figure of figures) seen.observe(figure);
  dark.addEventListener("change", () => Array.from(drawn.keys()).forEach(draw));
  let waiting;
  addEventListener("resize", () => {
    clearTimeout(waiting);
    waiting = setTimeout(() => {
      for (const [figure, { width }] of Array.from(drawn)) if (figure.clientWidth && figure.clientWidth !== width) draw(figure);
    }, 200);
  });
}

// --- start --------------------------------------------------------------------------------------------------------

const form = document.getElementById("filters");
if (form) filterable(form); // before the columns get buttons
document.querySelectorAll("table").forEach(sortable);
document.getElementById("contents").open = matchMedia("(min-width: 72rem)").matches;
if (window.vegaEmbed) charts(document.querySelectorAll("figure"));
