// Looking at one bar, moving and zooming.
const tip = document.getElementById("tip");
const details = document.getElementById("details");
const reset = document.getElementById("reset");

function nearest(found, x) {
  let best = null, distance = 4;
  for (const life of found) {
    const from = xOf(life.opened), to = Math.max(xOf(life.closed === null ? fullStop : life.stop), from + 2);
    const away = x < from ? from - x : x > to ? x - to : 0;
    if (away < distance) { best = life; distance = away; }
  }
  return best;
}

function under(x, y) {
  const lane = lanes.find((one) => y >= one.top && y < one.bottom);
  if (!lane || y < OVERVIEW + AXIS) return null;
  if (y >= lane.leakTop && y < lane.leakTop + lane.rows.length * lane.pitch) {
    const row = lane.rows[Math.floor((y - lane.leakTop) / lane.pitch)];
    if (x < gutter) return { life: row.items[0], more: row.items.length - 1 };
    // Of many in one row the last that began before the pointer: that is what changed there.
    const begun = row.items.filter((life) => xOf(life.opened) <= x + 2 && xOf(life.closed === null ? fullStop : life.stop) >= x - 2);
    const life = begun.length ? begun[begun.length - 1] : nearest(row.items, x);
    return life && { life, more: Math.max(0, begun.length - 1) };
  }
  if (x < gutter) return null;
  if (y >= lane.othersTop && y < lane.othersTop + lane.othersHeight) {
    const near = lane.others.filter((life) => Math.abs(lane.othersTop + life.row * lane.otherPitch + lane.otherPitch / 2 - y) <= Math.max(lane.otherPitch / 2, 2));
    const life = nearest(near, x);
    return life && { life, more: near.filter((one) => xOf(one.opened) <= x + 1 && xOf(one.stop) >= x - 1 && one !== life).length };
  }
  if (y >= lane.stripTop && y < lane.stripTop + STRIP) {
    const time = timeOf(x), slack = (view.to - view.from) / width;
    const test = lane.tests.find((one) => one.start - slack <= time && one.stop + slack >= time);
    return test && { test, more: 0 };
  }
  return null;
}

function elements(hit) {
  const parts = hit.test ? testElement(hit.test) : lifeElement(hit.life);
  if (hit.more) parts.push(make("div", "dim", `and ${hit.more.toLocaleString("en")} more here; zoom in to separate them`));
  return parts;
}

function showTip(hit, x, y) {
  shown.hover = hit?.life ?? null;
  tip.hidden = !hit;
  if (hit) {
    tip.replaceChildren(...elements(hit));
    const left = Math.min(Math.max(8, x + 16), Math.max(8, width - tip.offsetWidth - 8));
    const above = y + 18 + tip.offsetHeight > chartHeight - 4;
    tip.style.left = `${left}px`;
    tip.style.top = `${above ? Math.max(4, y - tip.offsetHeight - 14) : y + 18}px`;
  }
}

let pending = false;
function redraw() {
  if (pending) return;
  pending = true;
  requestAnimationFrame(() => { pending = false; draw(); });
}

function look(from, to) {
  const span = Math.min(Math.max(to - from, 5), fullStop);
  view.from = Math.min(Math.max(0, from), fullStop - span);
  view.to = view.from + span;
  reset.disabled = view.from <= 0 && view.to >= fullStop;
  redraw();
}

function zoom(factor, x = gutter + (width - gutter) / 2) {
  const centre = timeOf(x);
  look(centre - (centre - view.from) * factor, centre + (view.to - centre) * factor);
}

const move = (part) => look(view.from + (view.to - view.from) * part, view.to + (view.to - view.from) * part);

let drag = null;
canvas.addEventListener("pointerdown", (event) => {
  drag = { x: event.offsetX, y: event.offsetY, from: view.from, to: view.to, moved: false, brush: event.offsetY < OVERVIEW };
  canvas.setPointerCapture(event.pointerId);
});
canvas.addEventListener("pointermove", (event) => {
  const { offsetX: x, offsetY: y } = event;
  if (drag && Math.abs(x - drag.x) > 4) drag.moved = true;
  if (drag?.moved) {
    showTip(null);
    if (drag.brush) return look(...[overviewTime(drag.x), overviewTime(x)].sort((a, b) => a - b));
    const shift = ((drag.x - x) / (width - gutter - 14)) * (drag.to - drag.from);
    return look(drag.from + shift, drag.to + shift);
  }
  showTip(under(x, y), x, y);
  redraw();
});
canvas.addEventListener("pointerup", (event) => {
  const click = drag && !drag.moved;
  const brush = drag?.brush;
  drag = null;
  if (!click) return;
  if (brush) {
    const span = view.to - view.from, centre = overviewTime(event.offsetX);
    if (span < fullStop) look(centre - span / 2, centre + span / 2);
    return;
  }
  pin(under(event.offsetX, event.offsetY));
});
canvas.addEventListener("pointerleave", () => { showTip(null); redraw(); });
canvas.addEventListener("dblclick", () => look(0, fullStop));
canvas.addEventListener("wheel", (event) => {
  if (event.offsetX < gutter || event.shiftKey) return;
  event.preventDefault();
  if (Math.abs(event.deltaX) > Math.abs(event.deltaY)) move(event.deltaX / width); else zoom(1.0015 ** event.deltaY, event.offsetX);
}, { passive: false });
canvas.addEventListener("keydown", (event) => {
  const keys = { ArrowLeft: () => move(-0.2), ArrowRight: () => move(0.2), "+": () => zoom(0.7), "=": () => zoom(0.7), "-": () => zoom(1.4),
    0: () => look(0, fullStop), Escape: () => pin(null) };
  if (keys[event.key]) { event.preventDefault(); keys[event.key](); }
});
reset.addEventListener("click", () => look(0, fullStop));

function pin(hit) {
  details.hidden = !hit;
  if (!hit) return;
  const close = make("button", "", "Close");
  close.setAttribute("aria-label", "Close the details");
  close.addEventListener("click", () => pin(null));
  details.replaceChildren(close, ...elements(hit));
}
