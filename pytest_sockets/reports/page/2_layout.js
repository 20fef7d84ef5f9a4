// Which bar stands in which row. Packed once for the whole run, so that nothing jumps while one zooms and moves.
const MOST_LEAK_ROWS = Math.max(raw.lanes.length > 6 ? 3 : 8, Math.floor(40 / Math.max(1, raw.lanes.length)));

// Leaks: a row each while they are few; then a row for each owner and opening line, each opening line, each file, and the rest in one.
function leakRows(found) {
  const steps = [
    (life) => life,
    (life) => life.key,
    (life) => `${life.kind}/${life.frame}`,
    (life) => `${life.kind}/${fileOf(life)}`,
  ];
  let rows = [];
  for (const step of steps) {
    const byKey = new Map();
    for (const life of found) {
      const key = step(life);
      if (!byKey.has(key)) byKey.set(key, []);
      byKey.get(key).push(life);
    }
    rows = [...byKey.values()];
    if (rows.length <= MOST_LEAK_ROWS) break;
  }
  let rest = [];
  if (rows.length > MOST_LEAK_ROWS) {
    rows.sort((a, b) => b.length - a.length);
    rest = [rows.splice(MOST_LEAK_ROWS - 1).flat()];
  }
  return [...rows.map(leakRow).sort((a, b) => a.start - b.start), ...rest.map(leakRow)];
}

const fileOf = (life) => (life.frame < 0 ? "" : text(raw.frames[life.frame][0]));

function leakRow(items) {
  const kind = Math.max(...items.map((life) => life.kind));
  const sameOwner = items.every((life) => life.owner === items[0].owner);
  const sameFrame = items.every((life) => life.frame === items[0].frame);
  const sameFile = items.every((life) => fileOf(life) === fileOf(items[0]));
  return {
    items: items.sort((a, b) => a.opened - b.opened), kind, start: Math.min(...items.map((life) => life.opened)),
    keys: new Set(items.map((life) => life.key)),
    label: sameOwner ? ownerName(items[0].owner) : items[0].frame < 0 ? "other leaks" : sameFrame ? place(items[0].frame)
      : sameFile ? fileOf(items[0]) : "other leaks",
  };
}

// Sockets that were closed in time: each into the first row that is free, as short rows as possible.
function packRows(found) {
  const ends = [];
  for (const life of found) {
    let row = ends.findIndex((end) => end <= life.opened);
    if (row < 0) row = ends.length;
    ends[row] = life.stop + 1;
    life.row = row;
  }
  return ends.length;
}

function makeLanes() {
  const lanes = raw.lanes.map((name, index) => ({ name, index, leaks: [], others: [], tests: [] }));
  for (const life of lives) (life.kind ? lanes[life.lane].leaks : lanes[life.lane].others).push(life);
  for (const test of tests) lanes[test.lane].tests.push(test);
  for (const lane of lanes) {
    lane.leakCount = lane.leaks.length;
    lane.rows = leakRows(lane.leaks);
    lane.depth = packRows(lane.others);
  }
  return lanes.filter((lane) => lane.leakCount || lane.others.length || lane.tests.length);
}
const lanes = makeLanes();

// Heights: lane by lane, from top to bottom.
const OVERVIEW = 74, AXIS = 24, LANE_GAP = 14, STRIP = 12, LANE_HEAD = 24;
function arrange() {
  let y = OVERVIEW + AXIS;
  const mostOthers = Math.max(24, 300 / Math.max(1, lanes.length));
  for (const lane of lanes) {
    lane.top = y;
    if (lanes.length > 1) y += LANE_HEAD; else y += 8;
    lane.pitch = lane.rows.length <= 14 ? 22 : 16;
    lane.leakTop = y;
    y += lane.rows.length * lane.pitch + (lane.rows.length ? 8 : 0);
    lane.othersTop = y;
    // Whole pixels, or the rows blur; below one pixel several rows share one.
    const pitch = lane.depth ? Math.min(9, mostOthers / lane.depth) : 0;
    lane.otherPitch = pitch > 1 ? Math.floor(pitch) : pitch;
    lane.othersHeight = Math.max(lane.depth ? 10 : 0, Math.ceil(lane.depth * lane.otherPitch));
    y += lane.othersHeight + (lane.depth ? 8 : 0);
    lane.stripTop = y;
    y += (lane.tests.length ? STRIP : 0) + LANE_GAP;
    lane.bottom = y;
  }
  return y + 2;
}
const chartHeight = arrange();

// How many sockets were open, and how many of them should have been gone: steps [time, all, leaked].
function openSteps() {
  const events = [];
  for (const life of lives) {
    events.push([life.opened, 1, 0]);
    if (life.closed !== null) events.push([life.stop, -1, 0]);
    if (life.kind) events.push([life.judged, 0, 1]);
    if (life.kind && life.closed !== null) events.push([life.stop, 0, -1]);
  }
  events.sort((a, b) => a[0] - b[0] || b[1] - a[1]);
  let all = 0, leaked = 0;
  return events.map(([time, one, leak]) => [time, (all += one), (leaked += leak)]);
}
const steps = openSteps();
