"""The report as Markdown: what a reader makes of it, by another program's parser."""

from pathlib import Path

import pytest
from markdown_it import MarkdownIt
from support.synthetic import write_run

from albench.results.measures.words import count
from albench.results.report import report
from albench.results.report.blocks import Block, Figure, stem
from albench.results.report.markdown import markdown

PARSER = MarkdownIt("commonmark").enable(["table", "strikethrough"])
HARD = [
    *("![p](http://x.y/z.png)", "[a](http://x.y)", "[a][b]", "[a]: http://x.y", "*bold*", "**bold**", "_so_", "__so__"),
    *("`code`", "~~gone~~", "a|b", "a\\|b", "a\\", "\\*a*", "<b>b</b>", "&amp;", "<http://x.y>", "a_b_c", "[0.1, 0.2]"),
    *("# h", "## h", "- a", "+ a", "* a", "1. a", "1) a", "---", "> a", "[x] a", "[ ] a", "```", "~~~", "===", "-0.5"),
    *("[a](b) c](d)", "![a]", "a]", "[a", "http_x_", "!" * 3, "-"),
]


def words(source: str) -> list[tuple[list[str], str]]:
    """Return what each line of text is read as: kinds of markup in it, and its text."""
    inline = [token.children or [] for token in PARSER.parse(source) if token.type == "inline"]
    return [([t.type for t in of if t.type != "text"], "".join(t.content for t in of)) for of in inline]


@pytest.mark.parametrize("name", HARD)
def test_a_name_is_read_as_it_is_wherever_it_stands(name: str) -> None:
    block = Block(name, name, (name, name), (name, "b"), ((name, name),), frozenset({(0, 1)}))
    source = markdown(name, [block])
    strong = ["strong_open", "strong_close"]
    assert words(source)[2:] == [([], name)] * 4 + [([], "b"), ([], name), (strong, name)]
    assert [title.rstrip(" #") for _, title in words(source)[:2]] == [name.rstrip(" #")] * 2
    kinds = {token.type.removesuffix("_open") for token in PARSER.parse(source) if token.nesting == 1}
    assert kinds == {
        *("heading", "paragraph", "bullet_list", "list_item"),
        *("table", "thead", "tbody", "tr", "th", "td"),
    }
    assert source.count("\n- ") == 2


@pytest.mark.parametrize("name", HARD)
def test_a_picture_stays_one_whatever_its_title(name: str) -> None:
    source = markdown("t", [Block(name, figure=Figure("f", {}))], {"f": "figures/f.svg"})
    assert words(source)[-1][0] == ["image"]
    assert "](figures/f.svg)" in source


def test_intervals_and_words_with_underscores_stay_legible() -> None:
    source = markdown("t", [Block("t", "mean_a 0.812 [0.790, 0.833]", columns=("a",), rows=(("-0.5 [-0.6, -0.4]",),))])
    assert "mean_a 0.812 [0.790, 0.833]\n" in source
    assert "| -0.5 [-0.6, -0.4] |" in source


def test_a_long_name_makes_a_file_of_its_own_that_every_disk_takes(tmp_path: Path) -> None:
    long = "d" * 260
    run = write_run(tmp_path / "run", datasets=(long, long + "e"), budgets=("low",), seeds=2, rounds=2)
    files = report.write_report([run], tmp_path / "out").files
    assert len({file for file in files if file.is_file()}) == len(files)
    assert max(len(file.name) for file in files) < 120


def test_stems_are_short_stable_and_apart() -> None:
    assert stem("at", "pca(dims=8)") == "at-pca-dims-8"
    assert stem("a" * 100) == "a" * 100
    assert stem("a" * 101) == "a" * 91 + "-9d079339"
    assert len({stem("a" * 200 + end) for end in "bcB"}) == 3
    assert stem(stem("a" * 200)) == stem("a" * 200)


def test_one_is_one() -> None:
    assert [count(n, "seed") for n in (0, 1, 2)] == ["0 seeds", "1 seed", "2 seeds"]
