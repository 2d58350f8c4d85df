"""Rows E10 and B2: what fails once the client has its answer."""

import pytest

from support.http import RawClient


@pytest.mark.parametrize("http", ["httptools", "h11"])
@pytest.mark.parametrize("target", ["/late-task", "/late-dependency"])
def test_a_late_failure_does_not_cut_the_next_request(serve, contract_app, http, target):
    server = serve(contract_app, args=["--http", http])
    with RawClient(server.port) as client:
        client.send("GET", target)
        client.send("GET", "/slow")
        replies = [client.receive(), client.receive()]

    assert [reply.status for reply in replies] == [200, 200]


def test_without_install_it_does(serve, contract_app):
    """What the test above is for: the victim's request is done, and its answer lost."""
    server = serve(contract_app, env={"INSTALL": "off"})
    with RawClient(server.port) as client:
        client.send("GET", "/late-dependency")
        client.send("GET", "/slow")
        assert client.receive().status == 200
        with pytest.raises(ConnectionError):
            client.receive()


def test_a_late_failure_is_logged_under_its_request(server, client):
    client.request("GET", "/late-task", headers={"X-Request-ID": "late-1"})
    client.request("GET", "/slow")

    found = server.wait_for_log(r"\[late-1\] .*\n")
    assert "failed" in found[0]
    assert "late secret" in server.log_text()


def test_an_event_stream_that_fails_ends_with_an_error_event(client):
    reply = client.request("GET", "/stream?media_type=text/event-stream")

    assert reply.complete
    first, event, data, *_ = reply.text.splitlines()
    assert (first, event) == ("first", "event: error")
    assert data.startswith('data: {"error":{"code":"INTERNAL_ERROR"')
    assert "secret" not in reply.text


def test_json_lines_that_fail_end_with_an_error_line(client):
    reply = client.request("GET", "/stream?media_type=application/jsonl")

    assert reply.complete
    assert reply.text.splitlines()[1].startswith('{"error":{"code":"INTERNAL_ERROR"')


def test_another_stream_that_fails_is_cut_so_that_nobody_takes_it_for_whole(client):
    reply = client.request("GET", "/stream?media_type=text/csv")

    assert (reply.status, reply.body, reply.complete) == (200, b"first\n", False)
