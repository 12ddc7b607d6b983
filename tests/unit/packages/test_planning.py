import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from signalbox.packages.coordinates import PackageVersion
from signalbox.packages.dependents import Index, Kind
from signalbox.packages.planning import Decision, Plan, Reach, plan
from tests.unit.packages.graphs_of_packages import index, key


def published(version: str = "1.1.0", format_: str = "npm") -> PackageVersion:
    return PackageVersion.parse_key(f"{key('core', format_)}/{version}")


def waves(made: Plan) -> list[list[str]]:
    return [[package.rpartition("/")[2] for package in wave] for wave in made.waves]


def decision(made: Plan, name: str) -> Decision:
    return next(each for each in made.decisions if each.package == key(name))


def codes(made: Plan) -> list[str]:
    return [each.code for each in made.findings]


def reasons(made: Plan, name: str) -> list[str]:
    return [each.code for each in decision(made, name).reasons]


def test_a_diamond_is_two_waves() -> None:
    made = plan(
        index({"core": [], "left": ["core"], "right": ["core"], "app": ["left", "right"]}), published()
    )
    assert waves(made) == [["left", "right"], ["app"]]
    assert decision(made, "app").after == ("npm//left", "npm//right")
    assert decision(made, "app").wave == 1
    assert reasons(made, "app") == ["admitted", "admitted"]
    assert made.published == "npm//core/1.1.0"
    assert made.findings == ()


def test_a_package_waits_for_the_last_of_those_it_depends_on() -> None:
    made = plan(index({"core": [], "a": ["core"], "b": ["a"], "c": ["b", "core"]}), published())
    assert waves(made) == [["a"], ["b"], ["c"]]


def test_who_does_not_admit_the_version_is_left_alone_and_told_why() -> None:
    made = plan(index({"core": [], "old": ["core ~1.0.0"], "app": ["old"], "new": ["core"]}), published())
    assert waves(made) == [["new"]]
    assert decision(made, "old").wave is None
    assert decision(made, "old").reasons[0].text == "npm//core ~1.0.0 (runtime) does not admit 1.1.0"
    assert [each.package for each in made.decisions] == ["npm//new", "npm//old"]  # app was not looked at


def test_who_does_not_admit_a_rebuilt_version_is_left_alone() -> None:
    packages = index({"core": [], "ui": ["core"], "app": ["ui ^2.0.0"]}, {"ui": "1.0.0"})
    assert waves(plan(packages, published())) == [["ui"]]


def test_tests_are_run_again_but_nothing_follows_from_them() -> None:
    made = plan(index({"core": [], "tested": ["core * test"], "app": ["tested"]}), published())
    assert waves(made) == [["tested"]]


def test_what_is_rebuilt_anyway_is_waited_for_by_its_testers() -> None:
    packages = index({"core": [], "ui": ["core"], "app": ["core", "ui * dev"]})
    assert waves(plan(packages, published())) == [["ui"], ["app"]]


def test_kinds_that_the_policy_leaves_out() -> None:
    packages = index({"core": [], "app": ["core * dev"]})
    made = plan(packages, published(), Reach(kinds=frozenset({Kind.RUNTIME})))
    assert made.waves == ()
    assert reasons(made, "app") == ["kind-left-out"]


def test_a_cycle_is_named_and_left_out_with_all_behind_it() -> None:
    packages = index({"core": [], "a": ["core", "b"], "b": ["a"], "behind": ["b"], "beside": ["core"]})
    made = plan(packages, published())
    assert waves(made) == [["beside"]]
    assert [(each.code, each.subject) for each in made.findings] == [("cycle", "npm//a")]
    assert made.findings[0].text.startswith("npm//a, npm//b depend on one another")
    assert reasons(made, "a")[-1] == "in-cycle"
    assert reasons(made, "behind")[-1] == "behind-cycle"


def test_a_cycle_of_tests_only_loses_its_order() -> None:
    packages = index({"core": [], "a": ["core", "b * dev"], "b": ["core", "a * test"]})
    made = plan(packages, published())
    assert waves(made) == [["a", "b"]]
    assert codes(made) == ["cycle-in-tests"]


def test_of_a_cycle_through_a_test_the_firm_half_stays_in_order() -> None:
    packages = index({"core": [], "a": ["core", "b * dev"], "b": ["core", "a"]})
    made = plan(packages, published())
    assert waves(made) == [["a"], ["b"]]
    assert codes(made) == ["cycle-in-tests"]


def test_other_tests_of_its_members_stay_in_order() -> None:
    packages = index(
        {"core": [], "a": ["core", "b * dev", "tool * dev"], "b": ["core", "a"], "tool": ["core"]}
    )
    assert waves(plan(packages, published())) == [["tool"], ["a"], ["b"]]


def test_a_package_that_depends_on_itself_is_a_cycle() -> None:
    made = plan(index({"core": [], "a": ["core", "a"]}), published())
    assert made.waves == ()
    assert codes(made) == ["cycle"]


def test_a_cycle_through_the_published_package_is_only_told() -> None:
    made = plan(index({"core": ["app"], "app": ["ui"], "ui": ["core"]}), published())
    assert waves(made) == [["ui"], ["app"]]
    assert codes(made) == ["cycle-with-published"]
    assert made.findings[0].text == "npm//app, npm//core, npm//ui depend on one another"


def test_a_range_that_nobody_can_read_stops_nothing_but_its_package() -> None:
    made = plan(index({"core": [], "odd": ["core latest"], "app": ["core"]}), published())
    assert waves(made) == [["app"]]
    assert [(each.code, each.subject) for each in made.findings] == [("unparsable-range", "npm//odd")]
    assert reasons(made, "odd") == ["unparsable-range"]


def test_a_version_that_nobody_can_read() -> None:
    packages = index({"core": [], "ui": ["core"], "app": ["ui"]}, {"ui": "one"})
    made = plan(packages, published())
    assert waves(made) == [["ui"]]
    assert [(each.code, each.subject) for each in made.findings] == [("unparsable-version", "npm//ui")]


def test_a_published_version_that_nobody_can_read_builds_nothing() -> None:
    made = plan(index({"core": [], "app": ["core"], "ui": ["core"]}), published("one"))
    assert made.waves == ()
    assert codes(made) == ["unparsable-version"]


def test_a_package_that_the_index_has_not_seen() -> None:
    made = plan(index({"app": ["core"]}), published())
    assert waves(made) == [["app"]]
    assert codes(made) == ["unknown-package"]


def test_nobody_depends_on_it() -> None:
    made = plan(index({"core": [], "app": []}), published())
    assert made == Plan(published="npm//core/1.1.0", waves=(), decisions=())


def test_too_many_are_not_built_at_all() -> None:
    packages = index({"core": []} | {f"p{n}": ["core"] for n in range(11)})
    assert len(plan(packages, published(), Reach(most=11)).waves[0]) == 11
    made = plan(packages, published(), Reach(most=10))
    assert made.waves == ()
    assert codes(made) == ["too-many-affected"]
    assert reasons(made, "p3") == ["admitted", "too-many-affected"]
    assert decision(made, "p3").reasons[1].text.startswith("11 packages are affected")


@pytest.mark.parametrize(
    ("recommended", "code"), [("1.0", "admitted"), ("1.1", "admitted"), ("2.0", "recommends-higher")]
)
def test_a_recommended_version_of_mavens(recommended: str, code: str) -> None:
    made = plan(
        index({"core": [], "app": [f"core {recommended}"]}, format_="maven"), published(format_="maven")
    )
    assert [each.code for each in made.decisions[0].reasons] == [code]


def test_a_plan_can_be_kept() -> None:
    made = plan(index({"core": [], "a": ["core", "b"], "b": ["a"], "c": ["core"]}), published())
    assert msgspec.json.decode(msgspec.json.encode(made), type=Plan) == made


# What is admitted, written out: the brute-force answer shares no rule with the planner.
ADMITTED = {
    "^1.0.0": {"1.0.0", "1.2.0"},
    "^2.0.0": {"2.0.0"},
    "*": {"1.0.0", "1.2.0", "2.0.0"},
    "<1.1.0": {"1.0.0"},
    "latest": set(),
}
NAMES = ["core", "a", "b", "c", "d", "e", "f", "g"]
DEPENDENCIES = st.builds(
    "{} {} {}".format, st.sampled_from(NAMES), st.sampled_from(sorted(ADMITTED)), st.sampled_from(list(Kind))
)
INDEXES = st.builds(
    index,
    st.fixed_dictionaries({name: st.lists(DEPENDENCIES, max_size=4) for name in NAMES}),
    st.fixed_dictionaries({name: st.sampled_from(["1.0.0", "1.2.0", "2.0.0"]) for name in NAMES}),
)
CARRIES = {"runtime", "peer", "optional"}


class BruteForce:
    """Grows the affected set until it no longer grows, and finds waves as longest ways."""

    def __init__(self, known: Index, root: str, version: str, kinds: frozenset[Kind]) -> None:
        self.edges = {  # (dependent, dependency) → kinds by which it is admitted
            (name, each.package): {
                other.kind.value
                for other in entry.dependencies
                if other.package == each.package
                and other.kind in kinds
                and (version if other.package == root else known.entries[other.package].version)
                in ADMITTED[other.requirement]
            }
            for name, entry in known.entries.items()
            if name != root
            for each in entry.dependencies
        }
        carriers, affected = {root}, set[str]()
        while True:
            before = (len(carriers), len(affected))
            for (name, on), by in self.edges.items():
                if on in carriers and by:
                    affected.add(name)
                    carriers |= {name} if by & CARRIES else set()
            if before == (len(carriers), len(affected)):
                break
        self.affected = affected
        self.before = {
            name: {
                on for (who, on), by in self.edges.items() if who == name and by and on in carriers - {root}
            }
            for name in affected
        }
        far = self.closure()
        self.before = {
            name: {on for on in waits if self.edges[name, on] & CARRIES or name not in far[on] | {on}}
            for name, waits in self.before.items()
        }
        far = self.closure()
        self.circular = {name for name in affected if name in far[name]}
        self.stuck = {name for name in affected if far[name] & self.circular} | self.circular

    def closure(self) -> dict[str, set[str]]:
        far = {name: set(on) for name, on in self.before.items()}
        for middle, behind in far.items():
            for found in far.values():
                found.update(behind if middle in found else ())
        return far

    def depth(self, name: str) -> int:
        return max((self.depth(on) + 1 for on in self.before[name]), default=0)


@given(
    INDEXES, st.sampled_from(["1.0.0", "1.2.0", "2.0.0"]), st.sets(st.sampled_from(list(Kind)), min_size=1)
)
def test_the_plan_is_the_brute_force_answer(known: Index, version: str, kinds: set[Kind]) -> None:
    made = plan(known, published(version), Reach(kinds=frozenset(kinds)))
    brute = BruteForce(known, key("core"), version, frozenset(kinds))
    affected = {each.package for each in made.decisions if any(r.code == "admitted" for r in each.reasons)}
    assert affected == brute.affected
    assert {name: number for number, wave in enumerate(made.waves) for name in wave} == {
        name: brute.depth(name) for name in brute.affected - brute.stuck
    }
    in_circles = {each.package for each in made.decisions if any(r.code == "in-cycle" for r in each.reasons)}
    assert in_circles == brute.circular
    named = ", ".join(each.text for each in made.findings if each.code == "cycle")
    assert all(name in named for name in brute.circular)
    for each in made.decisions:
        assert each.reasons
        assert each.wave is None or set(each.after) == brute.before[each.package]


@given(INDEXES)
def test_the_same_index_is_planned_the_same(known: Index) -> None:
    turned = Index(dict(reversed([*known.entries.items()])))
    assert plan(turned, published()) == plan(known, published())
