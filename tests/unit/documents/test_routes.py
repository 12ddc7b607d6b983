"""What a declaration of routes may say, which object goes where, and what stands in whose way."""

import json
from itertools import product
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from signalbox.documents import globs
from signalbox.documents.models import Options
from signalbox.documents.routes import Finding, Routes, default_routes, findings, parse_routes, reach
from signalbox.errors import RejectedError


def declared(*routes: dict[str, Any]) -> Routes:
    """Routes named r0, r1, …, of every bucket and the pipeline index where nothing else is said."""
    full = [{"name": f"r{n}", "bucket": "*", "pipeline": "index", **each} for n, each in enumerate(routes)]
    return parse_routes(json.dumps(full))


def test_the_first_route_that_matches_has_the_object() -> None:
    routes = declared(
        {"name": "drafts", "key": "*/drafts/*", "pipeline": "ignore"},
        {"name": "scans", "bucket": "acme-*", "key": "*.{pdf,PDF}", "options": {"ocr": True}},
        {"name": "rest", "bucket": "acme-*"},
    )
    assert routes.match("acme-1", "in/drafts/a.pdf") is None
    assert routes.match("acme-1", "in/a.PDF") == Options(route="scans", ocr=True)
    assert routes.match("acme-1", "in/a.docx") == Options(route="rest")
    assert routes.match("other", "in/a.pdf") is None
    found = routes.find("acme-1", "in/drafts/a.pdf")
    assert found is not None
    assert found.name == "drafts"
    assert routes.find("other", "in/a.pdf") is None


def test_all_options_are_taken_over() -> None:
    routes = declared(
        {"options": {"entities": True, "labels": True, "ocr": True, "maximum_bytes": 1, "maximum_pages": 2}}
    )
    expected = Options(route="r0", entities=True, labels=True, ocr=True, maximum_bytes=1, maximum_pages=2)
    assert routes.match("any", "a") == expected


def test_without_a_declaration_everything_in_the_stacks_own_bucket_is_indexed_without_analysers() -> None:
    routes = default_routes("signalbox-documents")
    assert routes.match("signalbox-documents", "in/a b+c/😀.pdf") == Options(route="default")
    assert routes.match("signalbox-documents-2", "a") is None


ROUTE = {"name": "a", "bucket": "*", "pipeline": "index"}
DEEP = '[{"name": "a", "bucket": "*", "pipeline": "index", "options": {"ocr": ' + "[" * 100_000


@pytest.mark.parametrize(
    ("text", "code", "where", "advice"),
    [
        ("", "unreadable", "$", "JSON"),
        ("[{]", "unreadable", "$", "JSON"),
        ("{}", "malformed", "$", "array"),
        ("[]", "no-routes", "$", '"ignore"'),
        ("[3]", "malformed", "$[0]", "object"),
        ([{**ROUTE, "keys": "*"}], "malformed", "$[0]", "`keys`"),
        ([{"name": "a", "pipeline": "index"}], "malformed", "$[0]", "`bucket`"),
        ([{"name": "a", "bucket": "*"}], "malformed", "$[0]", "`pipeline`"),
        ([ROUTE, {**ROUTE, "name": 7}], "malformed", "$[1].name", "str"),
        ([{**ROUTE, "pipeline": "convert"}], "malformed", "$[0].pipeline", "convert"),
        ([{**ROUTE, "name": ""}], "bad-name", "$[0].name", "1 to 64"),
        ([{**ROUTE, "name": "a b"}], "bad-name", "$[0].name", "1 to 64"),
        ([{**ROUTE, "name": "a" * 65}], "bad-name", "$[0].name", "1 to 64"),
        ([{**ROUTE, "name": "a\n"}], "bad-name", "$[0].name", "1 to 64"),
        ([ROUTE, {**ROUTE, "name": "b"}, ROUTE], "duplicate-name", "$[2].name", "rename"),
        ([{**ROUTE, "bucket": ""}], "malformed-pattern", "$[0].bucket", '"*"'),
        ([{**ROUTE, "bucket": "Acme-*"}], "malformed-pattern", "$[0].bucket", "lower-case"),
        ([{**ROUTE, "bucket": "acme/in"}], "malformed-pattern", "$[0].bucket", "'/'"),
        ([{**ROUTE, "key": "{a"}], "malformed-pattern", "$[0].key", "not closed"),
        ([{**ROUTE, "options": {"entitys": True}}], "malformed", "$[0].options.entitys", "entities, labels"),
        ([{**ROUTE, "options": {"route": "b"}}], "malformed", "$[0].options.route", "entities, labels"),
        ([{**ROUTE, "options": {"ocr": "yes"}}], "malformed", "$[0].options.ocr", "bool"),
        ([{**ROUTE, "options": {"ocr": 1}}], "malformed", "$[0].options.ocr", "bool"),
        ([{**ROUTE, "options": {"maximum_pages": 0}}], "bad-limit", "$[0].options.maximum_pages", "1 or"),
        ([{**ROUTE, "options": {"maximum_bytes": -1}}], "bad-limit", "$[0].options.maximum_bytes", "1 or"),
        (
            [{**ROUTE, "options": {"maximum_bytes": 2**30}}],
            "bad-limit",
            "$[0].options.maximum_bytes",
            "no room",
        ),
        (DEEP, "unreadable", "$", "JSON"),
    ],
)
def test_a_bad_declaration_says_where_and_what_to_write(
    text: Any, code: str, where: str, advice: str
) -> None:
    with pytest.raises(RejectedError) as refused:
        parse_routes(text if isinstance(text, str) else json.dumps(text))
    assert (refused.value.code, refused.value.where) == (code, where)
    assert advice in refused.value.what


def kinds(routes: Routes) -> list[tuple[str, str, tuple[str, ...]]]:
    return [(each.kind, each.route, each.others) for each in findings(routes)]


@pytest.mark.parametrize(
    ("earlier", "later", "found"),
    [
        ({"key": "*.pdf"}, {"key": "*.docx"}, []),
        ({"key": "*.pdf"}, {"key": "*.PDF"}, []),
        ({"bucket": "acme-*", "key": "*"}, {"bucket": "other-*", "key": "*"}, []),
        ({"key": "in/*"}, {"key": "*.pdf"}, [("overlap", "r1", ("r0",))]),
        ({"key": "*.pdf"}, {"key": "in/*.pdf"}, [("unreachable", "r1", ("r0",))]),
        ({"key": "*"}, {"key": "?*"}, [("unreachable", "r1", ("r0",))]),
        # No object has an empty key; no bucket's name ends in a hyphen or is shorter than three.
        ({"key": "?*"}, {"key": "*"}, [("unreachable", "r1", ("r0",))]),
        ({"bucket": "acme-?*"}, {"bucket": "acme-*"}, [("unreachable", "r1", ("r0",))]),
        ({"bucket": "a?*"}, {"bucket": "a*"}, [("unreachable", "r1", ("r0",))]),
        ({"bucket": "a??*"}, {"bucket": "a*"}, [("unreachable", "r1", ("r0",))]),
        ({"bucket": "a???*"}, {"bucket": "a*"}, [("overlap", "r1", ("r0",))]),
        ({"bucket": "*" + "?" * 63}, {"bucket": "*"}, [("overlap", "r1", ("r0",))]),
        ({"bucket": "{a,b}*"}, {"bucket": "b*"}, [("unreachable", "r1", ("r0",))]),
        # What a pattern matches that no bucket can be named: nothing can reach it.
        ({"bucket": "abc"}, {"bucket": "-a-"}, [("unreachable", "r1", ())]),
        ({"bucket": "abc"}, {"bucket": "a" * 64}, [("unreachable", "r1", ())]),
    ],
)
def test_two_routes(
    earlier: dict[str, str], later: dict[str, str], found: list[tuple[str, str, tuple[str, ...]]]
) -> None:
    assert kinds(declared(earlier, later)) == found


def test_several_routes_together_leave_nothing_for_a_later_one() -> None:
    routes = declared(
        {"bucket": "acme-*", "key": "in/*"},
        {"bucket": "*", "key": "*.pdf"},
        {"bucket": "acme-*", "key": "*.{doc,docx}"},
        {"bucket": "acme-{1,2}", "key": "*.{pdf,docx}"},
    )
    assert ("unreachable", "r3", ("r0", "r1", "r2")) in kinds(routes)
    assert reach(routes, 3) is None


def test_what_one_bucket_leaves_over_is_enough() -> None:
    routes = declared(
        {"bucket": "acme-*", "key": "*.pdf"},
        {"bucket": "*-1", "key": "*.docx"},
        {"bucket": "acme-{1,2}", "key": "*.{pdf,docx}"},
    )
    left = reach(routes, 2)
    assert left is not None
    assert str(left) == "s3://acme-2/.docx"


def test_an_overlap_is_shown_by_an_object() -> None:
    [found] = findings(declared({"bucket": "acme-*", "key": "in/*"}, {"bucket": "*-eu", "key": "*.pdf"}))
    assert found.example is not None
    assert str(found.example) == "s3://acme-eu/in/.pdf"


def test_what_is_too_involved_is_said_to_be(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(globs, "MAXIMUM_STATES", 1_000)
    routes = declared({"key": "*a" + "?" * 20}, {"key": "*b" + "?" * 20})
    assert findings(routes) == [Finding(kind="undecided", route="r1", others=("r0",))]


keys = st.text("ab*?", min_size=1, max_size=3) | st.sampled_from(["{a,b*}", "{*a,?}", "*{a,b}", "a{,b}*"])
buckets = st.sampled_from(["*", "a*", "*b", "ab*", "?b?", "a?b*", "{a,b}?a", "*a*", "aaa", "*-*"])
declarations = st.lists(st.fixed_dictionaries({"bucket": buckets, "key": keys}), min_size=2, max_size=4)

OBJECTS = [
    (bucket, key)
    for bucket in ("".join(each) for size in (3, 4) for each in product("ab-", repeat=size))
    if not bucket.startswith("-") and not bucket.endswith("-")
    for key in ("".join(each) for size in (1, 2, 3) for each in product("abz", repeat=size))
]


@given(declarations)
def test_unreachable_is_what_no_object_reaches(written: list[dict[str, str]]) -> None:
    routes = declared(*written)
    number = len(written) - 1
    last = routes.all[number]
    left = reach(routes, number)
    if left is None:
        assert all(routes.find(*each) is not last for each in OBJECTS)
    else:
        assert routes.find(left.bucket, left.key) is last
    told = {each.route: each for each in findings(routes) if each.kind == "unreachable"}
    assert (last.name in told) == (left is None)


@given(declarations)
def test_an_overlap_is_an_object_that_both_match(written: list[dict[str, str]]) -> None:
    one, other = written[0], written[1]
    found = findings(declared(one, other))
    routes = declared(one, other).all
    shared = [each for each in OBJECTS if all(route.matches(*each) for route in routes)]
    named = any(each.others for each in found)
    assert named or not shared
    for example in (each.example for each in found if each.kind == "overlap"):
        assert example is not None
        assert all(route.matches(example.bucket, example.key) for route in routes)
