"""How meters of several processes become one."""

import json

from roadworthy.observability.metric_families import SERIES, Buckets, Family, Snapshot, merge

PUT = (("method", "PUT"),)


def snapshot(name, kind, *values, target=None):
    family = Family(name, kind, points=dict(values))
    return Snapshot({name: family}, target or {})


def points(merged, name):
    return merged.families[name].points if name in merged.families else None


def test_counters_add_up_and_those_of_the_dead_stay():
    living = [snapshot("sold", "counter", (PUT, 2)), snapshot("sold", "counter", (PUT, 3), ((), 1))]

    merged = merge(living, [snapshot("sold", "counter", (PUT, 10))])

    assert points(merged, "sold") == {PUT: 15, (): 1}


def test_buckets_add_up_each_by_itself():
    one, other = Buckets((1.0,), (1, 2), 4.0), Buckets((1.0,), (10, 20), 40.0)

    merged = merge([snapshot("took", "histogram", ((), one))] * 2, [])
    merged = merge([merged], [snapshot("took", "histogram", ((), other))])

    assert points(merged, "took") == {(): Buckets((1.0,), (12, 24), 48.0)}


def test_buckets_of_another_version_are_not_mixed_in():
    one, other = Buckets((1.0,), (1, 2), 4.0), Buckets((5.0,), (10, 20), 40.0)

    merged = merge(
        [snapshot("took", "histogram", ((), one))], [snapshot("took", "histogram", ((), other))]
    )

    assert points(merged, "took") == {(): one}


def test_a_gauge_is_the_largest_and_none_of_the_dead():
    living = [snapshot("lag", "gauge", ((), 2)), snapshot("lag", "gauge", ((), 3))]

    merged = merge(living, [snapshot("lag", "gauge", ((), 9))])

    assert points(merged, "lag") == {(): 3}


def test_the_status_of_a_check_is_the_worst():
    name = "roadworthy_health_check_status"

    merged = merge([snapshot(name, "gauge", ((), 1.0)), snapshot(name, "gauge", ((), 0.0))])

    assert points(merged, name) == {(): 0.0}


def test_what_goes_up_and_down_adds_up_among_the_living():
    living = [snapshot("used", "up_down", ((), 2)), snapshot("used", "up_down", ((), 3))]

    merged = merge(living, [snapshot("used", "up_down", ((), 9))])

    assert points(merged, "used") == {(): 5}


def test_labels_do_not_grow_with_the_processes():
    living = [
        snapshot("hits", "counter", *(((("order", f"{of}-{n}"),), 1) for n in range(SERIES)))
        for of in range(3)
    ]

    found = points(merge(living), "hits")

    assert len(found) == SERIES + 1
    assert found[(("otel_metric_overflow", "true"),)] == 2 * SERIES


def test_of_who_is_measured_that_is_told_which_all_say():
    target = [{"service_name": "shop", "service_instance_id": str(n)} for n in range(2)]

    merged = merge([snapshot("a", "counter", ((), 1), target=one) for one in target])

    assert merged.target == {"service_name": "shop"}


def test_what_is_sent_to_another_process_arrives_as_it_was():
    took = Buckets((0.5, 1.0), (1, 2, 3), 4.5)
    sent = snapshot("took", "histogram", (PUT, took), ((), took), target={"service_name": "shop"})

    assert Snapshot.load(json.loads(json.dumps(sent.dump()))) == sent
