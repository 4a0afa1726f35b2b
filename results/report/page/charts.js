// Charts, drawn by Vega when they come into view: with the strategies that are picked, in the scheme and width of the window.

const NARROW = 560; // pixels
const PAPER = 680;
const INK = "#222222"; // of words on the ground (look.py)
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
    if (isDark && channel?.value === INK) channel.value = DARK.text.color; // words in a coloured field keep theirs
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

