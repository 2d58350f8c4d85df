"""Which calls wait for something outside the process, and which of them stop the event loop."""

import pytest

from roadworthy.audit.analyses.stalls import on_loop, stalls
from roadworthy.audit.dataflow.blocking_calls import blocking, outside
from roadworthy.audit.dataflow.reach import calls
from roadworthy.audit.fastapi.routes import routes_in

HEAD = """
import asyncio
import docker
import functools
import shutil
import sqlite3
import subprocess
import time
import urllib.request
import boto3
import httpx
import openai
import psycopg2
import pymongo
import pypandoc
import redis
import redis.asyncio
import requests
import socket
import stripe
from celery import Celery
from celery.result import AsyncResult
from fastapi import APIRouter, Depends
from fastapi.concurrency import run_in_threadpool
from googleapiclient.discovery import build
from kubernetes import client as kubernetes
from firebase_admin import firestore
from supabase import create_client
from sqlalchemy import create_engine
from sqlalchemy.ext.asyncio import AsyncSession
from sqlalchemy.orm import Session, sessionmaker

router = APIRouter()
web = requests.Session()
objects = boto3.client("s3")
mongo = pymongo.MongoClient()
stock = redis.Redis()
rows = create_client("https://x", "key")
documents = firestore.client()
sessions = sessionmaker(create_engine("postgresql:///shop"))
calendar = build("calendar", "v3")
model = openai.OpenAI()
worker = Celery("shop")
cluster = kubernetes.CoreV1Api()
"""


@pytest.fixture
def last_call(codebase):
    """Return the outermost call of a line in a function that has sessions of both kinds."""

    def find(line: str):
        source = f"{HEAD}\nasync def f(session: Session, other: AsyncSession):\n    {line}\n"
        return calls(codebase(source).module("app.py").functions[0])[0]

    return find


@pytest.mark.parametrize(
    ("line", "kind"),
    [
        ("requests.get('https://x')", "server"),
        ("web.post('https://x')", "server"),
        ("httpx.get('https://x')", "server"),
        ("httpx.Client().get('https://x')", "server"),
        ("urllib.request.urlopen('https://x')", "server"),
        ("objects.put_object(Bucket='b', Key='k')", "server"),
        ("stripe.Customer.create(name='n')", "server"),
        ("stripe.checkout.Session.create(mode='m')", "server"),
        ("stripe.Customer.list_balance_transactions('c')", "server"),
        ("stripe.Invoice.create_preview(customer='c')", "server"),
        ("worker.control.inspect().ping()", "server"),
        ("worker.control.inspect(timeout=1).active()", "server"),
        ("worker.control.ping()", "server"),
        ("AsyncResult('1').get()", "server"),
        ("worker.AsyncResult('1').ready()", "server"),
        ("pypandoc.convert_file('a', 'html')", "process"),
        ("model.chat.completions.create(model='m')", "server"),
        ("calendar.events().list(calendarId='c').execute()", "server"),
        ("cluster.list_namespaced_pod('shop')", "server"),
        ("socket.gethostbyname('shop.example')", "server"),
        ("socket.getaddrinfo(other.name, 80)", "server"),
        ("time.sleep(1)", "time"),
        ("subprocess.run(['ls'])", "process"),
        ("subprocess.Popen(['ls']).wait()", "process"),
        ("shutil.rmtree('/srv/x')", "files"),
        ("session.execute('select 1')", "database"),
        ("session.query(int).filter(True).order_by(None).all()", "database"),
        ("sessions().commit()", "database"),
        ("psycopg2.connect('').cursor().execute('select 1')", "database"),
        ("sqlite3.connect('x').execute('select 1')", "database"),
        ("mongo['shop'].orders.find_one({})", "database"),
        ("mongo.shop.orders.insert_one({})", "database"),
        ("stock.get('x')", "database"),
        ("rows.table('orders').select('*').eq('id', 1).execute()", "database"),
        ("documents.collection('orders').document('1').get()", "database"),
        ("docker.from_env().containers.list()", "server"),
    ],
)
def test_a_call_that_waits_is_known_by_what_it_is_of(last_call, line, kind):
    found = blocking(last_call(line))

    assert found is not None
    assert found.kind == kind
    assert outside(last_call(line)) is (kind != "time")


@pytest.mark.parametrize(
    "line",
    [
        "requests.Session()",
        "openai.OpenAI()",
        "boto3.client('s3')",
        "objects.generate_presigned_url('get_object')",
        "stripe.Webhook.construct_event(b'', '', '')",
        "stripe.Customer.list_async()",
        "worker.control.inspect()",
        "worker.AsyncResult('1')",
        "worker.send_task('note')",
        "session.add(1)",
        "session.query(int).filter(True)",
        "session.query(int).first().update(1)",
        "stock.pipeline()",
        "rows.table('orders').select('*')",
        "run_in_threadpool(requests.get, 'https://x')",
        "asyncio.to_thread(time.sleep, 1)",
        "other.execute('select 1')",
        "redis.asyncio.Redis().get('x')",
        "open('/etc/hostname')",
        "requests_like.get('https://x')",
        "socket.gethostbyname(socket.gethostname())",
    ],
)
def test_a_call_that_does_not_wait_is_left_alone(last_call, line):
    assert blocking(last_call(line)) is None


@pytest.mark.parametrize("line", ["await other.commit()", "await httpx.AsyncClient().get('x')"])
def test_what_is_awaited_may_fail_and_stops_nothing(last_call, line):
    assert outside(last_call(line))
    assert blocking(last_call(line)) is None


def test_a_machine_knows_its_own_address_by_whatever_name_it_has(codebase):
    source = f"{HEAD}\nasync def f():\n    name = socket.gethostname()\n    FOUND"
    source = source.replace("FOUND", "return socket.gethostbyname(name)\n")

    _, asked = calls(codebase(source).module("app.py").functions[0])

    assert blocking(asked) is None


ROUTES = """
def send():
    web.post("https://x")

async def send_later():
    send()

@functools.lru_cache
def keys():
    return web.get("https://x")

async def dependency():
    time.sleep(1)

@router.get("/{way}")
async def f(d=Depends(dependency)):
    WAY

@router.get("/")
def g(d=Depends(dependency)):
    time.sleep(1)
"""


@pytest.mark.parametrize(
    ("way", "lines"),
    [
        ("send()", 1),
        ("await send_later()", 1),
        ("send_later()", 0),
        ("await asyncio.to_thread(send)", 0),
        ("await run_in_threadpool(lambda: send())", 0),
        ("keys()", 0),
        ("async def events():\n        send()\n        yield 1\n    return events()", 1),
        ("def work():\n        send()\n    return await asyncio.to_thread(work)", 0),
    ],
)
def test_what_stops_the_event_loop_is_followed_into_helpers(codebase, way, lines):
    module = codebase(HEAD + ROUTES.replace("WAY", way)).module("app.py")

    assert len(stalls(routes_in(module)[0].function)) == lines


def test_asynchronous_dependencies_run_on_the_loop_also_for_other_routes(codebase):
    module = codebase(HEAD + ROUTES.replace("WAY", "pass")).module("app.py")

    asynchronous, synchronous = routes_in(module)

    assert [one.name for one in on_loop(asynchronous)] == ["f", "dependency"]
    assert [one.name for one in on_loop(synchronous)] == ["dependency"]
