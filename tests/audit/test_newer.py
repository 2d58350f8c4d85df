"""Python that is newer than the Python that runs is read all the same, line for line."""

import ast

import pytest

from roadworthy.audit.source.newer import Unreadable, parse


@pytest.mark.parametrize(
    "source",
    [
        "type Ids = list[int]\nlast = 1\n",
        "type Pair[T] = tuple[T, T]\nlast = 1\n",
        "def first[T](items: list[T]) -> T: ...\nlast = 1\n",
        "class Box[T: (int, str)](Base[T]): ...\nlast = 1\n",
        "async def first[T, **P](\n    a: T,\n): ...\nlast = 1\n",
        "class Store[\n    T: dict[str, list[int]],\n]:\n    x = 1\nlast = 1\n",
        "x = f'-{\n    d['key']\n}'\nlast = 1\n",
        "try:\n    pass\nexcept KeyError, ValueError:\n    pass\nlast = 1\n",
        'x = f"{d["key"]} and {other}"\nlast = 1\n',
        "x = f'{', '.join(names)}'; y = 2\nlast = 1\n",
        'x = t"{name}"\nlast = 1\n',
    ],
)
def test_newer_syntax_is_read_and_lines_stay_where_they_are(source):
    tree = parse(source.encode())

    last = tree.body[-1]
    assert isinstance(last, ast.Assign)
    assert last.lineno == source.count("\n")


def test_names_inside_newer_strings_are_kept():
    tree = parse(b'detail = f"failed: {str(error["text"])}"\n')

    assert "error" in {node.id for node in ast.walk(tree) if isinstance(node, ast.Name)}


def test_what_is_no_python_says_where():
    with pytest.raises(Unreadable, match="line 2"):
        parse(b"x = 1\nprint 'x'\n")


@pytest.mark.parametrize("source", [b"x = 1\0", b"\xff\xfe", b"def f(:\n" * 100])
def test_nothing_breaks_the_reader(source):
    with pytest.raises(Unreadable):
        parse(source)


def test_old_python_is_not_rewritten():
    text = "type = 1\nmatch = [2]\ntype [0] if 0 else 1\n"
    assert ast.dump(parse(text.encode())) == ast.dump(ast.parse(text))
