"""Who says how an instance is treated."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from signalbox.spot.configuration import MODE_TAG, MODES, Mode, mode_of

tags = st.sampled_from(MODES).map(lambda mode: {MODE_TAG: mode}) | st.just({"Name": "web-1"})


@pytest.mark.parametrize(
    ("instance", "group", "default", "mode", "code"),
    [
        ("act", "ignore", "observe", "act", "mode-by-tag"),
        ("ignore", "act", "act", "ignore", "mode-by-tag"),
        ("observe", "act", "act", "observe", "mode-by-tag"),
        (None, "act", "observe", "act", "mode-by-tag"),
        (None, "ignore", "act", "ignore", "mode-by-tag"),
        (None, None, "observe", "observe", "mode-by-default"),
        (None, None, "act", "act", "mode-by-default"),
    ],
)
def test_the_instance_is_asked_first_then_the_group_then_the_stack(
    instance: str | None, group: str | None, default: Mode, mode: Mode, code: str
) -> None:
    found, reasons = mode_of(
        {MODE_TAG: instance} if instance else {},
        "web",
        {MODE_TAG: group} if group else {},
        default,
        dry_run=False,
    )
    assert (found, [reason.code for reason in reasons]) == (mode, [code])


def test_the_reason_names_who_said_so() -> None:
    _, (by_instance,) = mode_of({MODE_TAG: "act"}, "web", {MODE_TAG: "ignore"}, "observe", dry_run=False)
    _, (by_group,) = mode_of({}, "web", {MODE_TAG: "ignore"}, "observe", dry_run=False)
    _, (by_default,) = mode_of({}, None, {}, "observe", dry_run=False)
    assert "the instance" in by_instance.text
    assert "the group web" in by_group.text
    assert "SpotDefaultMode" in by_default.text
    assert str(by_group) == f"mode-by-tag: {by_group.text}"


@pytest.mark.parametrize("value", ["", "Act", "act ", "yes", "true"])
@pytest.mark.parametrize("place", ["instance", "group"])
def test_a_value_that_is_no_mode_is_observed_and_told_the_modes(value: str, place: str) -> None:
    tags = {MODE_TAG: value}
    on_instance, on_group = (tags, {MODE_TAG: "act"}) if place == "instance" else ({}, tags)
    mode, (reason,) = mode_of(on_instance, "web", on_group, "act", dry_run=False)
    assert (mode, reason.code) == ("observe", "mode-invalid")
    assert all(part in reason.text for part in (repr(value), place, *MODES))


def test_a_groups_value_that_nobody_hears_is_told_all_the_same() -> None:
    mode, (heard, unheard) = mode_of({MODE_TAG: "act"}, "web", {MODE_TAG: "yes"}, "observe", dry_run=False)
    assert (mode, heard.code, unheard.code) == ("act", "mode-by-tag", "mode-invalid")
    assert all(part in unheard.text for part in ("'yes'", "the group web", *MODES))


def test_two_values_that_make_no_sense_are_both_told() -> None:
    mode, reasons = mode_of({MODE_TAG: "on"}, "web", {MODE_TAG: "yes"}, "act", dry_run=True)
    assert (mode, [reason.code for reason in reasons]) == ("observe", ["mode-invalid", "mode-invalid"])


def test_a_dry_run_observes_where_it_would_act() -> None:
    mode, reasons = mode_of({MODE_TAG: "act"}, "web", {}, "observe", dry_run=True)
    assert (mode, [reason.code for reason in reasons]) == ("observe", ["mode-by-tag", "dry-run"])


@given(tags, tags, st.sampled_from(MODES))
def test_a_dry_run_changes_nothing_else_and_never_acts(
    instance: dict[str, str], group: dict[str, str], default: Mode
) -> None:
    real, _ = mode_of(instance, "web", group, default, dry_run=False)
    dry, reasons = mode_of(instance, "web", group, default, dry_run=True)
    assert dry == ("observe" if real == "act" else real)
    assert ("dry-run" in {reason.code for reason in reasons}) == (real == "act")
