// The picture. Everything that is nearer than a pixel is drawn once.
const canvas = document.getElementById("canvas");
const context = canvas.getContext("2d");
const fullStop = Math.max(raw.stop * 1.015, raw.stop + 10);
const view = { from: 0, to: fullStop };
const shown = { keys: null, pinned: null, colour: "protocol", hover: null };
let colours = {};
let width = 0, gutter = 0;

const STATUS_COLOURS = { LISTEN: "tcp", ESTABLISHED: "udp", CLOSE_WAIT: "unclosed", NONE: "unix" };
const colourOf = (life) =>
  colours[shown.colour === "status" ? STATUS_COLOURS[life.status] ?? "other" : life.protocol] ?? colours.other;

function readColours() {
  const style = getComputedStyle(document.documentElement);
  colours = {};
  for (const name of ["page", "card", "ink", "soft", "faint", "line", "hair", "open", "open-soft", "unclosed", "unclosed-soft",
    "tcp", "udp", "unix", "other", "pass", "fail", "skip"]) colours[name] = style.getPropertyValue(`--${name}`).trim();
}

const xOf = (time) => gutter + ((time - view.from) / (view.to - view.from)) * (width - gutter - 14);
const timeOf = (x) => view.from + ((x - gutter) / (width - gutter - 14)) * (view.to - view.from);
const overviewX = (time) => gutter + (time / fullStop) * (width - gutter - 14);
const overviewTime = (x) => ((x - gutter) / (width - gutter - 14)) * fullStop;

function draw() {
  const ratio = Math.min(window.devicePixelRatio || 1, 16_000 / chartHeight);
  width = canvas.parentElement.clientWidth;
  gutter = width > 760 ? Math.round(Math.min(wantedGutter(), width * 0.3)) : Math.max(104, Math.round(width * 0.3));
  if (canvas.width !== Math.round(width * ratio) || canvas.height !== Math.round(chartHeight * ratio)) {
    canvas.width = Math.round(width * ratio);
    canvas.height = Math.round(chartHeight * ratio);
    canvas.style.height = `${chartHeight}px`;
  }
  context.setTransform(ratio, 0, 0, ratio, 0, 0);
  context.clearRect(0, 0, width, chartHeight);
  context.textBaseline = "middle";
  drawGrid();
  for (const lane of lanes) drawLane(lane);
  drawOverview();
}

// As wide as the longest name of a leak needs.
let wanted = 0;
function wantedGutter() {
  if (!wanted) {
    font(12.5, 500);
    const names = lanes.flatMap((lane) => lane.rows.map((row) => context.measureText(`${row.items.length} × ${row.label}`).width));
    wanted = Math.max(170, ...names) + 32;
  }
  return wanted;
}

function font(size, weight = 400) {
  context.font = `${weight} ${size}px system-ui, -apple-system, "Segoe UI", Roboto, "Noto Sans", "DejaVu Sans", sans-serif`;
}

function fit(words, room) {
  if (context.measureText(words).width <= room) return words;
  let low = 0, high = words.length;
  while (low < high) {
    const middle = (low + high + 1) >> 1;
    if (context.measureText(`${words.slice(0, middle)}…`).width <= room) low = middle; else high = middle - 1;
  }
  return low ? `${words.slice(0, low)}…` : "";
}

function label(words, y, colour, { size = 12.5, weight = 400, x = gutter - 12, room = gutter - 28 } = {}) {
  if (gutter < 100) return;
  font(size, weight);
  context.fillStyle = colour;
  context.textAlign = "right";
  context.fillText(fit(words, room), x, y);
}

function tickStep(span, room) {
  const least = span / Math.max(2, room / 110);
  if (least > 100_000) return [15, 30, 60, 120, 300, 600, 1200, 1800].map((one) => one * 10_000).find((one) => one >= least) ?? 36_000_000 * Math.ceil(least / 36_000_000);
  const power = 10 ** Math.floor(Math.log10(least));
  return [1, 2, 5, 10].map((factor) => factor * power).find((step) => step >= least);
}

function drawGrid() {
  const step = tickStep(view.to - view.from, width - gutter);
  font(11.5);
  context.textAlign = "center";
  for (let time = Math.ceil(view.from / step) * step; time <= Math.min(view.to, fullStop); time += step) {
    const x = Math.round(xOf(time)) + 0.5;
    context.fillStyle = colours.hair;
    context.fillRect(x - 0.5, OVERVIEW + AXIS, 1, chartHeight - OVERVIEW - AXIS);
    context.fillStyle = colours.faint;
    context.fillText(time === 0 ? "0" : seconds(time), Math.max(x, gutter + 4), OVERVIEW + AXIS / 2 + 1);
  }
}

function clipped(body, top, height) {
  context.save();
  context.beginPath();
  context.rect(gutter, top, width - gutter, height);
  context.clip();
  body();
  context.restore();
}

function drawLane(lane) {
  if (lane !== lanes[0]) {
    context.fillStyle = colours.line;
    context.fillRect(0, lane.top - 4, width, 1);
  }
  if (lanes.length > 1) {
    font(13, 650);
    context.fillStyle = colours.ink;
    context.textAlign = "left";
    context.fillText(lane.name || "main process", 16, lane.top + LANE_HEAD / 2);
  }
  lane.rows.forEach((row, index) => drawLeakLabel(lane, row, lane.leakTop + index * lane.pitch));
  if (lane.depth) label(`${lane.others.length.toLocaleString("en")} closed in time`, lane.othersTop + lane.othersHeight / 2, colours.soft);
  if (lane.tests.length) label(count(lane.tests.length, "test"), lane.stripTop + STRIP / 2, colours.soft, { size: 11.5 });
  clipped(() => {
    drawOthers(lane);
    lane.rows.forEach((row, index) => drawLeakRow(lane, row, lane.leakTop + index * lane.pitch));
    drawTests(lane);
  }, lane.top, lane.bottom - lane.top);
}

const faded = (row) => shown.keys !== null && ![...row.keys].some((key) => shown.keys.has(key));

function drawLeakLabel(lane, row, y) {
  const many = row.items.length > 1 ? `${row.items.length.toLocaleString("en")} × ` : "";
  context.globalAlpha = faded(row) ? 0.3 : 1;
  label(many + row.label, y + lane.pitch / 2, colours.ink, { size: lane.pitch > 18 ? 12.5 : 11.5, weight: 500 });
  context.globalAlpha = 1;
}

function drawLeakRow(lane, row, y) {
  const height = lane.pitch - (lane.pitch > 18 ? 7 : 5), top = y + (lane.pitch - height) / 2;
  const known = row.items.every((life) => life.known);
  const [strong, soft] = known ? [colours.faint, colours.line] : row.kind === OPEN ? [colours.open, colours["open-soft"]] : [colours.unclosed, colours["unclosed-soft"]];
  context.globalAlpha = faded(row) ? 0.2 : 1;
  let drawnTo = -1e9, softTo = -1e9;
  for (const life of row.items) {
    const owned = [xOf(life.opened), Math.max(xOf(life.judged), xOf(life.opened) + 2)];
    if (owned[1] > softTo + 0.5) bar(owned[0], owned[1], top, height, soft);
    softTo = Math.max(softTo, owned[1]);
  }
  for (const life of row.items) {
    const from = xOf(life.judged), to = Math.max(xOf(life.closed === null ? fullStop : life.stop), from + 3);
    if (to > drawnTo + 0.5) bar(Math.max(from, drawnTo), to, top, height, strong);
    drawnTo = Math.max(drawnTo, to);
  }
  if (row.items.some((life) => life.closed === null)) arrow(top, height, strong);
  if (row.items.length > 1) drawStarts(row, top, height);
  else if (lane.pitch > 18) drawBarText(row.items[0], top + height / 2);
  if (shown.hover && row.items.includes(shown.hover)) outline(xOf(row.start), drawnTo, top, height);
  context.globalAlpha = 1;
}

function bar(from, to, top, height, colour) {
  context.fillStyle = colour;
  context.beginPath();
  const left = Math.max(from, gutter - 20), right = Math.min(to, width + 20);
  context.roundRect(left, top, Math.max(right - left, 2), height, Math.min(3, height / 2));
  context.fill();
}

// Still open when the run ended: the bar points beyond it.
function arrow(top, height, colour) {
  const x = xOf(fullStop);
  context.fillStyle = colour;
  context.beginPath();
  context.moveTo(x - 3, top);
  context.lineTo(x + height / 2, top + height / 2);
  context.lineTo(x - 3, top + height);
  context.fill();
}

function outline(from, to, top, height) {
  context.strokeStyle = colours.ink;
  context.lineWidth = 1.5;
  context.strokeRect(Math.max(from, gutter) - 1, top - 1.5, Math.min(to, width) - Math.max(from, gutter) + 2, height + 3);
}

// In a row of many, a tick where each one began; as many as there are pixels.
function drawStarts(row, top, height) {
  context.fillStyle = colours.card;
  let last = -1e9;
  for (const life of row.items) {
    const x = xOf(life.judged);
    if (x < last + 3) continue;
    context.fillRect(x - 0.5, top, 1, height);
    last = x;
  }
}

function drawBarText(life, y) {
  const from = Math.max(xOf(life.judged), gutter), to = Math.min(xOf(life.closed === null ? fullStop : life.stop), width - 14);
  font(11.5, 500);
  context.fillStyle = colours.card;
  context.textAlign = "left";
  const words = fit(life.status === "NONE" ? life.tuple : `${life.tuple}  ${life.status}`, to - from - 14);
  if (words.length > 12) context.fillText(words, from + 7, y + 0.5);
}

function drawOthers(lane) {
  const pitch = lane.otherPitch, height = Math.max(1, pitch > 4 ? pitch - 2 : pitch > 2 ? pitch - 1 : 1);
  const reached = [];
  context.globalAlpha = shown.keys === null ? 0.9 : 0.25;
  for (const life of lane.others) {
    if (life.opened > view.to) break;
    if (life.stop < view.from) continue;
    const y = lane.othersTop + Math.floor(life.row * pitch);
    const from = xOf(life.opened), to = Math.max(xOf(life.stop), from + 1.5);
    if (to <= (reached[y] ?? -1e9) + 0.5) continue;
    context.fillStyle = colourOf(life);
    context.fillRect(from, y, to - from, height);
    reached[y] = to;
  }
  context.globalAlpha = 1;
  if (shown.hover && !shown.hover.kind && shown.hover.lane === lane.index) {
    const y = lane.othersTop + Math.floor(shown.hover.row * pitch), from = xOf(shown.hover.opened);
    outline(from, Math.max(xOf(shown.hover.stop), from + 2), y, height);
  }
}

// One column of pixels shows the worst outcome in it.
function drawTests(lane) {
  const rank = [0, 3, 1, 3, 1, 2, 2], tint = [colours.pass, colours.skip, colours.unclosed, colours.fail];
  let column = null, worst = 0;
  const flush = () => {
    if (column) { context.fillStyle = tint[worst]; context.fillRect(column[0], lane.stripTop, Math.max(column[1] - column[0], 1), STRIP); }
    column = null;
  };
  for (const test of lane.tests) {
    if (test.stop < view.from) continue;
    if (test.start > view.to) break;
    const from = Math.floor(xOf(test.start)), to = xOf(test.stop), value = rank[test.outcome];
    if (column && from <= column[0] && to - from < 2) { worst = Math.max(worst, value); continue; }
    flush();
    column = [from, Math.max(to - (to - from > 4 ? 1 : 0), from + 1)];
    worst = value;
  }
  flush();
}

function drawOverview() {
  context.fillStyle = colours.card;
  context.fillRect(0, 0, width, OVERVIEW);
  const most = Math.max(1, ...peaks(1)), floor = OVERVIEW - 6, scale = (OVERVIEW - 22) / most;
  area(1, colours.tcp, 0.35, floor, scale);
  area(2, colours.open, 1, floor, scale);
  context.fillStyle = colours.line;
  context.fillRect(0, OVERVIEW - 1, width, 1);
  context.fillRect(gutter, floor, width - gutter - 14, 1);
  label("open at a time", floor - 24, colours.soft);
  label(`most: ${most.toLocaleString("en")}`, floor - 8, colours.faint, { size: 11.5 });
  if (view.from > 0 || view.to < fullStop) {
    const from = overviewX(view.from), to = overviewX(view.to);
    context.fillStyle = colours.page;
    context.globalAlpha = 0.7;
    context.fillRect(gutter, 0, from - gutter, OVERVIEW - 1);
    context.fillRect(to, 0, width - to, OVERVIEW - 1);
    context.globalAlpha = 1;
    context.strokeStyle = colours.ink;
    context.lineWidth = 1;
    context.strokeRect(from + 0.5, 2.5, Math.max(to - from, 3), OVERVIEW - 6);
  }
}

const peakCache = new Map();
function peaks(which) {
  const columns = Math.max(1, Math.floor(width - gutter - 14)), key = `${which}/${columns}`;
  if (peakCache.has(key)) return peakCache.get(key);
  const found = new Array(columns).fill(0);
  let at = 0, value = 0;
  for (let column = 0; column < columns; column++) {
    const end = ((column + 1) / columns) * fullStop;
    found[column] = value;
    while (at < steps.length && steps[at][0] < end) {
      value = steps[at++][which];
      found[column] = Math.max(found[column], value);
    }
  }
  peakCache.set(key, found);
  return found;
}

function area(which, colour, alpha, floor, scale) {
  context.fillStyle = colour;
  context.globalAlpha = alpha;
  peaks(which).forEach((count, column) => {
    if (count) context.fillRect(gutter + column, floor - Math.max(1, count * scale), 1, Math.max(1, count * scale));
  });
  context.globalAlpha = 1;
}
