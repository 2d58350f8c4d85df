"""The law: a patch touches what it names, and nothing else.

What was not sent is not validated again, not converted, dumped, written or lost, at any
depth; what is written reads back through the entity as `after`. See `zoo` for the models.
`LAW_EXAMPLES=10000` is for a nightly run.
"""

import copy
import json
import os
from functools import cache
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from pydantic import BaseModel

from patching import zoo
from roadworthy import patching
from roadworthy.patching import Patch, PatchTestFailed
from roadworthy.patching.body.read import from_operations
from roadworthy.patching.json_patch.operations import check
from roadworthy.patching.values.to_json import column
from roadworthy.problems import ValidationFailed

EXAMPLES = int(os.environ.get("LAW_EXAMPLES", "200"))
pytestmark = pytest.mark.timeout(120 + EXAMPLES)
law = settings(
    max_examples=EXAMPLES, deadline=None, suppress_health_check=list(HealthCheck), database=None
)
COLUMNS = ("nested", "maybe", "listed", "named", "deep", "several")


@cache
def home(name: str) -> zoo.Home:
    return zoo.home(zoo.ZOO[name])


def box(draw: Any, animal: zoo.Animal) -> dict[str, Any]:
    return {animal.key: draw(animal.raw), "label": draw(zoo.words)}


@st.composite
def stored(draw: Any) -> tuple[zoo.Home, BaseModel]:
    """An entity as it was posted once."""
    at = home(draw(st.sampled_from(sorted(zoo.ZOO))))
    boxes = st.builds(lambda: box(draw, at.animal))
    document = {
        "title": "t",
        "nested": draw(boxes),
        "maybe": draw(st.none() | boxes),
        "listed": draw(st.lists(boxes, min_size=1, max_size=3)),
        "named": {name: draw(boxes) for name in draw(st.sets(st.sampled_from("ab")))},
        "deep": {"a": draw(st.lists(boxes, max_size=2))},
        "several": draw(st.lists(boxes, max_size=2)),
    }
    if at.whole:
        document |= box(draw, at.animal)
    return at, at.kind.model_validate(document)


def made(animal: zoo.Animal, raw: dict[str, Any]) -> Any:
    return zoo.read(animal.kind, copy.deepcopy(raw))


def part_of(box: Any, name: str) -> Any:
    return box[name] if isinstance(box, dict) else getattr(box, name)


def put_into(box: Any, name: str, value: Any) -> None:
    if isinstance(box, dict):
        box[name] = value
    else:
        object.__setattr__(box, name, value)


def with_(current: Any, animal: zoo.Animal, raw: dict[str, Any]) -> Any:
    """The box with what was sent, as a POST would have read it; the rest is what it was."""
    whole = made(animal, {animal.key: None, **raw}) if animal.key in raw else None
    result = copy.copy(current)
    for key, value in raw.items():
        name = "leaf" if key == animal.key else key
        put_into(result, name, part_of(whole, "leaf") if name == "leaf" else value)
    if hasattr(result, "_double"):
        result.model_post_init(None)
    if hasattr(result, "__post_init__"):
        result.__post_init__()
    return result


# --- RFC 7396 ---


@st.composite
def merge_patches(draw: Any, at: zoo.Home, current: Any) -> tuple[dict[str, Any], dict[str, Any]]:
    """A document, and the fields of the entity after it."""
    animal, document, after = at.animal, {}, {}
    boxes = st.builds(lambda: box(draw, animal))
    part = st.builds(lambda: _part(draw, animal))
    for place in draw(st.sets(st.sampled_from(["title", *COLUMNS]), min_size=1)):
        if place == "title":
            document["title"] = after["title"] = draw(zoo.words)
        elif place == "nested" or (place == "maybe" and current.maybe is not None):
            document[place] = sent = draw(part)
            after[place] = with_(getattr(current, place), animal, sent)
        elif place == "maybe":
            document["maybe"] = sent = draw(boxes)
            after["maybe"] = made(animal, sent)
        elif place in {"listed", "several"}:
            document[place] = sent = draw(st.lists(boxes, max_size=2))
            after[place] = type(getattr(current, place))(made(animal, one) for one in sent)
        elif place == "deep":
            document["deep"] = {"b": draw(st.lists(boxes, max_size=2))}
            after["deep"] = current.deep | {"b": [made(animal, b) for b in document["deep"]["b"]]}
        else:
            document["named"], after["named"] = _named(draw, animal, current.named, part, boxes)
    return document, after


def _part(draw: Any, animal: zoo.Animal) -> dict[str, Any]:
    sent: dict[str, Any] = {"label": draw(zoo.words)}
    if animal.kind is not zoo.Frozen and draw(st.booleans()):
        sent[animal.key] = draw(
            animal.raw.filter(lambda raw: not isinstance(raw, dict)) | st.none()
        )
        if sent[animal.key] is None:
            del sent[animal.key]
    return sent


def _named(draw: Any, animal: Any, current: Any, part: Any, boxes: Any) -> tuple[Any, Any]:
    sent: dict[str, Any] = {}
    after = dict(current)
    for name in draw(st.sets(st.sampled_from("abc"), min_size=1)):
        if name in current:
            sent[name] = draw(part | st.none())
        else:
            sent[name] = draw(boxes)
        if sent[name] is None:
            del after[name]
        elif name in current:
            after[name] = with_(current[name], animal, sent[name])
        else:
            after[name] = made(animal, sent[name])
    return sent, after


def holds(at: zoo.Home, current: Any, change: Any, after: dict[str, Any]) -> None:
    assert change.values.keys() == after.keys()
    for name in type(current).model_fields:
        expected = after.get(name, getattr(current, name))
        assert getattr(change.after, name) == expected, name
    for name in COLUMNS:
        if name in change.values:
            json.dumps(change.values[name], allow_nan=False)
    if at.animal.reads_back:
        kind = type(current)
        row = {
            field.validation_alias or name
            if isinstance(field.validation_alias, str | None)
            else field.validation_alias.choices[0]: change.values.get(
                name, column(kind, name, getattr(current, name))
            )
            for name, field in kind.model_fields.items()
        }
        assert kind.model_validate(row) == change.after


def frozen(current: BaseModel) -> Any:
    return copy.deepcopy(current)


@law
@given(st.data())
def test_a_merge_patch_touches_what_it_names(data):
    at, current = data.draw(stored())
    document, after = data.draw(merge_patches(at, current))
    before = frozen(current)
    zoo.CALLS.clear()

    change = patching.apply(patching.parse(Patch[at.kind], document), current)

    assert_called_only_with(document)
    holds(at, current, change, after)
    assert current == before


def assert_called_only_with(document: Any) -> None:
    sent = json.dumps(document)
    for value in zoo.CALLS:
        assert value in sent, "a validator saw what nobody sent"


# --- RFC 6902 ---


@st.composite
def json_patches(draw: Any, at: zoo.Home, current: Any) -> tuple[list[Any], dict[str, Any]]:
    """Operations, and the fields of the entity after them."""
    animal = at.animal
    after: dict[str, Any] = {}
    operations: list[Any] = []
    for step in draw(st.lists(st.sampled_from(STEPS), min_size=1, max_size=4)):
        step(draw, animal, current, operations, after)
    return operations, after


def op(name: str, path: str, **more: Any) -> dict[str, Any]:
    return {
        "op": name,
        "path": path,
        **({"from": more.pop("from_")} if "from_" in more else {}),
        **more,
    }


def relabelled(draw, animal, current, operations, after):
    label = draw(zoo.words)
    now = after.get("nested", current.nested)
    if animal.kind is zoo.Flat or part_of(now, "label") == label:
        return
    operations.append(op("replace", "/nested/label", value=label))
    after["nested"] = with_(now, animal, {"label": label})


def appended(draw, animal, current, operations, after):
    new = box(draw, animal)
    operations.append(op("add", "/listed/-", value=new))
    after["listed"] = [*after.get("listed", current.listed), made(animal, new)]


def removed(draw, animal, current, operations, after):
    now = after.get("listed", current.listed)
    if now:
        operations.append(op("remove", "/listed/0"))
        after["listed"] = now[1:]


def named_anew(draw, animal, current, operations, after):
    new, key = box(draw, animal), draw(st.sampled_from("xyz"))
    if key in after.get("named", current.named):
        return
    operations.append(op("add", f"/named/{key}", value=new))
    after["named"] = after.get("named", current.named) | {key: made(animal, new)}


def copied(draw, animal, current, operations, after):
    operations.append(op("copy", "/named/c", from_="/nested"))
    after["named"] = after.get("named", current.named) | {"c": after.get("nested", current.nested)}


def moved(draw, animal, current, operations, after):
    now = dict(after.get("named", current.named))
    if "a" in now:
        operations.append(op("move", "/named/d", from_="/named/a"))
        now["d"] = now.pop("a")
        after["named"] = now


def listed_copy(draw, animal, current, operations, after):
    operations.append(op("copy", "/listed/0", from_="/nested"))
    after["listed"] = [after.get("nested", current.nested), *after.get("listed", current.listed)]


STEPS = (relabelled, appended, removed, named_anew, copied, moved, listed_copy)


@law
@given(st.data())
def test_a_json_patch_touches_what_it_names(data):
    at, current = data.draw(stored())
    operations, after = data.draw(json_patches(at, current))
    before = frozen(current)
    zoo.CALLS.clear()

    change = patching.apply(
        from_operations(Patch[at.kind], check(operations, at_most=100)), current
    )

    changed = {k: v for k, v in after.items() if k in change.values or v != getattr(current, k)}
    assert_called_only_with(operations)
    holds(at, current, change, changed)
    assert current == before


@law
@given(st.data())
def test_what_answers_hide_stays_hidden(data):
    """Neither a guess nor a copy to another place tells of it, nor does a refusal."""
    at, current = data.draw(stored())
    if not at.animal.hidden or at.animal.shown is None:
        return
    path = f"/nested/{at.animal.shown}"
    leaf = part_of(current.nested, "leaf")
    if not isinstance(leaf, str | bytes) and not hasattr(leaf, "get_secret_value"):
        return
    secret = leaf.get_secret_value() if hasattr(leaf, "get_secret_value") else leaf
    secret = secret.decode() if isinstance(secret, bytes) else str(secret)

    for operation in (op("test", path, value=secret), op("copy", "/title", from_=path)):
        patch = from_operations(Patch[at.kind], check([operation], at_most=1))
        with pytest.raises((PatchTestFailed, ValidationFailed)) as caught:
            patching.apply(patch, current)
        told = json.dumps([str(error) for error in getattr(caught.value, "errors", [])])
        assert len(secret) < 4 or secret not in told
