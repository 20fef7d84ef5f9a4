"""Make the documentation's outputs and diagrams anew from the code: `python docs/regenerate.py [--check] [--pictures]`.

`--check` writes nothing and fails if a shown output differs from what the code says today. Times, ports, process ids and
paths differ from run to run; they are replaced by constant ones. `--pictures` also makes the screenshots of the HTML report
(needs chromium and chromedriver); these are not compared.
"""

from __future__ import annotations

import argparse
import difflib
import os
import re
import subprocess
import sys
import tempfile
from pathlib import Path

from diagrams import DIAGRAMS
from diagrams import FOLDER as DIAGRAMS_FOLDER
from generated_architecture import module_list
from generated_options import options_table
from generated_reference import api_list, fixture_list
from shown import SHOWN, Shown

DOCS = Path(__file__).resolve().parent
ROOT = DOCS.parent
OUTPUTS = DOCS / "outputs"
CONSTANTS = {"fd": 12, "inode": 12345, "pid": 4242}
REPORT_CONSTANTS = {
    "pytest": '"9.2.0"', "python": '"3.14.0"', "platform": '"linux"', "started": '"2026-11-28T12:00:00+00:00"',
    "duration_s": "0.52", "opened_s": "0.31", "owner_ended_s": "0.34",
}  # fmt: skip
KEPT_PORTS = ("5432", "8125", "8080")  # typed by the user, not chosen by the kernel
PAGES = (ROOT / "README.md", *sorted(DOCS.rglob("*.md")))


def run(shown: Shown) -> str:
    """Return the normalised output or file of the command, run without other plugins."""
    environment = {
        **{
            name: value
            for name, value in os.environ.items()
            if not name.startswith(("PYTEST", "COV_", "PY_COLORS", "CI", "BUILD_NUMBER", "GITHUB_"))
        },
        "PYTEST_DISABLE_PLUGIN_AUTOLOAD": "1",
        "PYTHONDONTWRITEBYTECODE": "1",
        "COLUMNS": "88",
        "NO_COLOR": "1",
        "TMPDIR": tempfile.gettempdir(),
    }
    command = [sys.executable, "-m", "pytest", "--no-header", "-p", "no:cacheprovider", "-p", "sockets"]
    with tempfile.TemporaryDirectory() as folder:
        command += [word.replace("{tmp}", folder) for word in shown.arguments]
        done = subprocess.run(
            command,
            cwd=DOCS / "examples",
            env=environment,
            capture_output=True,
            text=True,
            timeout=120,
            check=False,
        )
        if done.returncode != shown.status:
            raise SystemExit(
                f"{shown.name}: exit status {done.returncode}, not {shown.status}\n{done.stdout}{done.stderr}"
            )
        text = (Path(folder) / shown.file).read_text(encoding="utf-8") if shown.file else done.stdout
    return normalise(cut(text.replace(f"{folder}/", ""), shown))


def cut(text: str, shown: Shown) -> str:
    """Return the part from the line with `shown.first` to the line with `shown.last`, both included."""
    lines = text.splitlines()
    for words in (shown.first, shown.last):
        if words and words not in text:
            raise SystemExit(f"{shown.name}: {words!r} is not in the output\n{text[-3000:]}")
    if shown.first:
        lines = lines[next(number for number, line in enumerate(lines) if shown.first in line) :]
    if shown.last:
        lines = lines[: next(number for number, line in enumerate(lines) if shown.last in line) + 1]
    return "\n".join(lines).strip("\n") + "\n"


def normalise(text: str) -> str:
    """Replace numbers that differ between runs by constants; a port keeps one number throughout an output."""
    text = text.replace(f"{sys.prefix}/bin/", "").replace(f"{ROOT}/", "").replace(f"{DOCS}/", "docs/")
    text = re.sub(r"/\S*/lib/python3\.\d+/", "", text)
    text = re.sub(r"\bpython3(\.\d+)?\b", "python", text)
    text = re.sub(r"\b\d+\.\d\d(s| s)\b(?: \(\d+:\d\d:\d\d\))?", r"0.52\1", text)
    text = re.sub(r"(?<=\()[^()\n]*-m pytest[^()\n]*\)", "python -m pytest)", text)
    text = re.sub(r"\bprocess \d+", "process 4242", text)
    text = re.sub(r"\bpid \d+", "pid 4242", text)
    text = re.sub(r"\b0x[0-9a-f]{8,}", "0x7f24a27e4e30", text)
    text = re.sub(r"\(fd \d+\)", "(fd 12)", text)
    text = re.sub(r"'Thread-\d+", "'Thread-5", text)
    text = re.sub(
        r"(?m)^(_+|=+) (.*?) (_+|=+)$",
        lambda found: found[2].center(len(found[2]) + 2).center(88, found[1][0]),
        text,
    )
    text = re.sub(r'"(fd|inode|pid)": \d+', lambda found: f'"{found[1]}": {CONSTANTS[found[1]]}', text)
    for name, constant in REPORT_CONSTANTS.items():
        text = re.sub(rf'"{name}": [^,\n]+', f'"{name}": {constant}', text)
    found = re.findall(r"(?m)(?:(?:\d\.\d|\]|\*):|^ +|[Pp]ort |assert )(\d{4,5})\b", text)
    names = {
        port: str(40001 + number)
        for number, port in enumerate(dict.fromkeys(found))
        if port not in KEPT_PORTS
    }
    return re.sub(r"(?<![\w.])\d{4,5}\b", lambda word: names.get(word[0], word[0]), text)


def generated(only: str) -> dict[Path, str]:
    """Return each generated file with its text."""
    files = {OUTPUTS / f"{shown.name}{shown.suffix}": run(shown) for shown in SHOWN if only in shown.name}
    files[OUTPUTS / "options.md"] = options_table()
    files[OUTPUTS / "fixtures.md"] = fixture_list()
    files[OUTPUTS / "api.txt"] = api_list()
    files[OUTPUTS / "architecture.md"] = module_list()
    outputs = {path.stem: text for path, text in files.items()}
    for page in PAGES:
        before = page.read_text(encoding="utf-8")
        if "<!-- output:" in before:
            files[page] = embed(before, outputs)
    files.update({DIAGRAMS_FOLDER / f"{name}.svg": draw() for name, draw in DIAGRAMS.items()})
    return files


def embed(page: str, outputs: dict[str, str]) -> str:
    """Replace the block after each `<!-- output: NAME -->` of the README, which cannot include files.

    An output that `--only` leaves out is taken from its file.
    """

    def block(found: re.Match[str]) -> str:
        name = found[2]
        text = outputs[name] if name in outputs else (OUTPUTS / f"{name}.txt").read_text(encoding="utf-8")
        return f"{found[1]}\n```text\n{text}```"

    return re.sub(r"(<!-- output: ([\w-]+) -->)\n```text\n.*?```", block, page, flags=re.S)


def differences(files: dict[Path, str]) -> str:
    """Return a unified diff between the files and their new text."""
    parts = []
    for path, text in files.items():
        old = path.read_text(encoding="utf-8") if path.exists() else ""
        name = str(path.relative_to(ROOT))
        parts += difflib.unified_diff(comparable(old), comparable(text), name, f"{name} (made anew)")
    return "".join(parts)


def comparable(text: str) -> list[str]:
    """Return the lines without line numbers of the standard library, which differ between patch releases of Python."""
    return re.sub(r"(?m)(^\s+|, )(\w+\.py):\d+ in", r"\1\2:N in", text).splitlines(keepends=True)


def main() -> int:
    """Write the files, or compare them."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--check", action="store_true")
    parser.add_argument("--only", default="", metavar="WORD", help="outputs with this word in their name")
    parser.add_argument("--pictures", action="store_true")
    options = parser.parse_args()
    if options.pictures:
        from pictures import take_pictures

        take_pictures(DOCS / "_static")
    files = generated(options.only)
    difference = differences(files)
    if options.check:
        print(difference, end="")
        print(
            "shown outputs differ: run python docs/regenerate.py"
            if difference
            else f"{len(files)} outputs are as shown"
        )
        return 1 if difference else 0
    for path, text in files.items():
        path.parent.mkdir(exist_ok=True)
        path.write_text(text, encoding="utf-8")
    print(f"{len(files)} outputs written")
    return 0


if __name__ == "__main__":
    sys.exit(main())
