"""Which target groups an instance is behind, as far as its group and a tag say."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from signalbox.spot.commands import GroupCommands
from signalbox.spot.configuration import TARGETS_TAG, Reason
from signalbox.spot.estate import Group, Instance, Snapshot, TargetGroup
from signalbox.spot.target_groups import NETWORK_PROTOCOLS, behind, to_look_up
from tests.unit.spot.doubles import instance_id, target_group

WEB, API = (TargetGroup(arn=target_group(name), name=name) for name in ("web", "api"))
FLOWS = TargetGroup(arn=target_group("flows"), name="flows", protocol="TCP")
FOUND = {key: each for each in (WEB, API, FLOWS) for key in (each.name, each.arn)}


def instance(said: str | None = None, group: str = "") -> Instance:
    tags = {} if said is None else {TARGETS_TAG: said}
    return Instance(id=instance_id(1), state="running", tags=tags, group=group)


def in_group(*arns: str, said: str | None = None) -> Group:
    return Group(name="web", target_groups=arns, tags={} if said is None else {TARGETS_TAG: said})


@pytest.mark.parametrize("said", ["web api", f"web  {API.arn}", f"\t{WEB.arn} api web "])
def test_the_tag_names_them_by_name_or_arn_each_once(said: str) -> None:
    found = behind(instance(said), None, FOUND)
    assert (found.arns, found.network, found.reasons) == ((WEB.arn, API.arn), (), ())


def test_what_the_tag_names_comes_on_top_of_the_groups_own() -> None:
    found = behind(instance("api", "web"), in_group(WEB.arn), FOUND)
    assert found.arns == (WEB.arn, API.arn)


@pytest.mark.parametrize(
    ("own", "groups", "arns"),
    [("api", "web", (API.arn,)), (None, "web", (WEB.arn,)), (" ", "web", (WEB.arn,)), (None, None, ())],
)
def test_the_instances_tag_goes_before_its_groups(
    own: str | None, groups: str | None, arns: tuple[str, ...]
) -> None:
    assert behind(instance(own, "web"), in_group(said=groups), FOUND).arns == arns


@pytest.mark.parametrize(
    ("said", "named", "why"),
    [
        ("web,api", "'web,api'", "neither"),
        ("-web", "'-web'", "neither"),
        ("x" * 33, "'" + "x" * 33 + "'", "neither"),
        ("arn:aws:s3:::bucket", "'arn:aws:s3:::bucket'", "neither"),
        ("gone", "'gone'", "does not know"),
        (target_group("gone"), "/gone/", "does not know"),
        ("addresses", "'addresses'", "by ip"),
    ],
)
def test_a_name_that_makes_no_sense_is_told_with_what_is_allowed_and_left_out(
    said: str, named: str, why: str
) -> None:
    addresses = TargetGroup(arn=target_group("addresses"), name="addresses", target_type="ip")
    found = behind(instance(f"web {said}"), None, FOUND | {"addresses": addresses})
    assert found.arns == (WEB.arn,)
    [reason] = found.reasons
    assert reason.code == "target-groups-invalid"
    assert all(
        part in reason.text for part in (TARGETS_TAG, "the instance", "names or ARNs", "instance", named, why)
    )


def test_the_place_of_a_bad_name_may_be_the_group() -> None:
    [reason] = behind(instance(group="web"), in_group(said="gone"), FOUND).reasons
    assert "the group web" in reason.text


@pytest.mark.parametrize("protocol", sorted(NETWORK_PROTOCOLS))
def test_flows_are_passed_on_by_network_load_balancers(protocol: str) -> None:
    each = TargetGroup(arn=WEB.arn, name="web", protocol=protocol)
    assert behind(instance("web"), None, {"web": each}).network == (each,)
    assert behind(instance(group="web"), in_group(WEB.arn), {WEB.arn: each}).network == (each,)


@pytest.mark.parametrize("protocol", ["HTTP", "HTTPS", "GENEVE", ""])
def test_anything_else_is_not(protocol: str) -> None:
    each = TargetGroup(arn=WEB.arn, name="web", protocol=protocol)
    assert behind(instance("web"), None, {"web": each}).network == ()


class TestLookingUp:
    FAILING = GroupCommands(fail_health_check=("touch /run/unhealthy",))
    PLAIN = GroupCommands(shutdown=("sync",))

    def looked_up(
        self, each: Instance, group: Group | None = None, commands: GroupCommands | Reason | None = None
    ) -> set[str]:
        snapshot = Snapshot({each.id: each}, {group.name: group} if group else {})
        return to_look_up(snapshot, {"web": commands} if commands else {})

    def test_nothing_where_neither_tag_nor_health_check_asks_for_it(self) -> None:
        assert self.looked_up(instance(group="web"), in_group(WEB.arn), self.PLAIN) == set()
        assert self.looked_up(instance(group="web"), in_group(WEB.arn), Reason("no-commands", "")) == set()
        assert self.looked_up(instance()) == set()

    def test_all_that_the_tag_names_but_what_no_target_group_can_be_called(self) -> None:
        assert self.looked_up(instance(f"web {API.arn} web,api")) == {"web", API.arn}

    def test_those_of_a_group_whose_commands_fail_a_health_check(self) -> None:
        found = self.looked_up(instance(group="web"), in_group(WEB.arn, FLOWS.arn), self.FAILING)
        assert found == {WEB.arn, FLOWS.arn}

    def test_commands_that_a_tag_names_count_too(self) -> None:
        tagged = Instance(
            id=instance_id(1), state="running", tags={"signalbox:commands": "web"}, group="shop"
        )
        group = Group(name="shop", target_groups=(WEB.arn,))
        assert self.looked_up(tagged, group, self.FAILING) == {WEB.arn}


@given(st.text())
def test_any_value_of_the_tag_is_either_looked_up_or_told(said: str) -> None:
    each = instance(said)
    wanted = to_look_up(Snapshot({each.id: each}, {}), {})
    found = {name: TargetGroup(arn=target_group(f"n{i}"), name=name) for i, name in enumerate(sorted(wanted))}
    answer = behind(each, None, found)
    assert len(answer.arns) == len(wanted)
    assert len(answer.arns) + len({reason.text for reason in answer.reasons}) == len(set(said.split()))
