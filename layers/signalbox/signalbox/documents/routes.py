"""Which objects are documents, and what is done with them: the routes, declared in one place. Pure.

The declaration is JSON, a list in the order in which routes are tried; the first one that matches an object
has it, and an object that none matches is left alone:

    [{"name": "contracts", "bucket": "acme-contracts-*", "key": "*.{pdf,docx}", "pipeline": "index",
      "options": {"entities": true}}]
"""

import re
import string
from collections.abc import Iterator, Sequence
from typing import Any, Literal

import msgspec

from signalbox.documents.globs import ANY, STAR, Glob, UndecidedError, alphabet_of, literal, texts
from signalbox.documents.models import Options
from signalbox.errors import RejectedError

LONGEST_BUCKET = 63  # "General purpose bucket naming rules", S3 User Guide
LONGEST_KEY = 1_024  # bytes; "Naming Amazon S3 objects", S3 User Guide
MOST_BYTES = 400 * 2**20
"""Of a document: the converter's disk holds 1 GiB, and what is made of a scan may take 512 MiB of it."""
NAME = re.compile(r"[A-Za-z0-9_-]{1,64}")

type Pipeline = Literal["index", "ignore"]


class Route(msgspec.Struct, frozen=True, kw_only=True):
    """Objects of the buckets and keys that match, and what becomes of them."""

    bucket: Glob
    key: Glob
    pipeline: Pipeline
    options: Options

    @property
    def name(self) -> str:
        return self.options.route

    def matches(self, bucket: str, key: str) -> bool:
        return self.bucket.matches(bucket) and self.key.matches(key)


class Routes(msgspec.Struct, frozen=True):
    """All routes, in the order in which they are tried."""

    all: tuple[Route, ...]

    def find(self, bucket: str, key: str) -> Route | None:
        """The first that matches."""
        return next((route for route in self.all if route.matches(bucket, key)), None)

    def match(self, bucket: str, key: str) -> Options | None:
        """What is to be done with an object; None where it is to be left alone."""
        route = self.find(bucket, key)
        return route.options if route is not None and route.pipeline == "index" else None


def default_routes(bucket: str) -> Routes:
    """What holds where nothing is declared: everything in the stack's own bucket, without analysers."""
    everything = Glob.parse("*")
    options = Options(route="default")
    return Routes((Route(bucket=literal(bucket), key=everything, pipeline="index", options=options),))


def sparing(routes: Routes, bucket: str) -> Routes:
    """The same, but that none of them takes anything out of that bucket.

    For the one in which the domain keeps what it makes: whoever indexes that makes more of it, for ever.
    """
    everything, options = Glob.parse("*"), Options(route="work-bucket")
    spared = Route(bucket=literal(bucket), key=everything, pipeline="ignore", options=options)
    return Routes((spared, *routes.all))


class _Declared(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    name: str
    bucket: str
    pipeline: Pipeline
    key: str = "*"
    options: dict[str, Any] = {}


def parse_routes(text: str) -> Routes:
    """Reads a declaration.

    Raises:
        RejectedError: what is wrong, where, and what to write instead. ``unreadable`` (no JSON),
            ``malformed`` (a member is missing, unknown or of a wrong type), ``malformed-pattern``,
            ``bad-name``, ``duplicate-name``, ``bad-limit``, ``no-routes``.
    """
    try:
        declared = msgspec.json.decode(text, type=list[_Declared])
    except msgspec.ValidationError as error:
        what, _, where = str(error).partition(" - at ")
        raise RejectedError("malformed", where.strip("`") or "$", what) from error
    except (msgspec.DecodeError, UnicodeError, RecursionError) as error:
        raise RejectedError("unreadable", "$", f"the routes can't be read as JSON: {error}") from error
    if not declared:
        what = 'no routes: to take nothing in, write one of bucket "*" with the pipeline "ignore"'
        raise RejectedError("no-routes", "$", what)
    _check_names([each.name for each in declared])
    return Routes(tuple(_route(each, f"$[{number}]") for number, each in enumerate(declared)))


def _check_names(names: list[str]) -> None:
    for number, name in enumerate(names):
        where = f"$[{number}].name"
        if not NAME.fullmatch(name):
            what = f"{name!r} is no name: write 1 to 64 letters, digits, hyphens or underscores"
            raise RejectedError("bad-name", where, what)
        if name in names[:number]:
            raise RejectedError("duplicate-name", where, f"two routes are named {name!r}: rename one")


def _route(declared: _Declared, where: str) -> Route:
    bucket = _glob(declared.bucket, f"{where}.bucket")
    if strange := sorted(set(bucket.moves) - set(BUCKET_CHARACTERS)):
        what = f"no bucket has {strange[0]!r} in its name: write lower-case letters, digits, - and ."
        raise RejectedError("malformed-pattern", f"{where}.bucket", what)
    return Route(
        bucket=bucket,
        key=_glob(declared.key, f"{where}.key"),
        pipeline=declared.pipeline,
        options=_options(declared, f"{where}.options"),
    )


def _glob(text: str, where: str) -> Glob:
    try:
        return Glob.parse(text)
    except RejectedError as error:
        raise RejectedError(error.code, where, error.what) from error


def _options(declared: _Declared, where: str) -> Options:
    known = [name for name in Options.__struct_fields__ if name != "route"]
    for name in declared.options:
        if name not in known:
            what = f"there is no option {name!r}: the options are {', '.join(known)}"
            raise RejectedError("malformed", f"{where}.{name}", what)
    try:
        options = msgspec.convert({**declared.options, "route": declared.name}, Options)
    except msgspec.ValidationError as error:
        what, _, place = str(error).partition(" - at ")
        raise RejectedError("malformed", where + place.strip("`").removeprefix("$"), what) from error
    for name in ("maximum_bytes", "maximum_pages"):
        if getattr(options, name) < 1:
            raise RejectedError("bad-limit", f"{where}.{name}", "expected 1 or more")
    if options.maximum_bytes > MOST_BYTES:
        what = f"expected {MOST_BYTES:,} at the most: a converter has no room for more"
        raise RejectedError("bad-limit", f"{where}.maximum_bytes", what)
    return options


class Example(msgspec.Struct, frozen=True):
    """An object that shows what is said of a route."""

    bucket: str
    key: str

    def __str__(self) -> str:
        return f"s3://{self.bucket}/{self.key}"


class Finding(msgspec.Struct, frozen=True, kw_only=True):
    """What is to be known about a route.

    Attributes:
        kind: ``overlap``: it matches objects that an earlier one has, and gets others; ``unreachable``: the
            earlier ones take all that it matches; ``undecided``: the patterns are too involved to tell.
        route: its name.
        others: the earlier ones that it shares objects with.
        example: for an overlap, an object that it shares with the first of the others.
    """

    kind: Literal["overlap", "unreachable", "undecided"]
    route: str
    others: tuple[str, ...]
    example: Example | None = None


def findings(routes: Routes) -> list[Finding]:
    """How the routes stand in each other's way, in their order."""
    return [finding for number in range(1, len(routes.all)) for finding in _findings(routes, number)]


def _findings(routes: Routes, number: int) -> list[Finding]:
    route, earlier = routes.all[number], routes.all[:number]
    try:
        shared = {other.name: example for other in earlier if (example := _shared(other, route))}
        alone = reach(routes, number)
    except UndecidedError:
        names = tuple(other.name for other in earlier)
        return [Finding(kind="undecided", route=route.name, others=names)]
    if alone is None:
        return [Finding(kind="unreachable", route=route.name, others=tuple(shared))]
    return [
        Finding(kind="overlap", route=route.name, others=(other,), example=example)
        for other, example in shared.items()
    ]


def _shared(one: Route, other: Route) -> Example | None:
    """An object that both match."""
    bucket = next((text for text, matched in _buckets([one.bucket, other.bucket]) if len(matched) == 2), None)
    key = next((text for text, matched in _keys([one.key, other.key]) if len(matched) == 2), None)
    return Example(bucket, key) if bucket and key else None


def reach(routes: Routes, number: int) -> Example | None:
    """An object that the route of the number gets; None where the earlier ones take all that it matches.

    Exact: for each set of the earlier routes that a bucket of this one may belong to, whether their keys
    together leave one over.

    Raises:
        UndecidedError: the patterns are too involved.
    """
    candidates = [routes.all[number], *routes.all[:number]]
    rivals: dict[frozenset[int], str] = {}
    for bucket, matched in _buckets([route.bucket for route in candidates]):
        rivals.setdefault(matched, bucket)
    for matched, bucket in rivals.items():
        contenders = [candidates[each].key for each in sorted(matched)]
        for key, takers in _keys(contenders):
            if takers == {0}:
                return Example(bucket, key)
    return None


ALPHANUMERIC = string.ascii_lowercase + string.digits
BUCKET_CHARACTERS = ALPHANUMERIC + "-."
BUCKET_NAMES = Glob.of("any bucket", [[ALPHANUMERIC, ANY, STAR, ALPHANUMERIC]])


def meets(route: Route, buckets: Glob) -> bool:
    """Whether the route may get objects of a bucket that the pattern matches, earlier routes aside.

    Raises:
        UndecidedError: the patterns are too involved.
    """
    return any(len(matched) == 2 for _, matched in _buckets([route.bucket, buckets]))


def _buckets(globs: Sequence[Glob]) -> Iterator[tuple[str, frozenset[int]]]:
    """Names that buckets may have, which the first pattern matches, and the numbers of those that do."""
    for text, matched in texts([*globs, BUCKET_NAMES], BUCKET_CHARACTERS, most=LONGEST_BUCKET):
        if len(globs) in matched:
            yield text, matched - {len(globs)}


def _keys(globs: Sequence[Glob]) -> Iterator[tuple[str, frozenset[int]]]:
    return texts(globs, alphabet_of(globs), most=LONGEST_KEY)
