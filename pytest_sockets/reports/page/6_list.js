// The table of leaks by opening line, filtered.
const PAGE = 25, SOCKETS = 20, OWNERS = 12;
const holder = document.getElementById("groups");
const search = document.getElementById("search");
let limit = PAGE;

const fileOfLeak = (leak) => (leak.frame < 0 ? "no Python code" : text(raw.frames[leak.frame][0]));
const folded = (leak) => (leak.ownerKind === "test" ? ownerText(leak.owner).replace(/^test /, "").replace(/\[.*\]$/s, "[...]") : ownerText(leak.owner));
const whereOf = (leak) => (leak.frame < 0 ? leak.process ?? "not opened by Python code" : place(leak.frame));

function openingLines() {
  const byLine = new Map();
  for (const leak of leaks) {
    const key = `${leak.kind}/${leak.protocol}/${leak.frame < 0 ? whereOf(leak) : leak.frame}`;
    if (!byLine.has(key)) byLine.set(key, []);
    byLine.get(key).push(leak);
  }
  return [...byLine.values()].map((found) => {
    const words = new Set([whereOf(found[0]), found[0].frame < 0 ? "" : frameText(found[0].frame)]);
    for (const leak of found.slice(0, 300)) {
      for (const word of [ownerText(leak.owner), leak.tuple, leak.status, nodeid(leak.id), leak.process ?? "", raw.lanes[leak.lane]]) words.add(word);
    }
    return { leaks: found, words: [...words].join("\n").toLowerCase() };
  });
}
const lines = openingLines();

// Each select with what it compares.
const FILTERS = {
  "by-owner": (leak) => leak.ownerKind, "by-file": fileOfLeak, "by-status": (leak) => leak.status, "by-known": (leak) => String(Number(leak.known)),
};
for (const [id, value] of Object.entries(FILTERS)) {
  const select = document.getElementById(id);
  if (id !== "by-known") {
    const counts = new Map();
    for (const leak of leaks) counts.set(value(leak), (counts.get(value(leak)) ?? 0) + 1);
    for (const [name, number] of [...counts].sort((a, b) => b[1] - a[1])) select.append(new Option(`${name} (${number.toLocaleString("en")})`, name));
  }
  select.addEventListener("change", () => restart());
}

function matching() {
  const wanted = search.value.toLowerCase().split(/\s+/).filter(Boolean);
  const kinds = { [OPEN]: document.getElementById("open").checked, [UNCLOSED]: document.getElementById("unclosed").checked };
  const chosen = Object.entries(FILTERS).map(([id, value]) => [document.getElementById(id).value, value]).filter(([choice]) => choice !== "");
  const passes = (leak) => kinds[leak.kind] && chosen.every(([choice, value]) => value(leak) === choice);
  return lines
    .filter((line) => wanted.every((word) => line.words.includes(word)))
    .map((line) => line.leaks.filter(passes))
    .filter((found) => found.length)
    .sort((a, b) => a[0].known - b[0].known || b.length - a.length || whereOf(a[0]).localeCompare(whereOf(b[0])));
}

function ownersOf(found) {
  const counts = new Map(), full = new Map();
  for (const leak of found) {
    const name = folded(leak), owner = ownerText(leak.owner).replace(/^test /, "");
    counts.set(name, (counts.get(name) ?? 0) + 1);
    full.set(name, full.has(name) && full.get(name) !== owner ? name : owner);
  }
  return [...counts].map(([name, number]) => [full.get(name), number]).sort((a, b) => b[1] - a[1] || a[0].localeCompare(b[0]));
}

function summaryOf(found) {
  const first = found[0];
  const statuses = [...new Set(found.map((leak) => leak.status))].filter((status) => status !== "NONE");
  const workers = [...new Set(found.map((leak) => raw.lanes[leak.lane]))].filter(Boolean);
  const owners = ownersOf(found), known = found.filter((leak) => leak.known).length;
  const distinct = new Set(found.map((leak) => leak.owner)).size;
  const whose = owners.length === 1 ? owners[0][0] : `${count(distinct, "owner")}, most in ${owners[0][0]}`;
  const kind = first.kind === OPEN ? "open" : "unclosed";
  const badge = known ? make("span", "badge", known === found.length ? "known" : `${known.toLocaleString("en")} known`) : null;
  const show = make("button", "show", "show");
  show.setAttribute("aria-label", `Show the leaks of ${whereOf(first)} in the picture`);
  show.addEventListener("click", (event) => { event.preventDefault(); focusOn(found); });
  const keys = new Set(found.map((leak) => leak.key));
  const summary = make("summary", "",
    make("span", "count", found.length.toLocaleString("en")),
    make("span", "where", make("code", "", whereOf(first)), badge, first.frame < 0 ? null : make("small", "", `in ${text(raw.frames[first.frame][2])}`)),
    make("span", "what", whose, make("small", "", `opened in ${[...new Set(found.map((leak) => leak.phase))].join(", ")}`)),
    make("span", "kind", [kind, first.protocol, ...statuses, ...workers.slice(0, 4)].join(" · ")),
    lives.some((life) => keys.has(life.key)) ? show : null,
  );
  summary.setAttribute("aria-label", `${count(found.length, `${kind} socket`)} opened at ${whereOf(first)}, ${whose}${known ? `, ${known} known` : ""}`);
  return summary;
}

function socketElement(leak) {
  const link = make("a", "anchor", `#${leak.index + 1}`);
  link.href = `#leak-${leak.index + 1}`;
  link.setAttribute("aria-label", `Link to leak ${leak.index + 1}`);
  const element = make("div", "socket", make("b", "mono", leak.tuple), link, leakFacts(leak));
  element.id = `leak-${leak.index + 1}`;
  return element;
}

function groupElement(found) {
  const classes = ["group", found[0].kind === OPEN ? "" : "unclosed", found[0].known ? "known" : ""];
  const element = make("details", classes.filter(Boolean).join(" "), summaryOf(found));
  element.fill = (most = SOCKETS) => {
    const inner = make("div", "inner"), owners = ownersOf(found);
    if (owners.length > 1) {
      const names = owners.slice(0, OWNERS).map(([name, number]) => make("li", "", number > 1 ? `${name} (${number.toLocaleString("en")})` : name));
      if (owners.length > OWNERS) names.push(make("li", "", `and ${count(owners.length - OWNERS, "more owner")}`));
      inner.append(make("ul", "owners", ...names));
    }
    for (const leak of found.slice(0, most)) inner.append(socketElement(leak));
    if (found.length > most) inner.append(make("div", "dim", `and ${count(found.length - most, "more socket")} of the same line`));
    element.querySelector(".inner")?.remove();
    element.append(inner);
  };
  element.addEventListener("toggle", () => { if (element.open && !element.querySelector(".inner")) element.fill(); });
  element.found = found;
  return element;
}

function list() {
  const found = matching();
  const shownLeaks = found.reduce((sum, one) => sum + one.length, 0);
  shown.keys = shownLeaks === leaks.length ? null : new Set(found.flat().map((leak) => leak.key));
  holder.replaceChildren(...found.slice(0, limit).map(groupElement));
  document.getElementById("filters").hidden = !leaks.length;
  document.getElementById("found").textContent = leaks.length
    ? `${count(shownLeaks, "leak")} at ${count(found.length, "opening line")}${shownLeaks < leaks.length ? `, of ${leaks.length.toLocaleString("en")}` : ""}` : "";
  if (!leaks.length) holder.append(make("div", "empty", holder.dataset.empty));
  else if (!found.length) holder.append(make("div", "empty", "No leak meets the filter."));
  if (found.length > limit) {
    const more = make("button", "more", `Show ${Math.min(PAGE * 4, found.length - limit)} of ${(found.length - limit).toLocaleString("en")} more`);
    more.addEventListener("click", () => { limit += PAGE * 4; list(); });
    holder.append(more);
  }
  redraw();
}

// #leak-12 opens the row of that leak and shows it.
function followLink() {
  const wanted = /^#leak-(\d+)$/.exec(location.hash);
  const leak = wanted && leaks[wanted[1] - 1];
  if (!leak) return;
  const isIn = (found) => found.includes(leak);
  if (!matching().some(isIn)) {
    search.value = "";
    for (const id of Object.keys(FILTERS)) document.getElementById(id).value = "";
    document.getElementById("open").checked = document.getElementById("unclosed").checked = true;
  }
  limit = Math.max(limit, matching().findIndex(isIn) + 1);
  list();
  const element = [...holder.children].find((one) => one.found && isIn(one.found));
  element.fill(Math.max(SOCKETS, element.found.indexOf(leak) + 1));
  element.open = true;
  const target = document.getElementById(`leak-${leak.index + 1}`);
  target.classList.add("target");
  target.scrollIntoView({ block: "center" });
}

function focusOn(found) {
  const keys = new Set(found.map((leak) => leak.key)), shownLives = lives.filter((life) => keys.has(life.key));
  if (!shownLives.length) return;
  const ends = shownLives.map((life) => life.judged), starts = shownLives.map((life) => life.opened);
  const from = starts.reduce((a, b) => Math.min(a, b)), to = ends.reduce((a, b) => Math.max(a, b));
  const around = Math.max((to - from) * 0.6, fullStop / 50);
  shown.keys = keys;
  look(from - around, to + around);
  pin({ life: shownLives[0], more: 0 });
  canvas.scrollIntoView({ block: "center", behavior: "smooth" });
}

const restart = () => { limit = PAGE; list(); };
search.addEventListener("input", restart);
document.getElementById("open").addEventListener("change", restart);
document.getElementById("unclosed").addEventListener("change", restart);
reset.addEventListener("click", list);
