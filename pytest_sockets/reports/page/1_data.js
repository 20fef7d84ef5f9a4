// The run as objects. Times are tenths of a millisecond since the start of the run.
const raw = JSON.parse(document.getElementById("data").textContent);
const OUTCOMES = ["passed", "failed", "skipped", "error", "xfailed", "xpassed", "rerun"];
const OPEN = 2, UNCLOSED = 1;

const text = (i) => (i < 0 ? "" : raw.texts[i]);
const nodeid = (i) => {
  const [file, rest] = raw.ids[i];
  return rest === null ? text(file) : `${text(file)}::${rest}`;
};
const ownerText = (i) => (typeof raw.owners[i] === "number" ? `test ${nodeid(raw.owners[i])}` : raw.owners[i]);
const ownerName = (i) => {
  const owner = raw.owners[i];
  if (typeof owner !== "number") return owner.replace(/ \(scope .*\)$/, "");
  const [file, rest] = raw.ids[owner];
  return rest === null ? text(file) : rest.split("::").pop();
};
const place = (i) => (i < 0 ? "" : `${text(raw.frames[i][0])}:${raw.frames[i][1]}`);
const frameText = (i) => `${place(i)} in ${text(raw.frames[i][2])}`;
const statusText = (status) => (raw.words[status] ? `${status}: ${raw.words[status]}` : status);
const groupKey = (kind, owner, frame) => `${kind}/${owner}/${frame}`;

const tests = raw.tests.map(([id, start, length, outcome, lane]) => ({ id, start, stop: start + length, outcome, lane }));

const withoutStatus = (tuple, status) => (status && tuple.endsWith(` ${status}`) ? tuple.slice(0, -status.length - 1) : tuple);
// What only the interpreter closed was gone when it was judged, even if the moment was not noted.
const closedAt = (closed, kind, judged) => (closed >= 0 ? closed : kind === UNCLOSED && judged >= 0 ? judged : null);
const lives = raw.lives.map(([tuple, protocol, status, opened, closed, owner, frame, kind, lane, judged]) => ({
  tuple: withoutStatus(tuple, text(status)), protocol: text(protocol), status: text(status), opened, closed: closedAt(closed, kind, judged),
  stop: closedAt(closed, kind, judged) ?? raw.stop, owner, frame, kind, lane, judged: judged < 0 ? null : judged,
  key: groupKey(kind, owner, frame),
}));

const leaks = raw.leaks.map(
  ([kind, id, owner, phase, frame, stack, tuple, status, [fd, inode, pid], process, held, note, lane, protocol, ownerKind, known, advice, annotations], index) => ({
    kind, id, owner, phase: text(phase), frame, stack: raw.stacks[stack], tuple, status: text(status), fd, inode, pid,
    process: process < 0 ? null : text(process), held: held.map(text), note: note < 0 ? null : text(note), lane,
    protocol: text(protocol), key: groupKey(kind, owner, frame), ownerKind: text(ownerKind), known: known === 1, advice: text(advice),
    annotations: annotations.map(text), index,
  }),
);

// Leaks of one owner and opening line are one row of the picture.
const groups = new Map();
for (const leak of leaks) {
  if (!groups.has(leak.key)) groups.set(leak.key, { key: leak.key, kind: leak.kind, owner: leak.owner, frame: leak.frame, leaks: [] });
  groups.get(leak.key).leaks.push(leak);
}

// A leak without a life (another process opened it) is drawn from the start of the test after which it was found.
const lived = new Set(lives.map((life) => `${life.key}/${life.lane}`));
const spans = new Map(tests.map((test) => [`${test.id}/${test.lane}`, test]));
for (const leak of leaks) {
  const test = spans.get(`${leak.id}/${leak.lane}`);
  if (!test || lived.has(`${leak.key}/${leak.lane}`)) continue;
  const closed = leak.kind === OPEN ? null : test.stop;
  lives.push({ tuple: leak.tuple, protocol: leak.protocol, status: leak.status, opened: test.start, closed, stop: closed ?? raw.stop,
    owner: leak.owner, frame: leak.frame, kind: leak.kind, lane: leak.lane, judged: test.stop, key: leak.key, guessed: true });
}
lives.sort((a, b) => a.opened - b.opened);

// The moment from which a socket should have been gone: as the detection saw it, else the end of the test that it is blamed on.
const testEnds = new Map();
for (const test of tests) testEnds.set(`${test.id}/${test.lane}`, test.stop);
for (const life of lives) {
  if (!life.kind || life.judged !== null) continue;
  const owner = raw.owners[life.owner];
  const id = typeof owner === "number" ? owner : groups.get(life.key)?.leaks[0].id;
  const end = testEnds.get(`${id}/${life.lane}`);
  life.judged = end === undefined ? life.opened : Math.min(Math.max(end, life.opened), life.stop);
}

const leakOf = (life) => {
  const candidates = groups.get(life.key)?.leaks ?? [];
  return candidates.find((leak) => leak.lane === life.lane && life.tuple.includes(leak.tuple)) ?? candidates[0] ?? null;
};

const anyKnown = leaks.some((leak) => leak.known);
for (const life of lives) life.known = anyKnown && life.kind > 0 && Boolean(leakOf(life)?.known);

const count = (number, noun, plural = `${noun}s`) => `${number.toLocaleString("en")} ${number === 1 ? noun : plural}`;

function seconds(units) {
  const value = units / 10;
  if (value < 1) return `${value.toFixed(1)} ms`;
  if (value < 1000) return `${Math.round(value)} ms`;
  if (value < 60_000) return `${(value / 1000).toFixed(value < 10_000 ? 2 : 1)} s`;
  const whole = Math.round(value / 1000);
  return `${Math.floor(whole / 60)}:${String(whole % 60).padStart(2, "0")} min`;
}

// An element with text or children; text is never read as markup.
function make(tag, className = "", ...children) {
  const element = document.createElement(tag);
  if (className) element.className = className;
  element.append(...children.filter((child) => child !== null && child !== undefined));
  return element;
}
