"""Formulas in a page become MathML when the site is built, so that no script draws them.

A block is fenced as ``math``, a formula in a line stands between ``$`` + backquote and
backquote + ``$``; GitHub draws the same two. What is understood of TeX: letters, digits,
operators, ``{}``, ``_``, ``^``, ``\\frac``, ``\\text`` and the names in ``SYMBOLS``.
"""

import re
from html import escape
from typing import Any

SYMBOLS = {
    "alpha": "α",
    "gamma": "γ",
    "sigma": "σ",
    "cdot": "·",
    "times": "×",
    "ge": "≥",
    "le": "≤",
    "in": "∈",
    "sum": "∑",
    "quad": " ",
}
"""What a name stands for."""

FUNCTIONS = ("ln", "log", "max", "min", "exp", "logit")
"""Names that are set upright."""

_SUM = "<mo>∑</mo>"
"""Its limits stand below and above it."""
_SCRIPTS = ("msubsup", "msub", "msup")
_TOKEN = re.compile(r"\\text\{([^}]*)\}|\\([a-zA-Z]+)|(\d*\.\d+|\d+)|([a-zA-Z])|(\S)")
_BLOCK = re.compile(r"^```math\n(.*?)^```$", re.MULTILINE | re.DOTALL)
_INLINE = re.compile(r"\$`([^`]+)`\$")


class FormulaError(ValueError):
    """A formula that cannot be read."""


def on_page_markdown(markdown: str, **_: Any) -> str:
    """Replace the formulas of a page; called by MkDocs."""
    blocks = _BLOCK.sub(lambda found: f"\n{mathml(found[1], block=True)}\n", markdown)
    # Within a span, since Markdown takes a line that begins with <math> for a block.
    return _INLINE.sub(lambda found: f"<span>{mathml(found[1])}</span>", blocks)


def mathml(tex: str, *, block: bool = False) -> str:
    r"""Turn TeX into MathML.

    Raises:
        FormulaError: it holds something that is not understood.

    >>> mathml("x^2")
    '<math><msup><mi>x</mi><mn>2</mn></msup></math>'
    """
    tokens = list(_TOKEN.finditer(tex))[::-1]
    content = _row(tokens, tex, end="")
    display = ' display="block"' if block else ""
    return f"<math{display}>{content}</math>"


def _row(tokens: list[re.Match[str]], tex: str, end: str) -> str:
    """Read up to ``end``, which is taken too."""
    parts: list[str] = []
    while tokens:
        if tokens[-1][0] == end:
            tokens.pop()
            return "".join(parts)
        parts.append(_with_scripts(tokens, tex))
    if end:
        raise FormulaError(f"expected {end} at the end of the formula {tex!r}")
    return "".join(parts)


def _with_scripts(tokens: list[re.Match[str]], tex: str) -> str:
    base, scripts = _one(tokens, tex), {}
    while tokens and tokens[-1][0] in "_^":
        sign = tokens.pop()[0]
        if sign in scripts:
            raise FormulaError(f"two of {sign} after one another in the formula {tex!r}")
        scripts[sign] = _one(tokens, tex)
    if not scripts:
        return base
    both, below, above = ("munderover", "munder", "mover") if base == _SUM else _SCRIPTS
    kind = both if len(scripts) == 2 else below if "_" in scripts else above
    return f"<{kind}>{base}{scripts.get('_', '')}{scripts.get('^', '')}</{kind}>"


def _one(tokens: list[re.Match[str]], tex: str) -> str:
    if not tokens:
        raise FormulaError(f"the formula {tex!r} ends too early")
    token = tokens.pop()
    text, name, number, letter, sign = token.groups()
    if text is not None:
        # No mtext: it counts as space, and operators beside it lose theirs.
        return f"<mi>{escape(text)}</mi>"
    if number:
        return f"<mn>{number}</mn>"
    if letter:
        return f"<mi>{letter}</mi>"
    if name == "frac":
        return f"<mfrac>{_one(tokens, tex)}{_one(tokens, tex)}</mfrac>"
    if name in FUNCTIONS:
        thin = "" if tokens and tokens[-1][0] == "(" else '<mspace width="0.17em"></mspace>'
        return f"<mi>{name}</mi>{thin}"
    if name == "quad":
        return '<mspace width="1em"></mspace>'
    if name in SYMBOLS:
        kind = "mi" if name in ("alpha", "gamma", "sigma") else "mo"
        return f"<{kind}>{SYMBOLS[name]}</{kind}>"
    if name is not None or sign in "}_^\\":
        raise FormulaError(f"{token[0]!r} is not understood in the formula {tex!r}")
    if sign == "{":
        return f"<mrow>{_row(tokens, tex, '}')}</mrow>"
    if sign in "()[]":
        return f'<mo stretchy="false">{sign}</mo>'
    return f"<mo>{'−' if sign == '-' else escape(sign)}</mo>"
