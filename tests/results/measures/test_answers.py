"""The sentences that a report opens with, on curves whose truth is known."""

from typing import Any

import numpy as np
import pandas as pd
import pytest
from support.curves import LINEAR, evidence, lifted

from albench.benchmark.types import FULL_DATA
from albench.results.measures.board.answers import answers, overall
from albench.results.measures.board.leaderboard import leaderboard
from albench.results.measures.stats import paired_p

RNG = np.random.default_rng(3)
NOISE = {name: RNG.normal(0, 0.01, (10, 1)) for name in ("random", "margin", "badge")}


def said(curves: dict[tuple[str, str], Any]) -> list[str]:
    return [str(one) for one in answers(evidence(curves).summary)]


def noisy(**lifts: float) -> dict[tuple[str, str], Any]:
    """Ten seeds of some strategies, each with noise of its own, and their lifts over random."""
    return {(name, "low"): lifted(lift, 10) + NOISE[name] for name, lift in lifts.items()}


def test_the_best_is_named_with_its_gain_and_who_else_is_not_beaten() -> None:
    [line] = said(noisy(random=0, margin=0.1, badge=0.05))
    assert line.startswith("digits, low (10 to 40 labels): margin, +8.")
    assert line.endswith("] over random; also not beaten: none.")
    [line] = said(noisy(random=0, margin=0.1, badge=0.095))
    assert line.startswith("digits, low (10 to 40 labels): badge, +8.5 points [+7.0, +10.0]")
    assert line.endswith("; also not beaten: margin.")


def test_where_random_wins_it_is_said() -> None:
    assert said(noisy(random=0, margin=-0.1, badge=-0.05)) == [
        "digits, low (10 to 40 labels): random, mean accuracy 0.594 [0.567, 0.621]; also not beaten: none."
    ]


def test_where_nothing_is_resolved_it_says_how_many_seeds_would() -> None:
    [found] = answers(evidence(noisy(random=0, margin=0.006)).summary)
    assert not found.resolved
    assert found.seeds is not None
    assert found.seeds > 10
    assert f"not resolved with 10 seeds: {found.lead} leads {found.over} by " in str(found)
    assert (
        f"as chance may have it for the best of 2; about {found.seeds} seeds would tell; also not beaten: none."
        in str(found)
    )


def test_the_number_of_seeds_is_that_of_the_test_among_all() -> None:
    """With more strategies the same difference needs more seeds, and as many are enough in four studies of five."""
    curves = noisy(random=0, margin=0.006)
    [two] = answers(evidence(curves).summary)
    [many] = answers(evidence(curves | {(f"copy{i}", "low"): curves["random", "low"] for i in range(5)}).summary)
    assert two.seeds is not None
    assert many.seeds is not None
    assert 2 < two.seeds < many.seeds
    difference = (curves["margin", "low"] - curves["random", "low"]) @ [1 / 6, 1 / 3, 1 / 3, 1 / 6]
    draws = np.random.default_rng(0).normal(difference.mean(), difference.std(ddof=1), (4000, many.seeds))
    assert (paired_p(draws) <= 0.05 / 6).mean() == pytest.approx(0.8, abs=0.03)


def test_equal_curves_would_need_more_seeds_than_anybody_has() -> None:
    [line] = said({("random", "low"): lifted(0), ("margin", "low"): lifted(0)})
    assert "by 0.0 points [0.0, 0.0]" in line
    assert "more than 10,000 seeds would tell" in line


@pytest.mark.parametrize(
    ("curves", "why"),
    [
        ({("random", "low"): lifted(0)}, "only random is finished: there is nothing to compare it with"),
        (
            {("random", "low"): lifted(0, 1), ("margin", "low"): lifted(0.1, 1)},
            "one seed, so no difference can be told from chance; the highest curve is that of margin",
        ),
    ],
)
def test_what_cannot_be_compared_says_why(curves: dict[tuple[str, str], Any], why: str) -> None:
    assert said(curves) == [f"digits, low (10 to 40 labels): {why}."]


def test_without_the_baseline_the_leader_has_its_mean() -> None:
    [line] = said({("margin", "low"): lifted(0.1), ("badge", "low"): lifted(0)})
    assert "margin, mean accuracy 0." in line
    assert "over" not in line


def test_many_settings_have_a_sentence_for_each_budget() -> None:
    curves = noisy(random=0, margin=0.1) | {
        ("random", "high-100"): lifted(0, 10),
        ("margin", "high-100"): lifted(0, 10),
    }
    summary = evidence(curves, datasets=("digits", "wine")).summary
    [_, gains] = str(answers(summary)[0]).split("margin, ")
    gains = gains.partition(" over")[0]
    assert overall(summary) == [
        f"low, 2 settings: not beaten in all: margin ({gains}).",
        "high-100, 2 settings: not beaten in all: random, margin (+0.0 points [+0.0, +0.0]); not resolved: 2 of them.",
    ]
    assert [str(one).partition(" (")[0] for one in answers(summary)] == [
        *("digits, low", "wine, low", "digits, high-100", "wine, high-100")
    ]


# --- the leaderboard -----------------------------------------------------------------------------------------------


def test_the_leaderboard_has_one_row_a_strategy() -> None:
    curves = {("random", FULL_DATA): [[0.9]]}
    for budget, sign in (("low", 1), ("high-100", -1)):
        curves |= {
            ("random", budget): lifted(0, 8),
            ("margin", budget): lifted(0.1, 8),
            ("badge", budget): lifted(0.05 * sign, 8),
        }
    board = leaderboard(evidence(curves, datasets=("digits", "wine")).summary).set_index("strategy")
    assert board.index.tolist() == ["margin", "random", "badge"]
    assert board["rank/1 mean"].tolist() == [1, 2.5, 2.5]
    whole = 100 * 5 / 6  # round 0 is equal, and weighs a sixth
    assert board.loc[["margin", "badge"], "gain/1 mean"].tolist() == pytest.approx([0.1 * whole, 0])
    by_budget = board.loc[["badge"], ["gain/1 in low mean", "gain/1 in high-100 mean"]].to_numpy()
    assert by_budget.tolist()[0] == pytest.approx([0.05 * whole, -0.05 * whole])
    assert board[["wins", "ties", "losses"]].to_numpy().tolist() == [[4, 0, 0], [0, 0, 0], [2, 0, 2]]
    assert board[["unbeaten", "settings"]].to_numpy().tolist() == [[4, 4], [0, 4], [0, 4]]
    assert board["select_s"].tolist() == pytest.approx([0.1 * len(name) * len(LINEAR) for name in board.index])
    assert board.filter(like="gain/1").loc[["random"]].isna().all(axis=None)


def test_what_lacks_a_block_has_no_rank_and_no_mean() -> None:
    curves = {
        (name, budget): lifted(0.1 * i) for i, name in enumerate(("random", "a", "b")) for budget in ("low", "x-20")
    }
    board = leaderboard(evidence(curves | {("part", "low"): lifted(0.5)}).summary).set_index("strategy")
    assert board.index.tolist() == ["b", "a", "random", "part"]
    assert board[["rank/1 mean", "rank/1 low", "gain/1 mean"]].loc[["part"]].isna().all(axis=None)
    assert board.loc[["part"], "gain/1 in low mean"].tolist() == pytest.approx([50 * 5 / 6])
    assert board.loc[["part"], ["wins", "unbeaten", "settings"]].to_numpy().tolist() == [[1, 1, 1]]


def test_nothing_makes_an_empty_leaderboard() -> None:
    board = leaderboard(evidence({}).summary)
    assert isinstance(board, pd.DataFrame)
    assert board.empty
    assert {"strategy", "rank/1 mean", "gain/1 mean", "select_s"} <= set(board.columns)
