// The table of leaks, filtered.
const PAGE = 25, SOCKETS = 20;
const holder = document.getElementById("groups");
const search = document.getElementById("search");
let limit = PAGE;

const sorted = [...groups.values()].sort((a, b) => b.kind - a.kind || b.leaks.length - a.leaks.length || ownerText(a.owner).localeCompare(ownerText(b.owner)));
for (const group of sorted) {
  const words = new Set([ownerText(group.owner), group.frame < 0 ? "" : frameText(group.frame)]);
  for (const leak of group.leaks.slice(0, 200)) {
    for (const word of [leak.tuple, leak.status, nodeid(leak.id), leak.process ?? "", raw.lanes[leak.lane]]) words.add(word);
  }
  group.words = [...words].join("\n").toLowerCase();
}

function matching() {
  const wanted = search.value.toLowerCase().split(/\s+/).filter(Boolean);
  const kinds = { [OPEN]: document.getElementById("open").checked, [UNCLOSED]: document.getElementById("unclosed").checked };
  return sorted.filter((group) => kinds[group.kind] && wanted.every((word) => group.words.includes(word)));
}

function summaryOf(group) {
  const first = group.leaks[0];
  const statuses = [...new Set(group.leaks.map((leak) => leak.status))];
  const workers = [...new Set(group.leaks.map((leak) => raw.lanes[leak.lane]))].filter(Boolean);
  const where = group.frame < 0 ? first.process ?? "not opened by Python code" : place(group.frame);
  const fixture = ownerText(group.owner).match(/\(scope (.*)\)$/);
  const test = raw.owners[group.owner];
  const owner = typeof test === "number" ? raw.ids[test][1] ?? nodeid(test) : ownerText(group.owner).replace(/ \(scope .*\)$/, "");
  const about = [typeof test === "number" ? text(raw.ids[test][0]) : null, fixture ? `scope ${fixture[1]}` : null];
  const show = make("button", "show", "show");
  show.addEventListener("click", (event) => { event.preventDefault(); focusOn(group); });
  return make("summary", "",
    make("span", "count", group.leaks.length.toLocaleString("en")),
    make("span", "what", make("b", "", owner), make("small", "", [...about, `opened in its ${first.phase}`].filter(Boolean).join(", "))),
    make("span", "where", make("code", "", where), group.frame < 0 ? null : make("small", "", `in ${text(raw.frames[group.frame][2])}`)),
    make("span", "kind", [group.kind === OPEN ? "open" : "unclosed", first.protocol, ...statuses.filter((status) => status !== "NONE"), ...workers.slice(0, 4)].join(" · ")),
    lives.some((life) => life.key === group.key) ? show : null,
  );
}

function groupElement(group) {
  const element = make("details", group.kind === OPEN ? "group" : "group unclosed", summaryOf(group));
  element.addEventListener("toggle", () => {
    if (!element.open || element.children.length > 1) return;
    const inner = make("div", "inner");
    for (const leak of group.leaks.slice(0, SOCKETS)) inner.append(make("div", "socket", make("b", "mono", leak.tuple), leakFacts(leak)));
    if (group.leaks.length > SOCKETS) inner.append(make("div", "dim", `and ${(group.leaks.length - SOCKETS).toLocaleString("en")} more of the same`));
    element.append(inner);
  });
  return element;
}

function list() {
  const found = matching();
  const everything = found.length === sorted.length;
  shown.keys = everything ? null : new Set(found.map((group) => group.key));
  holder.replaceChildren(...found.slice(0, limit).map(groupElement));
  if (!sorted.length) holder.append(make("div", "empty", "Every socket was closed before its owner's teardown had ended."));
  else if (!found.length) holder.append(make("div", "empty", "No leak meets the filter."));
  if (found.length > limit) {
    const more = make("button", "more", `Show ${Math.min(PAGE * 4, found.length - limit)} of ${(found.length - limit).toLocaleString("en")} more`);
    more.addEventListener("click", () => { limit += PAGE * 4; list(); });
    holder.append(more);
  }
  redraw();
}

function focusOn(group) {
  const found = lives.filter((life) => life.key === group.key);
  if (!found.length) return;
  const from = Math.min(...found.map((life) => life.opened)), to = Math.max(...found.map((life) => life.judged));
  const around = Math.max((to - from) * 0.6, fullStop / 50);
  shown.keys = new Set([group.key]);
  look(from - around, to + around);
  pin({ life: found[0], more: 0 });
  canvas.scrollIntoView({ block: "center", behavior: "smooth" });
}

const restart = () => { limit = PAGE; list(); };
search.addEventListener("input", restart);
document.getElementById("open").addEventListener("change", restart);
document.getElementById("unclosed").addEventListener("change", restart);
reset.addEventListener("click", list);
