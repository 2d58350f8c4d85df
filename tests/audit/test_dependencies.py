"""A `Depends` is the same wherever it is kept: in place, in a variable, a module, a list."""

import pytest

from roadworthy.audit.fastapi.routes import routes_in

TOP = """
from functools import partial
from typing import Annotated
import fastapi
from fastapi import APIRouter, Depends, FastAPI, Security, params
from sqlalchemy.orm import Session
import deps
from deps import wanted, wanted as other

app = FastAPI()

def get_db():
    yield 1

class Opened:
    def __call__(self): ...

opened = Opened()

def guard(): ...

# file: deps.py
from fastapi import Depends
from data import get_db
wanted = Depends(get_db)
class Kept:
    one = Depends(get_db)
kept = Kept()
def make(target):
    return Depends(target)
def of_db():
    return Depends(get_db)
# file: data.py
def get_db():
    yield 1
"""


@pytest.fixture
def dependencies(codebase):
    """Return the names of the functions that FastAPI calls for the only route."""

    def ask(code: str) -> set[str]:
        top, _, rest = TOP.partition("# file: deps.py")
        module = codebase(f"# file: app.py{top}{code}\n# file: deps.py{rest}").module("app.py")
        route = next(iter(routes_in(module)))
        return {one.function.qualname for one in route.dependencies}

    return ask


@pytest.mark.parametrize(
    ("before", "parameter"),
    [
        ("", "db: Session = Depends(get_db)"),
        ("", "db: Session = Depends(dependency=get_db)"),
        ("", "db: Session = fastapi.Depends(get_db)"),
        ("", "db: Session = params.Depends(get_db)"),
        ("", "db: Annotated[Session, Depends(get_db)]"),
        ("one = Depends(get_db)", "db: Session = one"),
        ("one = Security(get_db, scopes=['a'])", "db=one"),
        ("one = Depends(get_db)\ntwo = one", "db: Session = two"),
        ("db = Depends(get_db)", "db: Session = db"),
        ("one = Depends(get_db)", "db: Annotated[Session, one]"),
        ("one = Depends(get_db)\nDb = Annotated[Session, one]", "db: Db"),
        ("one: Session = Depends(get_db)", "db: Session = one"),
        ("", "db: Session = wanted"),
        ("", "db: Session = other"),
        ("", "db: Session = deps.wanted"),
        ("", "db: Annotated[Session, deps.wanted]"),
        ("", "db: Session = deps.Kept.one"),
        ("", "db: Session = deps.kept.one"),
        ("", "db: Session = deps.of_db()"),
        ("", "db: Session = deps.make(get_db)"),
        ("", "db: Session = deps.make(target=get_db)"),
        ("one = deps.make(get_db)", "db: Session = one"),
        ("Fresh = partial(Depends, use_cache=False)", "db: Session = Fresh(get_db)"),
    ],
)
def test_a_parameter_is_filled_by_what_its_depends_leads_to(dependencies, before, parameter):
    code = f"{before}\n@app.get('/a')\ndef use({parameter}): ..."

    assert dependencies(code) == {"get_db"}


@pytest.mark.parametrize(
    ("before", "route"),
    [
        ("", "@app.get('/', dependencies=[Depends(guard)])\ndef use(): ..."),
        ("one = Depends(guard)", "@app.get('/', dependencies=[one])\ndef use(): ..."),
        ("all_ = [Depends(guard)]", "@app.get('/', dependencies=all_)\ndef use(): ..."),
        ("all_ = [Depends(guard)]", "@app.get('/', dependencies=[*all_])\ndef use(): ..."),
        ("all_ = [Depends(guard)]", "@app.get('/', dependencies=all_ + [])\ndef use(): ..."),
        ("one = Depends(guard)", "r = APIRouter(dependencies=[one])\n@r.get('/')\ndef use(): ..."),
        (
            "one = Depends(guard)\nclass C:\n    a = one",
            "    @app.get('/')\n    def use(self): ...",
        ),
    ],
)
def test_what_runs_before_a_route_is_found_in_lists_too(dependencies, before, route):
    assert dependencies(f"{before}\n{route}") == {"guard"}


def test_an_instance_is_called(dependencies):
    assert dependencies("one = Depends(opened)\n@app.get('/')\ndef use(a=one): ...") == {
        "Opened.__call__"
    }


def test_depends_without_a_target_calls_the_class_of_the_annotation(dependencies):
    code = "one = Depends()\nclass Q:\n    def __init__(self, q): ..."

    assert dependencies(f"{code}\n@app.get('/')\ndef use(a: Q = one): ...") == {"Q.__init__"}


@pytest.mark.parametrize(
    "parameter",
    ["db=None", "db: Session = get_db()", "db: Session = get_db", "db=unknown", "db=deps.nothing"],
)
def test_other_defaults_are_no_dependencies(dependencies, parameter):
    assert dependencies(f"@app.get('/a')\ndef use({parameter}): ...") == set()


@pytest.mark.parametrize(
    ("statement", "parameter"),
    [
        ("from dishka import FromDishka", "kept: FromDishka[Model]"),
        ("from dishka.integrations.fastapi import FromDishka as From", "kept: From[Model]"),
        ("from wireup import Injected", "kept: Injected[Model]"),
        ("from fastapi_injector import Injected", "kept: Model = Injected(Model)"),
        ("from dependency_injector.wiring import Provide", "kept: Model = Provide[Model]"),
        (
            "from dependency_injector.wiring import Provide",
            "kept: Annotated[Model, Depends(Provide[Model])]",
        ),
        ("", "kept: Model = Depends(guard)"),
    ],
)
def test_what_a_container_hands_over_is_no_body(codebase, statement, parameter):
    top = TOP.partition("# file: deps.py")[0]
    model = "from pydantic import BaseModel\nclass Model(BaseModel):\n    a: int\n"
    route = f"@app.post('/a')\ndef use(sent: Model, {parameter}): ..."
    module = codebase(f"{top}{statement}\n{model}{route}").module("app.py")
    (found,) = routes_in(module)

    assert [body.name for body in found.bodies] == ["sent"]
