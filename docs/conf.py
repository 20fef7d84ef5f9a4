"""The Sphinx configuration: furo and MyST, every reference checked, every warning an error (`sphinx-build -W -n`)."""

from importlib.metadata import version as installed_version

project = "pytest-sockets"
author = "The pytest-sockets founders"
copyright = f"2026, {author}"
version = release = installed_version("pytest-sockets")

extensions = ["myst_parser", "sphinx.ext.autodoc", "sphinx.ext.intersphinx"]
exclude_patterns = ["_build", "outputs", "examples", "generated"]
source_suffix = {".md": "markdown"}

default_role = "code"  # docstrings mark names with single backticks

html_theme = "furo"
html_title = "pytest-sockets"
html_static_path = ["_static"]
html_theme_options = {
    "light_css_variables": {"color-brand-primary": "#3567c9", "color-brand-content": "#3567c9"},
    "dark_css_variables": {"color-brand-primary": "#7fabff", "color-brand-content": "#7fabff"},
}

myst_enable_extensions = ["colon_fence", "deflist", "fieldlist"]
myst_heading_anchors = 3

autodoc_typehints = "signature"
autodoc_member_order = "bysource"
autodoc_class_signature = "mixed"
python_use_unqualified_type_names = True

# The build must not need the network, so names of the standard library have no links.
intersphinx_mapping = {}
nitpicky = True
nitpick_ignore_regex = [
    # Names of this project that are not public.
    ("py:.*", r"pytest_sockets\.(servers|table|asserting|ports|processes|leaks)\..*"),
    ("py:.*", r"(dict|tuple)\[.*"),  # the first half of a field's type
    ("py:.*", r"(Reply|Undo|Check|AsyncCheck|EventName|Failures|PortPool|ScriptedStream|Wanted)"),
    (
        "py:.*",
        r"(socket|collections|subprocess|asyncio|ssl|typing|types|pathlib|contextlib|abc|psutil|pytest|trio|datetime|re)\..*",
    ),
    (
        "py:.*",
        r"(bool|bytes|bytearray|memoryview|dict|float|frozenset|int|list|object|range|set|str|tuple|type|None|True|False)",
    ),
    (
        "py:.*",
        r"(ValueError|AssertionError|TimeoutError|UserWarning|Exception|OSError|RuntimeError|NamedTuple|Any)",
    ),
    (
        "py:.*",
        r"(Callable|Iterable|Iterator|Hashable|Sequence|Mapping|Literal|Path|Final|Generator|Collection|Self|T|optional|AbstractContextManager|PathLike)",
    ),
]
