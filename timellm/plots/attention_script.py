"""Style and script of the page that `timellm.plots.attention_html` writes."""

STYLE = """
:root { color-scheme: light dark; --text: #26302f; --faint: #5d6866; --page: #ffffff; }
@media (prefers-color-scheme: dark) { :root { --text: #e7ecea; --faint: #a3adab; --page: #101514; } }
body { margin: 1rem; background: var(--page); color: var(--text); font: 15px/1.5 sans-serif; }
h1 { font-size: 1.1rem; }
canvas { display: block; width: 100%; touch-action: pan-y; }
canvas:focus { outline: 2px solid #12938A; outline-offset: 2px; }
"""

SCRIPT = """
const canvas = document.getElementById("chart"), said = document.getElementById("said");
const P = D.spans.length, K = D.labels.length, T = D.values.length;
const length = D.spans[0][1] - D.spans[0][0], stride = P > 1 ? D.spans[1][0] - D.spans[0][0] : length;
const cellStart = (p) => D.spans[p][0] + (length - stride) / 2;
const low = Math.min(0, cellStart(0)), high = Math.max(T, cellStart(P - 1) + stride);
const top0 = 8, seriesHeight = 150, gap = 14, row = K > 60 ? Math.max(3, 900 / K) : 20, foot = 66;
const values = D.values.filter((v) => v !== null), least = Math.min(...values), most = Math.max(...values);
let at = null, chosen = null, span = null, drag = null, width = 0, left = 0;

const rgb = D.colours.map((c) => [1, 3, 5].map((i) => parseInt(c.slice(i, i + 2), 16)));
function colour(steps) {
  const share = D.deviation ? (steps / 10000 + 1) / 2 : steps / 10000;
  const place = Math.min(Math.max(share, 0), 1) * (rgb.length - 1), i = Math.min(Math.floor(place), rgb.length - 2);
  return `rgb(${rgb[i].map((c, n) => Math.round(c + (rgb[i + 1][n] - c) * (place - i)))})`;
}
const x = (r) => left + (r - low) / (high - low) * (width - left - 10);
const heatTop = top0 + seriesHeight + gap;
const size = (p, k) => `${(D.cells[p][k] * D.unit).toPrecision(3)} ${D.deviation ? "points" : "%"}`;
const time = (r) => D.times[Math.min(r, T - 1)];
const when = (p) => `${time(D.spans[p][0])} to ${time(D.spans[p][1] - 1)}`;
function patchAt(px) {
  const r = low + (px - left) / (width - left - 10) * (high - low);
  return Math.min(P - 1, Math.max(0, Math.floor((r - cellStart(0)) / stride)));
}
const inSpan = (p) => !span || (D.spans[p][1] > span[0] && D.spans[p][0] <= span[1]);

function draw() {
  const css = getComputedStyle(document.documentElement), ratio = window.devicePixelRatio || 1;
  width = canvas.clientWidth;
  left = Math.min(250, width * 0.32);
  const height = heatTop + row * K + foot;
  canvas.style.height = `${height}px`;
  canvas.width = width * ratio;
  canvas.height = height * ratio;
  const g = canvas.getContext("2d");
  g.scale(ratio, ratio);
  const text = css.getPropertyValue("--text"), faint = css.getPropertyValue("--faint");
  g.font = "12px sans-serif";
  for (const [mark, alpha] of [[chosen, 0.3], [at, 0.45]]) {
    if (!mark) continue;
    g.globalAlpha = alpha;
    g.fillStyle = D.accent;
    g.fillRect(x(D.spans[mark.p][0]), top0, x(D.spans[mark.p][1]) - x(D.spans[mark.p][0]), seriesHeight);
  }
  g.globalAlpha = 1;
  const y = (v) => top0 + seriesHeight - 4 - (v - least) / (most - least || 1) * (seriesHeight - 8);
  g.strokeStyle = D.line;
  g.lineWidth = 1.6;
  g.beginPath();
  D.values.forEach((v, r) => (r ? g.lineTo(x(r + 0.5), y(v)) : g.moveTo(x(r + 0.5), y(v))));
  g.stroke();
  g.fillStyle = faint;
  g.textAlign = "right";
  for (const v of [least, most]) g.fillText(v.toLocaleString("en"), left - 6, y(v) + 4);
  g.fillText(D.name.slice(0, 30), left - 6, top0 + seriesHeight / 2);
  if (span) {
    g.strokeStyle = D.accent;
    g.strokeRect(x(span[0]), top0, x(span[1] + 1) - x(span[0]), seriesHeight);
  }
  for (let p = 0; p < P; p++) {
    g.globalAlpha = inSpan(p) ? 1 : 0.25;
    for (let k = 0; k < K; k++) {
      g.fillStyle = colour(D.cells[p][k]);
      g.fillRect(x(cellStart(p)), heatTop + k * row, x(cellStart(p) + stride) - x(cellStart(p)) + 0.5, row + 0.5);
    }
  }
  g.globalAlpha = 1;
  if (row >= 12) {
    for (let k = 0; k < K; k++) {
      g.fillStyle = (at && at.k === k) || (chosen && chosen.k === k) ? text : faint;
      let label = D.labels[k];
      while (g.measureText(label).width > left - 10) label = label.slice(0, -2).trimEnd() + "…";
      g.fillText(label, left - 6, heatTop + k * row + row / 2 + 4);
    }
  }
  for (const [mark, line] of [[at, 1], [chosen, 2]]) {
    if (!mark) continue;
    g.strokeStyle = D.accent;
    g.lineWidth = line;
    g.strokeRect(x(cellStart(mark.p)), heatTop, x(cellStart(mark.p) + stride) - x(cellStart(mark.p)), row * K);
    if (mark.k === null) continue;
    g.strokeStyle = "#fff";
    g.strokeRect(x(cellStart(mark.p)), heatTop + mark.k * row, x(stride) - x(0), row);
  }
  g.fillStyle = faint;
  g.textAlign = "center";
  const marks = Math.max(2, Math.floor((width - left) / 130));
  for (let i = 0; i < marks; i++) {
    const r = Math.round((i + 0.5) / marks * (T - 1));
    g.fillText(D.times[r].slice(4, 14), x(r), heatTop + row * K + 16);
  }
  const narrow = width < 640, bar = 160, begin = narrow ? 4 : left + 10, below = heatTop + row * K + 28;
  for (let i = 0; i < bar; i++) {
    g.fillStyle = colour(D.deviation ? (2 * i / bar - 1) * 10000 : i / bar * 10000);
    g.fillRect(begin + i, below, 1.5, 10);
  }
  g.fillStyle = faint;
  g.textAlign = "left";
  g.fillText(D.ends.join("  to  "), narrow ? begin : begin + bar + 8, narrow ? below + 26 : below + 9);
}

function say() {
  const mark = at || chosen;
  if (span) {
    const inside = D.spans.map((_, p) => p).filter(inSpan);
    said.textContent = `Span ${D.times[span[0]]} to ${D.times[span[1]]}: patches ${inside[0] + 1} to ` +
      `${inside[inside.length - 1] + 1}. A click on the series ends it.`;
  } else if (mark && mark.k !== null) {
    said.textContent = `Patch ${mark.p + 1}, ${when(mark.p)}; prototype ${D.labels[mark.k]}: ${size(mark.p, mark.k)}`;
  } else if (mark) {
    said.textContent = `Patch ${mark.p + 1}, ${when(mark.p)}`;
  } else {
    said.textContent = "Point at a cell or at the series; click a cell to keep it; drag over the series for a span.";
  }
}

function place(event) {
  const box = canvas.getBoundingClientRect(), px = event.clientX - box.left, py = event.clientY - box.top;
  if (px < left || px > width - 10) return null;
  const k = Math.floor((py - heatTop) / row);
  return { p: patchAt(px), k: py >= heatTop && k < K ? k : null, series: py < heatTop - gap / 2,
    r: Math.min(T - 1, Math.max(0, Math.floor(low + (px - left) / (width - left - 10) * (high - low)))) };
}
function show() { draw(); say(); }
canvas.addEventListener("pointermove", (event) => {
  at = place(event);
  if (drag !== null && at) span = [Math.min(drag, at.r), Math.max(drag, at.r)];
  show();
});
canvas.addEventListener("pointerleave", () => { at = null; show(); });
canvas.addEventListener("pointerdown", (event) => {
  const here = place(event);
  if (!here) return;
  if (here.series) { drag = here.r; span = null; } else if (here.k !== null) { chosen = here; }
  show();
});
window.addEventListener("pointerup", () => { drag = null; });
canvas.addEventListener("keydown", (event) => {
  const step = { ArrowLeft: [-1, 0], ArrowRight: [1, 0], ArrowUp: [0, -1], ArrowDown: [0, 1] }[event.key];
  if (!step) return;
  event.preventDefault();
  const from = chosen || { p: -step[0], k: 0 };
  chosen = { p: Math.min(P - 1, Math.max(0, from.p + step[0])), k: Math.min(K - 1, Math.max(0, from.k + step[1])) };
  at = null;
  show();
});
window.addEventListener("resize", draw);
window.matchMedia("(prefers-color-scheme: dark)").addEventListener("change", draw);
show();
"""
