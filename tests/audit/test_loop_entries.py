"""What the event loop enters is judged, whatever it is; what leaves the loop is quiet."""

TOP = """\
import asyncio, time, requests
from anyio import to_thread
from fastapi import Depends, FastAPI, Request, WebSocket
from fastapi.responses import JSONResponse
from starlette.middleware import Middleware
from starlette.middleware.base import BaseHTTPMiddleware
from sqlalchemy import create_engine, text
from sqlalchemy.orm import Session, scoped_session, sessionmaker
import bcrypt, neo4j, pandas
from PIL import Image

maker = sessionmaker(create_engine("postgresql:///x"))
app = FastAPI()
def db():
    with maker() as opened:
        yield opened
"""
WAIT = "requests.get('https://a.example', timeout=3)"
SOCKET = "@app.websocket('/w')\nasync def w(s: WebSocket):\n    {}"
ROUTE = "@app.get('/r')\nasync def r(n: int):\n    {}"
ASGI = """\
class M:
    def __init__(self, app): self.app = app
    async def __call__(self, a, b, c):
        {}
"""
KEPT = """\
kept = {}
def now():
    if 'a' not in kept:
        kept['a'] = maker()
    return kept['a']
"""
SERVICE = (
    "class Inner:\n    def __init__(self, db): self.db = db\n"
    "    def all(self): return self.db.execute(text('select 1'))\n"
    "class Outer:\n    def __init__(self, inner): self.inner = inner\n"
    "    def all(self): return self.inner.all()\n"
    "def inner(db=Depends(db)): return Inner(db)\n"
    "def outer(inner=Depends(inner)): return Outer(inner)\n"
    "@app.get('/o')\nasync def o(x=Depends(outer)): return x.all()\n"
)
FOUND = {
    "socket": SOCKET.format("time.sleep(1)"),
    "socket's dependency": f"async def d():\n    {WAIT}\n"
    "@app.websocket('/w')\nasync def w(s: WebSocket, x=Depends(d)): ...",
    "added socket": f"async def w(s):\n    {WAIT}\napp.add_api_websocket_route('/w', w)",
    "decorated": f"@app.middleware('http')\nasync def m(q, go):\n    {WAIT}",
    "dispatch": f"class M(BaseHTTPMiddleware):\n    async def dispatch(s, q, g):\n        {WAIT}",
    "asgi": ASGI.format(WAIT) + "app.add_middleware(M)",
    "listed": ASGI.format(WAIT) + "other = FastAPI(middleware=[Middleware(M)])",
    "given": f"async def f(q, go):\n    {WAIT}\napp.add_middleware(BaseHTTPMiddleware, dispatch=f)",
    "handler": f"@app.exception_handler(KeyError)\nasync def h(q, e):\n    {WAIT}",
    "added handler": f"async def h(q, e):\n    {WAIT}\napp.add_exception_handler(KeyError, h)",
    "bcrypt": ROUTE.format("bcrypt.hashpw(b'a', bcrypt.gensalt())"),
    "picture": ROUTE.format("Image.open('a').resize((9, 9)).save('b')"),
    "address": ROUTE.format("pandas.read_parquet(f'https://a.example/{n}')"),
    "address in a name": "URL = 's3://a/b.csv'\n" + ROUTE.format("pandas.read_csv(URL)"),
    "graph": "g = neo4j.GraphDatabase.driver('x')\n" + ROUTE.format("g.execute_query('y')"),
    "kept": KEPT + ROUTE.format("now().execute(text('select 1'))"),
    "service of a service": SERVICE,
}
QUIET = {
    "thread": SOCKET.format("await asyncio.to_thread(time.sleep, 1)"),
    "anyio": SOCKET.format("await to_thread.run_sync(lambda: time.sleep(1))"),
    "executor": SOCKET.format(
        "await asyncio.get_running_loop().run_in_executor(None, time.sleep, 1)"
    ),
    "def handler": f"@app.exception_handler(KeyError)\ndef h(q, e):\n    {WAIT}",
    "def dependency of a socket": f"def d():\n    {WAIT}\n"
    "@app.websocket('/w')\nasync def w(s: WebSocket, x=Depends(d)): ...",
    "no middleware": ASGI.format(WAIT),
    "sleep": SOCKET.format("await asyncio.sleep(1)"),
    "path": ROUTE.format("pandas.read_csv('a.csv')"),
    "def route": "@app.get('/r')\ndef r():\n    bcrypt.hashpw(b'a', b'b')",
    "async graph": "g = neo4j.AsyncGraphDatabase.driver('x')\n"
    + ROUTE.format("await g.execute_query('y')"),
    "other key": KEPT + ROUTE.format("kept['b'].execute(1)"),
    "hidden": KEPT + ROUTE.format("kept = {}\n    kept['a'].execute(1)"),
    "def service": SERVICE.replace("async def o", "def o"),
    "made of two kinds": "class Inner:\n    def __init__(self, db): self.db = db\n"
    "a, b = Inner(maker()), Inner([])\n" + ROUTE.format("a.db.execute(1)"),
}
RULES = "RW701,RW702,RW703"


def audited(project, cases) -> dict[str, set[str]]:
    """Return which rules find something in each case; each is a file."""
    names = {f"case{number}.py": case for number, case in enumerate(cases)}
    for path, case in names.items():
        project.write(path, TOP + cases[case] + "\n")
    found = {case: set() for case in cases}
    for code, path, _ in project.found("--no-cache", "--all", "--select", RULES):
        found[names[path]].add(code)
    return found


def test_what_the_loop_enters_is_found(project):
    assert [case for case, rules in audited(project, FOUND).items() if not rules] == []


def test_what_leaves_the_loop_is_quiet(project):
    assert {case: rules for case, rules in audited(project, QUIET).items() if rules} == {}
