"""What nobody tests survives, and what is tested does not."""

import ast
import subprocess
import sys
import textwrap
from pathlib import Path

import pytest

RUN = Path(__file__).with_name("run.py")
sys.path.insert(0, str(RUN.parent))

from mutants import mutants  # noqa: E402 - a script's folder is its path
from nearby import module_name, near  # noqa: E402

TOY = {
    "src/toy/__init__.py": "",
    "src/toy/shop.py": """
        def half(number):
            if number < 0:
                raise ValueError("negative")
            if number > 1000:
                return 500
            return number / 2
    """,
    "tests/test_shop.py": """
        import pytest
        from toy.shop import half

        def test_half():
            assert half(4) == 2

        def test_negative():
            with pytest.raises(ValueError):
                half(-1)
    """,
    "tests/test_elsewhere.py": "def test_nothing(): raise AssertionError('not near')",
}


@pytest.fixture
def toy(tmp_path: Path) -> Path:
    for name, text in TOY.items():
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_text(textwrap.dedent(text))
    subprocess.run(["git", "init", "-q", tmp_path], check=True)
    return tmp_path


def mutate(toy: Path, *words: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, RUN, "src/toy/shop.py", *words]
    return subprocess.run(command, cwd=toy, capture_output=True, text=True, check=False)


def test_the_guard_that_no_test_needs_survives(toy):
    done = mutate(toy, "--limit", "99")

    assert done.stdout.splitlines() == [
        "survived: src/toy/shop.py:5: guard dropped: number > 1000",
        "5 of 5 tried, 1 survived.",
    ]
    assert done.returncode == 0
    assert (toy / "src/toy/shop.py").read_text() == textwrap.dedent(TOY["src/toy/shop.py"])


def test_it_is_bounded_by_number_and_time(toy):
    assert mutate(toy, "--limit", "1").stdout.endswith("1 of 1 tried, 0 survived.\n")
    assert mutate(toy, "--seconds", "0").stdout == "0 of 5 tried, 0 survived.\n"


def test_tests_that_fail_anyway_are_told_of(toy):
    (toy / "tests/test_shop.py").write_text(
        "from toy.shop import half\ndef test(): assert half(2) == 2"
    )

    done = mutate(toy)

    assert done.returncode == 2
    assert done.stdout.startswith("The tests near src/toy/shop.py fail as it is:")


@pytest.mark.parametrize(
    ("source", "whats"),
    [
        ("if a:\n    return_(1)\n", ["call dropped: return_(1)", "condition negated: a"]),
        ("while a():\n    pass\n", ["condition negated: a()"]),
        ("x = 1 if a else 2\n", ["condition negated: a"]),
        ("async def f():\n    await g()\n", ["call dropped: await g()"]),
        ("with lock:\n    pass\n", ["context dropped: with lock"]),
        ("with (\n    a,\n    b,\n):\n    pass\n", ["context dropped: with ( a, b, )"]),
        ("with open(a) as b:\n    pass\n", []),
        ("try:\n    a\nexcept (A, B) as é:\n    b\n", ["except removed: (A, B)"]),
        ("TIMEOUT = 5\n", ["bound removed: 5"]),
        ("_GRACE: Final = timedelta(5)\n", ["bound removed: 5"]),
        ("f(timeout=2.5)\n", ["bound removed: 2.5", "call dropped: f(timeout=2.5)"]),
        ("COLOUR = 5\n", []),
        ("é = 'ü' if not ß else 1\n", ["condition negated: not ß"]),
    ],
)
def test_a_mechanism_is_taken_out(source, whats):
    assert sorted(one.what for one in mutants(source)) == whats


def test_each_mutant_is_another_program_that_parses():
    for path in sorted(Path("src/roadworthy/limits").rglob("*.py")):
        source = path.read_text()
        for one in mutants(source):
            assert ast.dump(ast.parse(one.source)) != ast.dump(ast.parse(source))


def test_who_imports_a_module_is_nearer_than_who_imports_its_package(tmp_path):
    files = {
        "shop/test_other.py": "import roadworthy.shop",
        "shop/test_direct.py": "from roadworthy.shop.prices import price  # the longest of all",
        "shop/test_prices.py": "",
        "else/test_else.py": "import roadworthy.house",
    }
    for name, text in files.items():
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).write_text(text)

    found = near("roadworthy.shop.prices", tmp_path.rglob("test_*.py"), most=9)

    assert [path.name for path in found] == ["test_prices.py", "test_direct.py", "test_other.py"]
    assert module_name(Path("a/src/roadworthy/shop/__init__.py")) == "roadworthy.shop"
