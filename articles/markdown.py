"""Texts for programs that read Markdown (CommonMark with GitHub's tables).

What Markdown has no sign for stays HTML, which Markdown allows: without its mark
10<sup>9</sup> would be 109. Text stays text: nothing in it becomes a link or a tag.
"""

import re
from typing import Any

from markdownify import MarkdownConverter

_MARKS = re.compile(r"[\\`*_\[\]<~|#@]|&(?=#?\w+;)|://|\bwww\.|!$", re.IGNORECASE)
# Where a line starts, these would begin a list, a quotation, a rule or a heading.
_STARTS = re.compile(r"^(\s*)(\d{0,9})(>|([-+=]|(?<=\d)[.)])(?=[-=\s]|$))")
_BLANKS = re.compile(r"[ \t\r\n]+")
_IN_A_LINK = re.compile(r"[()<>\\\"|`]|&(?=#?\w+;)")
# Stands after a citation, which could be read as one link with what follows; no stored
# text holds it (cleaning.visible).
_CITED = "\0"


def escaped(text: str) -> str:
    """Plain text as one line of Markdown that says the same."""
    line = _MARKS.sub(lambda found: _unmarked(found[0]), _BLANKS.sub(" ", text))
    return _STARTS.sub(r"\1\2\\\3", line)


def _unmarked(mark: str) -> str:
    return f"www\\{mark[3:]}" if len(mark) == 4 else f"\\{mark}"


def body(html: str) -> str:
    """A stored body; pictures as their alt text and address."""
    written = str(_Writer().convert(html)).strip()
    return re.sub(f"{_CITED}(?=[(:])", r"\\", written).replace(_CITED, "")


class _Writer(MarkdownConverter):
    """Knows the elements of cleaning.TAGS, no others."""

    class Options:
        heading_style = "ATX"
        bullets = "-"

    def escape(self, text: str, parent_tags: set[str]) -> str:
        return escaped(text)

    def convert_strong(self, el: Any, text: str, parent_tags: set[str]) -> str:
        return f"**{text}**" if _is_plain(el, text) else f"<strong>{text}</strong>"

    def convert_em(self, el: Any, text: str, parent_tags: set[str]) -> str:
        return f"*{text}*" if _is_plain(el, text) else f"<em>{text}</em>"

    def convert_sup(self, el: Any, text: str, parent_tags: set[str]) -> str:
        if "citation" in el.get("class", ()):
            return f"[{escaped(el.get_text().strip())}]{_CITED}"
        return f"<sup>{text}</sup>"

    def convert_sub(self, el: Any, text: str, parent_tags: set[str]) -> str:
        return f"<sub>{text}</sub>"

    def convert_abbr(self, el: Any, text: str, parent_tags: set[str]) -> str:
        title = el.get("title")
        return f"{text} ({escaped(title)})" if title else text

    def convert_a(self, el: Any, text: str, parent_tags: set[str]) -> str:
        href = _IN_A_LINK.sub(lambda found: f"%{ord(found[0]):02X}", el["href"])
        return f"[{text}]({href})"

    def convert_img(self, el: Any, text: str, parent_tags: set[str]) -> str:
        return f"![{escaped(el.get('alt', ''))}]({el['src']})"

    def convert_br(self, el: Any, text: str, parent_tags: set[str]) -> str:
        return "<br>" if "_inline" in parent_tags else "\\\n"

    def convert_td(self, el: Any, text: str, parent_tags: set[str]) -> str:
        lines = [line.strip() for line in text.splitlines() if line.strip()]
        return f" {'<br>'.join(lines)} |"

    convert_th = convert_td

    def convert_table(self, el: Any, text: str, parent_tags: set[str]) -> str:
        """As HTML where a cell spans others: its words belong to more than one."""
        if el.find(["td", "th"], rowspan=True) or el.find(["td", "th"], colspan=True):
            text = _BLANKS.sub(" ", str(el))
        return f"\n\n{text.strip()}\n\n"


def _is_plain(el: Any, text: str) -> bool:
    """Whether asterisks are emphasis here for sure; in **(5 mg)**now they are not."""
    return _ends_well(text[:1], el.previous_sibling) and _ends_well(
        text[-1:], el.next_sibling
    )


def _ends_well(edge: str, beside: Any) -> bool:
    if edge.isalnum():
        return beside is None or beside.name not in ("strong", "em")
    return bool(edge.strip()) and (beside is None or not str(beside).strip())
