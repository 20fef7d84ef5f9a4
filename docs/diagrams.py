"""Draw the diagrams of the documentation as SVG; `python docs/regenerate.py` writes them."""

from __future__ import annotations

from html import escape
from pathlib import Path

FOLDER = Path(__file__).parent / "_static"
BLUE, RED, GREEN, GREY, INK = "#3567c9", "#c6433a", "#2f8552", "#8a94a6", "#1c2430"
STYLE = "font-family: ui-sans-serif, system-ui, sans-serif; font-size: 14px"


def text(
    x: float,
    y: float,
    words: str,
    *,
    colour: str = INK,
    anchor: str = "start",
    size: int = 14,
    bold: bool = False,
) -> str:
    """Return one line of text; `y` is its baseline."""
    weight = ' font-weight="600"' if bold else ""
    return f'<text x="{x}" y="{y}" fill="{colour}" text-anchor="{anchor}" font-size="{size}"{weight}>{escape(words)}</text>'


def bar(
    x: float, y: float, width: float, colour: str, label: str = "", *, height: float = 26, opacity: float = 1
) -> str:
    """Return a filled bar with a white label."""
    box = f'<rect x="{x}" y="{y}" width="{width}" height="{height}" rx="4" fill="{colour}" fill-opacity="{opacity}"/>'
    return box + (text(x + 8, y + height / 2 + 5, label, colour="#ffffff") if label else "")


def box(
    x: float,
    y: float,
    width: float,
    height: float,
    title: str,
    lines: tuple[str, ...] = (),
    colour: str = BLUE,
) -> str:
    """Return an outlined box with a bold title and lines below it."""
    parts = [
        f'<rect x="{x}" y="{y}" width="{width}" height="{height}" rx="6" '
        f'fill="#ffffff" stroke="{colour}" stroke-width="1.5"/>',
        text(x + 10, y + 22, title, bold=True),
    ]
    parts += [
        text(x + 10, y + 42 + 18 * number, line, colour="#485266", size=13)
        for number, line in enumerate(lines)
    ]
    return "".join(parts)


def marker_line(x: float, top: float, bottom: float, label: str) -> str:
    """Return a dashed vertical line with a label below it."""
    line = f'<line x1="{x}" y1="{top}" x2="{x}" y2="{bottom}" stroke="{GREY}" stroke-dasharray="4 4"/>'
    return line + text(x, bottom + 16, label, colour="#485266", anchor="middle", size=12)


def svg(title: str, width: int, height: int, *parts: str) -> str:
    """Return a whole file, with a title for screen readers and a white background for dark pages."""
    return (
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {width} {height}" role="img" style="{STYLE}">\n'
        f"<title>{escape(title)}</title>\n"
        f'<rect width="{width}" height="{height}" rx="10" fill="#f7f9fc"/>\n'
        + "\n".join(parts)
        + "\n</svg>\n"
    )


def life_of_a_leak() -> str:
    """Draw a socket's life from its opening to its finding."""
    return svg(
        "A socket is opened in a test, outlives its teardown, has the grace time to close, and is then reported.",
        760,
        250,
        text(20, 40, "test", bold=True),
        bar(120, 22, 90, GREY, "set-up"),
        bar(214, 22, 170, BLUE, "call"),
        bar(388, 22, 100, GREY, "teardown"),
        text(20, 90, "socket closed", bold=True),
        text(20, 108, "in the test", size=12, colour="#485266"),
        bar(250, 76, 100, GREEN),
        text(20, 142, "late closer", bold=True),
        bar(270, 126, 218, GREEN, opacity=0.55),
        bar(488, 126, 40, GREEN),
        text(536, 144, "no finding", colour=GREEN),
        text(20, 190, "leak", bold=True),
        bar(230, 174, 258, RED, opacity=0.45),
        bar(488, 174, 150, RED),
        text(646, 192, "open", colour=RED, bold=True),
        marker_line(488, 14, 216, "owner ended"),
        marker_line(638, 60, 216, "grace time over"),
    )


def who_owns_what() -> str:
    """Draw the scopes to which a socket can belong."""
    return svg(
        "Session, module fixture and test are nested scopes; a socket belongs to the innermost one that was running.",
        760,
        300,
        box(20, 20, 720, 260, "session", ("pytest_sessionstart, conftest hooks",), GREY),
        box(
            50,
            80,
            660,
            180,
            "module fixture: server",
            ("listener, and every connection that it accepts",),
            BLUE,
        ),
        box(
            80, 140, 280, 105, "test_one", ("client opened in the call", "thread started by the test"), GREEN
        ),
        box(
            390,
            140,
            290,
            105,
            "test_two",
            ("uses server.pool: the connection", "is the fixture's, not the test's"),
            GREEN,
        ),
    )


def where_ports_come_from() -> str:
    """Draw the ranges of the port pool on a usual Linux."""

    def at(port: int) -> float:
        return 20 + port / 65535 * 720

    spans = (
        (0, 1023, GREY, "privileged"),
        (1024, 10239, "#b9c2d0", "registered"),
        (10240, 14999, GREEN, ""),
        (15000, 24999, "#b9c2d0", "port servers"),
        (25000, 29999, GREEN, ""),
        (30000, 32767, "#b9c2d0", ""),
        (32768, 60999, RED, "ephemeral range: bind(0), connect()"),
        (61000, 65535, GREEN, ""),
    )
    bars = [
        bar(at(low), 50, at(high) - at(low), colour, height=40, opacity=0.85)
        for low, high, colour, _ in spans
    ]
    labels = [
        text(
            at((low + high) // 2),
            75,
            label,
            anchor="middle",
            size=12,
            colour="#ffffff" if colour == RED else INK,
        )
        for low, high, colour, label in spans
        if high - low > 5000
    ]
    ticks = [
        text(at(port), 108, str(port), anchor="middle", size=11) for port in (10240, 25000, 32768, 61000)
    ]
    return svg(
        "Free ports come from the numbers outside the kernel's ephemeral range.",
        760,
        170,
        text(20, 32, "65,536 port numbers", bold=True),
        *bars,
        *labels,
        *ticks,
        bar(20, 130, 14, GREEN, height=14),
        text(42, 142, "given by free_port, each locked for one process", size=13),
        bar(390, 130, 14, RED, height=14),
        text(412, 142, "the kernel may hand these out at any moment", size=13),
    )


DIAGRAMS = {
    "life-of-a-leak": life_of_a_leak,
    "who-owns-what": who_owns_what,
    "where-ports-come-from": where_ports_come_from,
}
