"""The floor that AWS's caps imply, and what its request buckets let through."""

import argparse

import pytest

from bench.floor import floor, of_service
from bench.outcome import OURS, THEIRS
from bench.report import most_one_by_one
from bench.shape import BUCKETS, Bucket, group_sizes, parse_size
from bench.storm import Run, grid


def test_full_calls_of_every_operation() -> None:
    fewest = floor([100] * 10)
    assert fewest["ec2:DescribeTags"] == 1_000 / 200
    assert fewest["autoscaling:DetachInstances"] == 10 * 100 / 20
    assert fewest["ssm:SendCommand"] == 10 * 100 / 50
    assert fewest["ssm:ListCommands"] == 1
    assert fewest["ssm:GetParameters"] == 1


def test_a_call_is_for_one_group_however_few_its_instances() -> None:
    few, more = floor([1] * 10), floor([21] * 10)
    assert few["autoscaling:DetachInstances"] == few["ssm:SendCommand"] == 10
    assert more["autoscaling:DetachInstances"] == 2 * few["autoscaling:DetachInstances"]
    assert more["ssm:SendCommand"] == few["ssm:SendCommand"]


def test_calls_for_each_instance_fall_as_the_storm_grows() -> None:
    each = [sum(floor(group_sizes(n)).values()) / n for n in (100, 1_000, 5_000)]
    assert each == sorted(each, reverse=True)


def test_the_calls_of_a_service() -> None:
    assert (
        of_service({"autoscaling:DetachInstances": 2, "autoscaling:X": 3, "ssm:SendCommand": 7}, "ssm") == 7
    )


def test_groups_are_as_even_as_it_gets() -> None:
    assert group_sizes(1_000) == [100] * 10
    assert sum(group_sizes(1_234)) == 1_234
    assert max(group_sizes(1_234)) - min(group_sizes(1_234)) == 1


def test_a_bucket_is_full_at_first() -> None:
    bucket = Bucket(100, 10)
    assert bucket.seconds_for(100) == 0
    assert bucket.seconds_for(350) == 25
    assert bucket.admits_within(25) == 350


def test_the_buckets_bound_the_one_by_one_way() -> None:
    assert most_one_by_one(Bucket(50, 5)) == (50 + 5 * 120) // 2
    # From here on it is EC2's bucket for DescribeInstances that runs dry first.
    assert most_one_by_one(Bucket(1_000, 100)) == 50 + 10 * 120


def test_a_bucket_as_an_option() -> None:
    assert [Bucket.parse(str(bucket)) for bucket in BUCKETS] == list(BUCKETS)


@pytest.mark.parametrize("text", ["", "50", "50/", "/5", "0/5", "50/0", "-5/5", "5.5/1", "50/5/5"])
def test_what_is_no_bucket_is_refused(text: str) -> None:
    with pytest.raises(argparse.ArgumentTypeError, match="SIZE/REFILL"):
        Bucket.parse(text)


@pytest.mark.parametrize("text", ["", "9", "-100", "1e3", "10001"])
def test_what_is_no_size_is_refused(text: str) -> None:
    with pytest.raises(argparse.ArgumentTypeError, match="from 10 to 10000"):
        parse_size(text)


def test_every_size_is_met_by_both_in_the_middle_bucket() -> None:
    runs = grid([100, 1_000, 5_000], BUCKETS, full=False)
    for size in (100, 1_000, 5_000):
        assert {Run(by, size, BUCKETS[1]) for by in (OURS, THEIRS)} <= set(runs)
    assert {Run(OURS, size, bucket) for size in (1_000, 5_000) for bucket in BUCKETS} <= set(runs)
    assert len(grid([100, 1_000, 5_000], BUCKETS, full=True)) == 2 * 3 * 3 > len(runs)


def test_one_size_is_met_in_every_bucket() -> None:
    assert len(grid([5_000], BUCKETS, full=False)) == 2 * 3
