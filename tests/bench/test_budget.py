"""What exceeds the budget of a cold start is named, with what is new in it."""

from pathlib import Path

from bench.budget import NEVER, STAND_INS, Budget, Load, complaints

BEFORE = Load(imported=2, files={"json": None, "msgspec": None, "msgspec._core": None})
ALLOWED = Budget.of({"Plan": BEFORE})


def loading(**files: str | None) -> dict[str, Load]:
    return {"Plan": Load(imported=BEFORE.imported, files={**BEFORE.files, **files})}


def test_what_is_allowed_is_no_complaint() -> None:
    assert not list(complaints({"Plan": BEFORE}, ALLOWED))
    assert not list(complaints({"Plan": Load(imported=1, files={"json": None})}, ALLOWED))


def test_what_is_new_is_named_the_largest_first(tmp_path: Path) -> None:
    large, small = tmp_path / "large.py", tmp_path / "small.py"
    large.write_bytes(b"#" * 9_000)
    small.write_bytes(b"#" * 1_000)
    (complaint,) = complaints(loading(small=str(small), large=str(large)), ALLOWED)
    assert "Plan loads 2 modules at import, 5 once wired; allowed are 2 and 3" in complaint
    assert "New: large (1 of 1, 9 kB in all), small (1 of 1, 1 kB in all)." in complaint


def test_a_renewed_budget_has_room_for_a_few_modules_of_our_own() -> None:
    one_more = loading(signalbox=None)
    assert not list(complaints(one_more, Budget.of({"Plan": BEFORE}, room=1)))
    assert list(complaints(one_more, ALLOWED))


def test_importing_what_was_loaded_at_wiring_is_counted() -> None:
    (complaint,) = complaints({"Plan": Load(imported=3, files=BEFORE.files)}, ALLOWED)
    assert "3 modules at import, 3 once wired" in complaint
    assert "None of it is new" in complaint


def test_what_no_function_may_load_is_refused_whatever_the_budget() -> None:
    found = loading(pydantic="/site-packages/pydantic/__init__.py")
    (complaint,) = complaints(found, Budget.of(found))
    assert complaint == f"Plan loads pydantic, which no function may: {NEVER['pydantic']}"


def test_a_stand_in_is_not_what_it_stands_in_for() -> None:
    found = loading(aiohttp=str(STAND_INS / "aiohttp.py"))
    assert not list(complaints(found, Budget.of(found)))


def test_a_function_without_a_budget_and_a_budget_without_a_function_are_told() -> None:
    found = list(complaints({"Detach": BEFORE}, ALLOWED))
    assert found == [
        "Detach has no budget: renew it",
        "Plan has a budget and is no function of the template any more: renew it",
    ]


def test_a_budget_can_be_written_and_read() -> None:
    assert Budget.parse(ALLOWED.text()) == ALLOWED
