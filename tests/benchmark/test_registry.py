"""Names find their plugins, here and in other packages; a name has one owner."""

from dataclasses import dataclass
from pathlib import Path

import pytest
from conftest import Program
from support.plugins import install

from albench.benchmark import registry
from albench.benchmark.registry import Registry, UnknownNameError
from albench.benchmark.seeds import generator


def test_an_unknown_name_is_met_with_the_legal_ones_and_the_nearest() -> None:
    said = r"unknown strategy 'typiclst'; did you mean 'typiclust'\? legal: .*, badge, "
    with pytest.raises(UnknownNameError, match=said):
        registry.strategies.get("typiclst")


def test_a_name_that_is_declared_twice_names_both_owners() -> None:
    plugins = Registry("strategy", "strategies", "albench.test")

    @dataclass(frozen=True)
    class One:
        pass

    @dataclass(frozen=True)
    class Other:
        pass

    plugins.add(registry.Plugin("strategy", "same", One, "", 1))
    plugins.add(registry.Plugin("strategy", "same", One, "", 1))
    with pytest.raises(ValueError, match=r"'same' is declared twice: .*One and .*Other"):
        plugins.add(registry.Plugin("strategy", "same", Other, "", 1))


@pytest.mark.parametrize("kind", ["strategies", "learners", "datasets", "encoders"])
def test_every_plugin_says_what_it_is(kind: str) -> None:
    plugins: Registry = getattr(registry, kind)
    for name in plugins.names():
        plugin = plugins.get(name)
        assert plugin.summary.endswith("."), plugin.origin
        assert plugin.version >= 1
        file = plugin.cls.__module__.rsplit(".", 1)[1]
        in_family = kind == "datasets"  # files in one format are read in one place
        assert file == name.replace("-", "_") or in_family, "a plugin is found in the file of its name"
        assert plugin.cite or kind in ("datasets", "encoders"), f"{name} cites nothing"


def test_every_file_of_strategies_holds_a_strategy() -> None:
    folder = Path(registry.__file__).parents[1] / "strategies"
    files = {path.stem.replace("_", "-") for path in folder.rglob("[!_]*.py") if "kernels" not in path.parts}
    families = {name.removesuffix(":*") for name in registry.strategies.legal() if name.endswith(":*")}
    assert files == set(registry.strategies.names()) | families


def test_generators_come_from_names_alone() -> None:
    first = generator("a", 1, "b").random(3)
    assert first.tolist() == generator("a", 1, "b").random(3).tolist()
    others = [("a", 1, "c"), ("a", 11, "b"), ("a1", "b"), ("a", "1", "b"), ("a", 1, "b", "")]
    assert len({generator(*names).random() for names in others} | {first[0]}) == len(others) + 1


def test_generators_are_the_same_on_every_machine() -> None:
    assert generator("golden", 1).integers(1_000_000, size=3).tolist() == [752399, 608872, 362780]


def test_a_class_that_is_no_dataclass_is_told_the_order_of_decorators() -> None:
    class Plain:
        pass

    with pytest.raises(TypeError, match="put @strategy above @dataclass"):
        registry.strategy("plain", cite="")(Plain)


def test_a_broken_plugin_of_another_package_is_one_line(albench: Program, tmp_path: Path) -> None:
    env = install(tmp_path, "albench.strategies", "bad", "broken_plugin:Bad", "import no_such_module\n")
    status, _, err = albench.run("list", "strategies", env=env)
    said = "strategy 'bad' (broken_plugin:Bad) cannot be loaded: ModuleNotFoundError: No module named 'no_such_module'"
    assert (status, err) == (2, f"error: {said}\n")


UNMET = """
from dataclasses import dataclass
from albench.benchmark.registry import strategy

@strategy("wishful", cite="", needs={"probabilites"})
@dataclass(frozen=True)
class Wishful:
    \"\"\"Needs what nobody gives.\"\"\"
"""


def test_a_need_that_nobody_gives_is_one_line(albench: Program, tmp_path: Path) -> None:
    env = install(tmp_path, "albench.strategies", "wishful", "wishful_plugin:Wishful", UNMET)
    status, _, err = albench.run("list", "strategies", env=env)
    assert (status, err.count("\n")) == (2, 1)
    assert "'wishful' needs 'probabilites', which no learner or trial gives; did you mean 'probabilities'?" in err
