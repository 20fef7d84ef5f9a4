// What is known of one socket, as elements.
function facts(pairs) {
  const list = make("dl", "facts");
  for (const [name, value] of pairs) {
    if (value === null || value === undefined || value === "") continue;
    list.append(make("dt", "", name), make("dd", "", value));
  }
  return list;
}

function stackElement(frames, own) {
  const block = make("pre");
  frames.forEach((frame, index) => {
    if (index) block.append("\n");
    block.append(frame === own ? make("span", "own", frameText(frame)) : frameText(frame));
  });
  return block;
}

function leakFacts(leak, life = null) {
  const holder = leak.process ? `${leak.process}${leak.pid ? ` (pid ${leak.pid})` : ""}` : null;
  const numbers = [leak.fd === null ? null : `fd ${leak.fd}`, leak.inode ? `inode ${leak.inode}` : null].filter(Boolean).join(", ");
  return facts([
    ["status", statusText(leak.status)],
    ["owner", `${ownerText(leak.owner)}, in its ${leak.phase}`],
    ["found after", nodeid(leak.id)],
    ["opened at", leak.stack.length ? stackElement(leak.stack, leak.frame) : leak.frame >= 0 ? frameText(leak.frame) : "not by Python code"],
    ["referred to by", leak.held.join(" ← ")],
    ["process", holder],
    ["note", leak.note],
    ["more", leak.annotations.join(", ")],
    ["fix", leak.advice],
    ["baseline", leak.known ? "known" : null],
    ["descriptor", numbers],
    ["worker", raw.lanes[leak.lane]],
    ["time", life ? lifeSpan(life) : null],
  ]);
}

function lifeSpan(life) {
  const end = life.closed === null ? "still open when the run ended" : `gone at ${seconds(life.closed)}`;
  const overstay = life.kind ? `, its owner ended at ${seconds(life.judged)}` : "";
  const opened = life.guessed ? `opened after ${seconds(life.opened)}` : `opened at ${seconds(life.opened)}`;
  return `${opened}${overstay}, ${end}`;
}

const kindWord = (kind) => (kind === OPEN ? "left open" : kind === UNCLOSED ? "closed only by the interpreter" : "closed in time");

function lifeElement(life) {
  const leak = life.kind ? leakOf(life) : null;
  const title = make("div", "", make("b", "mono", life.tuple || "a socket"), ` ${kindWord(life.kind)}`);
  if (leak) return [title, leakFacts(leak, life)];
  return [title, facts([
    ["last status", life.status ? statusText(life.status) : "gone before it was looked at"],
    ["owner", ownerText(life.owner)],
    ["opened at", life.frame < 0 ? null : frameText(life.frame)],
    ["worker", raw.lanes[life.lane]],
    ["time", lifeSpan(life)],
  ])];
}

function testElement(test) {
  const during = lives.filter((life) => life.lane === test.lane && life.opened >= test.start && life.opened <= test.stop);
  return [make("div", "", make("b", "mono", nodeid(test.id)), ` ${OUTCOMES[test.outcome]}`), facts([
    ["took", seconds(test.stop - test.start)],
    ["began at", seconds(test.start)],
    ["sockets", during.length ? `${count(during.length, "socket")} opened, ${during.filter((life) => life.kind).length} leaked` : "none opened"],
    ["worker", raw.lanes[test.lane]],
  ])];
}
