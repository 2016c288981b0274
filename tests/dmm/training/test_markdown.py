from pathlib import PurePosixPath

import pytest
from markdown_it import MarkdownIt

from dmm.training.run_card.markdown import block, code, escape, image, link, plain, table

NASTY = (
    "a|b *bold* _it_ `tick` [x](http://evil) <script>alert(1)</script>",
    "# head\n- item\n\n---\n| --- |",
    r"back\slash \| &amp; ~~no~~ ![p](q) $x$ #",
    "``` fence ```",
)


def rendered(text):
    return MarkdownIt("gfm-like", {"linkify": False}).render(text)


def shown(text):
    """What a reader sees of Markdown: the words of its tokens."""
    tokens = MarkdownIt("gfm-like", {"linkify": False}).parse(text)
    inline = [token for token in tokens if token.type == "inline"]
    assert len(inline) == 1
    kinds = {child.type for child in inline[0].children}
    assert kinds <= {"text", "text_special", "code_inline"}, kinds
    return "".join(child.content for child in inline[0].children)


@pytest.mark.parametrize("text", NASTY)
def test_escaped_text_shows_as_itself(text):
    assert shown(f"Preset {escape(text)}") == f"Preset {plain(text)}"


@pytest.mark.parametrize("text", NASTY)
def test_a_cell_stays_one_cell(text):
    html = rendered(table(["a", "b"], [[escape(text), code(text)]]))
    assert html.count("<td>") == 2 and html.count("<tr>") == 2
    assert not any(tag in html for tag in ("<a ", "<strong>", "<em>", "<s>", "<script>", "<img"))


@pytest.mark.parametrize("text", NASTY)
def test_a_code_span_holds_all_of_the_text(text):
    assert shown(code(text)).replace("\N{FULLWIDTH VERTICAL LINE}", "|") == plain(text)


def test_a_block_cannot_be_ended_from_within():
    text = 'x = 1\n```\n# head\n````\ny = "z"'
    tokens = MarkdownIt().parse(block(text, "toml"))
    assert [token.type for token in tokens] == ["fence"]
    assert tokens[0].content == text + "\n" and tokens[0].info == "toml"


@pytest.mark.parametrize("make", [link, image])
def test_a_link_leads_to_a_file_of_any_name(make):
    html = rendered(make("a]b", PurePosixPath("previews/step 1/a)b[c]?#é.png")))
    assert "previews/step%201/a%29b%5Bc%5D%3F%23%C3%A9.png" in html and "a]b" in html


def test_control_characters_and_lone_surrogates_are_dropped():
    assert plain("a\x1b[31m\udc80b\u2028c") == "a[31mb c"
