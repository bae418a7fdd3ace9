// One line chart in SVG: axes with round ticks, a faint raw line under a smoothed one, hover values.
const SVG = "http://www.w3.org/2000/svg";

export function element(name, attributes = {}, text) {
  const node = document.createElementNS(SVG, name);
  for (const [key, value] of Object.entries(attributes)) node.setAttribute(key, value);
  if (text !== undefined) node.textContent = text;
  return node;
}

export function short(value) {
  if (value === null || value === undefined || !isFinite(value)) return "–";
  const size = Math.abs(value);
  if (size !== 0 && (size < 1e-3 || size >= 1e6)) return value.toExponential(2).replace(/\.?0*e\+?/, "e");
  return String(Number(value.toPrecision(size >= 1000 ? Math.max(4, Math.ceil(Math.log10(size))) : 4)));
}

// About `count` round values that cover [low, high]; `whole`: integers alone, as steps are.
export function ticks(low, high, count, whole = false) {
  const raw = (high - low) / Math.max(1, count);
  const power = 10 ** Math.floor(Math.log10(raw));
  const round = [1, 2, 2.5, 5, 10].map((f) => f * power).find((s) => s >= 0.7 * raw);
  const step = whole ? Math.max(1, Math.ceil(round - 1e-9)) : round;
  const result = [];
  const first = Math.ceil(low / step - 1e-9);
  for (let i = 0; i < 100 && (first + i) * step <= high + step * 1e-6; ++i) result.push(Number(((first + i) * step).toPrecision(12)));
  return result;
}

// Texts of neighbouring ticks, with just as many decimals as they need to differ.
export function tickTexts(values) {
  const size = Math.max(...values.map(Math.abs)), step = values.length > 1 ? values[1] - values[0] : size || 1;
  const exponent = size > 0 ? Math.floor(Math.log10(size)) : 0;
  const power = exponent < -3 || exponent > 5 ? 10 ** exponent : 1;
  let decimals = 0;
  for (let unit = step / power; decimals < 12 && Math.abs(unit - Math.round(unit)) > 1e-6 * unit; ++decimals) unit *= 10;
  return values.map((v) => (v === 0 ? "0" : (v / power).toFixed(decimals) + (power === 1 ? "" : `e${exponent}`)));
}

// Mean over a window around each point, so that the smooth line does not lag.
function smoothed(points) {
  const half = Math.floor(points.length / 60), sums = [0];
  for (const [, y] of points) sums.push(sums[sums.length - 1] + y);
  return points.map(([x], i) => {
    const first = Math.max(0, i - half), last = Math.min(points.length - 1, i + half);
    return [x, (sums[last + 1] - sums[first]) / (last + 1 - first)];
  });
}

// Robust range: the largest hundredth of the values may leave the frame.
function range(series) {
  const values = series.flatMap((s) => s.points.map((p) => p[1])).sort((a, b) => a - b);
  let low = values[Math.floor(values.length * 0.002)], high = values[Math.ceil((values.length - 1) * 0.996)];
  const size = Math.max(Math.abs(low), Math.abs(high));
  // A constant that was averaged differs by rounding alone, too little for ticks between.
  if (high - low <= 1e-9 * size) [low, high] = [low - size * 0.05 - 1e-9, high + size * 0.05 + 1e-9];
  const margin = (high - low) * 0.06;
  return [low >= 0 && low - margin < 0 ? 0 : low - margin, high + margin];
}

// series: [{name, color, points: [[x, y]], smooth, dots}]; options: {height, marks: [x]}
export function draw(host, series, options = {}) {
  series = series.filter((s) => s.points.length > 0);
  if (series.length === 0) {
    host.replaceChildren(Object.assign(document.createElement("div"), {className: "empty", textContent: "no values yet"}));
    return;
  }
  const width = Math.max(240, host.clientWidth), height = options.height || 206;
  const left = 60, right = 10, top = 8, bottom = 38;
  const xs = series.flatMap((s) => [s.points[0][0], s.points[s.points.length - 1][0]]);
  const x0 = Math.min(...xs), x1 = Math.max(x0 + 1, ...xs), [y0, y1] = range(series);
  const X = (x) => left + (x - x0) / (x1 - x0) * (width - left - right);
  const Y = (y) => top + (1 - (Math.min(y1, Math.max(y0, y)) - y0) / (y1 - y0)) * (height - top - bottom);
  const svg = element("svg", {class: "chart", viewBox: `0 0 ${width} ${height}`, height, role: "img"});
  const rows = ticks(y0, y1, 4), texts = tickTexts(rows);
  for (const [i, y] of rows.entries()) {
    svg.append(element("line", {class: "grid", x1: left, x2: width - right, y1: Y(y), y2: Y(y)}));
    svg.append(element("text", {class: "y", x: left - 8, y: Y(y) + 4, "text-anchor": "end"}, texts[i]));
  }
  for (const x of ticks(x0, x1, width / 110, true)) {
    svg.append(element("text", {class: "x", x: X(x), y: height - 20, "text-anchor": "middle"}, short(x)));
  }
  svg.append(element("text", {class: "axis", x: (left + width - right) / 2, y: height - 4, "text-anchor": "middle"}, "step"));
  for (const x of options.marks || []) {
    if (x >= x0 && x <= x1) svg.append(element("line", {class: "resume", x1: X(x), x2: X(x), y1: top, y2: height - bottom}));
  }
  const path = (points) => points.map(([x, y], i) => `${i ? "L" : "M"}${X(x).toFixed(1)} ${Y(y).toFixed(1)}`).join("");
  for (const s of series) {
    if (s.dots) {
      for (const [x, y] of s.points) svg.append(element("circle", {cx: X(x), cy: Y(y), r: 3.5, style: `fill:${s.color}`}));
      continue;
    }
    if (s.smooth) svg.append(element("path", {class: "raw", d: path(s.points), style: `stroke:${s.color}`}));
    svg.append(element("path", {d: path(s.smooth ? smoothed(s.points) : s.points), style: `stroke:${s.color}`}));
  }
  host.replaceChildren(svg);
  if (series.length > 1) host.append(legend(series));
  hover(host, svg, series, {X, x0, x1, left, right, width, top, bottom, height});
}

function legend(series) {
  const box = Object.assign(document.createElement("div"), {className: "legend"});
  for (const s of series) box.append(entry(s.color, s.name));
  return box;
}

export function entry(color, text) {
  const item = document.createElement("span"), swatch = document.createElement("i");
  swatch.style.background = color;
  item.append(swatch, text);
  return item;
}

function hover(host, svg, series, f) {
  const cross = element("line", {class: "cross", y1: f.top, y2: f.height - f.bottom, visibility: "hidden"});
  const tip = Object.assign(document.createElement("div"), {className: "tip", hidden: true});
  svg.append(cross);
  host.append(tip);
  svg.addEventListener("pointermove", (event) => {
    const box = svg.getBoundingClientRect();
    const at = f.x0 + ((event.clientX - box.left) * f.width / box.width - f.left) / (f.width - f.left - f.right) * (f.x1 - f.x0);
    const near = (points) => points.reduce((a, b) => (Math.abs(b[0] - at) < Math.abs(a[0] - at) ? b : a));
    const x = near(series[0].points)[0];
    tip.replaceChildren(`step ${x}`);
    for (const s of series) {
      const line = document.createElement("div");
      line.append(entry(s.color, `${s.name}  ${short(near(s.points)[1])}`));
      tip.append(line);
    }
    tip.hidden = false;
    const px = f.X(x) * box.width / f.width;
    tip.style.left = `${px > box.width / 2 ? px - tip.offsetWidth - 12 : px + 12}px`;
    cross.setAttribute("x1", f.X(x));
    cross.setAttribute("x2", f.X(x));
    cross.setAttribute("visibility", "visible");
  });
  svg.addEventListener("pointerleave", () => {
    tip.hidden = true;
    cross.setAttribute("visibility", "hidden");
  });
}
