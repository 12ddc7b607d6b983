"""The demo's teams: who publishes what in the CodeArtifact domain, and the projects that build it.

A diamond: ``app`` depends on ``left`` and ``right``, and these on ``core``. Making it twice changes nothing.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from local.workshop import Made

if TYPE_CHECKING:
    from local.workshop import Workshop

CORE, LEFT, RIGHT, APP = (f"npm//{name}" for name in ("core", "left", "right", "app"))
FIRST = "1.0.0"
OWNERS = {"platform": (CORE, LEFT), "shapes": (RIGHT,), "apps": (APP,)}
STOCK = (
    Made(CORE, FIRST),
    Made(LEFT, FIRST, depends_on={CORE: "^1.0.0"}),
    Made(RIGHT, FIRST, depends_on={CORE: "^1.0.0"}),
    Made(APP, FIRST, "apps", depends_on={LEFT: "^1.0.0", RIGHT: "^1.0.0"}),
)
TESTS = 'echo "$SIGNALBOX_PACKAGE with $PACKAGE_NAME $PACKAGE_VERSION: 12 tests have passed"'


def create(workshop: Workshop) -> None:
    """Makes what is missing of it."""
    workshop.open()
    for owner, packages in OWNERS.items():
        workshop.declare_owner(owner, packages)
        for package in packages:
            workshop.put_project(project(package), TESTS)
    if FIRST not in workshop.shared(APP):  # made last
        workshop.stock(*STOCK)


def project(package: str) -> str:
    """The project that builds a package, as its owner declares it."""
    return f"rebuild-{package.rpartition('/')[2]}"
