// Colours, legend, first picture.
const dark = window.matchMedia("(prefers-color-scheme: dark)");
function theme(isDark) {
  document.documentElement.classList.toggle("dark", isDark);
  readColours();
  redraw();
}
dark.addEventListener("change", () => theme(dark.matches));
document.getElementById("theme").addEventListener("click", () => theme(!document.documentElement.classList.contains("dark")));

function legend() {
  const entries = [];
  if (lives.some((life) => life.kind === OPEN && !life.known)) entries.push(["owned", "owned, then left open"]);
  if (lives.some((life) => life.known)) entries.push(["known", "known, in the baseline"]);
  if (lives.some((life) => life.kind === UNCLOSED)) entries.push(["unclosed", "closed only by the interpreter"]);
  const others = lives.filter((life) => !life.kind);
  if (shown.colour === "protocol") {
    for (const protocol of ["tcp", "udp", "unix"]) if (others.some((life) => life.protocol === protocol)) entries.push([protocol, protocol]);
    if (others.some((life) => !life.protocol)) entries.push(["other", "gone before it was looked at"]);
  } else {
    const names = { LISTEN: "tcp", ESTABLISHED: "udp", CLOSE_WAIT: "unclosed", NONE: "unix" };
    const present = new Set(others.map((life) => life.status));
    for (const [status, name] of Object.entries(names)) if (present.has(status)) entries.push([name, status === "NONE" ? "no state" : status]);
    if ([...present].some((status) => !names[status])) entries.push(["other", "other states"]);
  }
  document.getElementById("legend").replaceChildren(...entries.map(([name, words]) => make("span", `s-${name}`, words)));
}
document.getElementById("colour").addEventListener("change", (event) => {
  shown.colour = event.target.value;
  legend();
  redraw();
});

new ResizeObserver(() => { if (canvas.parentElement.clientWidth !== width) draw(); }).observe(canvas.parentElement);
if (!lanes.length) {
  document.getElementById("picture").hidden = true;
} else {
  legend();
}
// Paper is white, and a printed page has every row.
let beforePrint = null;
window.addEventListener("beforeprint", () => {
  beforePrint = { dark: document.documentElement.classList.contains("dark"), limit };
  limit = 500;
  theme(false);
  list();
  if (lanes.length) draw();
});
window.addEventListener("afterprint", () => {
  limit = beforePrint.limit;
  theme(beforePrint.dark);
  list();
});

theme(dark.matches);
list();
if (lanes.length) draw();
window.addEventListener("hashchange", followLink);
followLink();
document.documentElement.dataset.ready = Math.round(performance.now());
