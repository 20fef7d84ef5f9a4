"""Make text from processes, peers and names safe to show: one line, bounded, no control characters, no passwords."""

from __future__ import annotations

import contextlib
import re
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from collections.abc import Iterator

LONGEST_COMMAND_LINE: Final = 4096
"""Characters to keep of a command line: some Java programs have a megabyte of class path."""

_secrets_shown = False


@contextlib.contextmanager
def secrets_shown(shown: bool = True) -> Iterator[None]:
    """Let `masked` return texts unchanged inside this block."""
    global _secrets_shown
    before, _secrets_shown = _secrets_shown, shown
    try:
        yield
    finally:
        _secrets_shown = before


def printable(text: str) -> str:
    """Return `text` on one line, with every character escaped that a terminal could interpret.

    Escapes control and bidirectional characters, line ends and lone surrogates; letters of every language stay.
    """
    if text.isprintable():
        return text
    return "".join(char if char.isprintable() else char.encode("unicode_escape").decode() for char in text)


def shortened(text: str, most: int) -> str:
    """Return at most `most` characters of `text`, cut at its end."""
    return text if len(text) <= most else f"{text[: max(0, most - 3)]}..."


def cut_at_start(text: str, most: int) -> str:
    """Return at most `most` characters of `text`, cut at its start."""
    return text if len(text) <= most else f"...{text[len(text) - max(0, most - 3) :]}"


def cut_in_middle(text: str, most: int) -> str:
    """Return at most `most` characters of `text`, cut in its middle: the end is often more useful than the beginning."""
    if len(text) <= most:
        return text
    half = max(1, (most - 3) // 2)
    return f"{text[:half]}...{text[-half:]}"


def command_text(command_line: str, most: int = LONGEST_COMMAND_LINE) -> str:
    """Return a command line to show: masked, printable, at most `most` characters, cut in its middle."""
    # Cut twice: masking must not search a megabyte, and escaping makes the text longer.
    bounded = cut_in_middle(command_line, 2 * LONGEST_COMMAND_LINE)
    return cut_in_middle(printable(masked(bounded)), most)


def short_command(command_line: str, most: int) -> str:
    """Return a command line to show in a sentence: `command_text` in at most `most` characters.

    The program loses its folder. A line that is still too long loses the folder of its script, then its middle.
    """
    words = _SHELL_WORD.findall(command_text(command_line))
    if not words:
        return ""
    words[0] = _file_name(words[0])
    if len(" ".join(words)) > most:
        script = _script(words)
        if script:
            words[script] = _file_name(words[script])
    return cut_in_middle(" ".join(words), most)


_DRIVE: Final = re.compile(r"[A-Za-z]:\\")
"""The beginning of a path on Windows. Elsewhere a backslash escapes a character."""
_SHELL_WORD: Final = re.compile(r"""(?:'[^']*'|"[^"]*"|[^\s'"]|['"])+""")


def _file_name(word: str) -> str:
    quote = word[0] if word[:1] in ("'", '"') and word[:1] == word[-1:] else ""
    path = word.strip(quote) if quote else word
    name = re.split(r"[/\\]" if _DRIVE.match(path) else "/", path)[-1] or path
    return f"{quote}{name}{quote}" if " " in name else name


def _script(words: list[str]) -> int:
    """The index of the first path among the arguments; 0 without any, or if code or a module's name comes first."""
    for index, word in enumerate(words[1:], 1):
        if word in ("-c", "-m", "-e"):
            return 0
        if not word.startswith("-") and ("/" in word or _DRIVE.match(word.strip("'\""))):
            return index
    return 0


_NAME: Final = (
    r"[\w.-]*(?:passwords?|passwd|passphrase|requirepass|masterauth|secret|token|credentials?|pwd"
    r"|(?:api|access|secret|private|auth)[-_]?key)"
)
_WORD: Final = r"""(?:'[^']*'|"[^"]*"|[^\s'"])+"""
_PATTERNS: Final = tuple(
    (re.compile(pattern, re.IGNORECASE), replacement)
    for pattern, replacement in (
        # scheme://user:password@host; a number before a slash is a port.
        (r"""(://[^\s/:@?#'"]*:)(?!\d{1,5}[/?#\s])[^\s'"]*@""", r"\1***@"),
        # '--password=two words', as a shell quotes it
        (rf"""(?<!\S)(['"])(-{{0,2}}{_NAME}=)(?:(?!\1).|'"'"')*\1""", r"\1\2***\1"),
        # --password=word, PGPASSWORD=word
        (rf"((?<![\w.-])-{{0,2}}{_NAME}=){_WORD}", r"\1***"),
        # --password word, requirepass: word
        (rf"(?<!\S)(--?{_NAME}\s+|{_NAME}:\s+)(?!-){_WORD}", r"\1***"),
        # Authorization: Bearer word
        (r"""(\bauthorization:\s*(?:(?:bearer|basic|token)\s+)?)[^\s'"]+""", r"\1***"),
        # openssl -passin pass:word
        (rf"(?<!\S)(pass:){_WORD}", r"\1***"),
    )
)
_BY_PROGRAM: Final = tuple(
    (re.compile(pattern), replacement)
    for pattern, replacement in (
        # These programs take a password after -p, -a or -u. In others, the same letters name a port or a user.
        (rf"((?<![\w-])(?:mysql|mariadb)[\w-]*\s(?:.*?\s)?-p){_WORD}", r"\1***"),
        (rf"((?<![\w-])(?:sshpass\s(?:.*?\s)?-p|redis-cli\s(?:.*?\s)?-a)\s*){_WORD}", r"\1***"),
        (rf"((?<![\w-])curl\s(?:.*?\s)?(?:-u|--user|--proxy-user)[ =]?[^\s:]*:){_WORD}", r"\1***"),
    )
)


def masked(command_line: str) -> str:
    """Return the command line with each recognized password or token replaced by `***`.

    Recognized are passwords in URLs, and `Authorization` headers. So are options and variables whose name suggests a
    secret (`--password x`, `PGPASSWORD=x`, `api_key=x`), and the password options of the mysql, redis-cli, sshpass and
    curl programs.
    """
    if _secrets_shown:
        return command_line
    for pattern, replacement in (*_PATTERNS, *_BY_PROGRAM):
        command_line = pattern.sub(replacement, command_line)
    return command_line
