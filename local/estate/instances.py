"""EC2 as moto has it, made to stand a large fleet: what moto searches for is looked up."""

from __future__ import annotations

import copy
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from moto.ec2.exceptions import InvalidInstanceIdError
from moto.ec2.models import EC2Backend
from moto.ec2.models.core import TaggedEC2Resource
from moto.ec2.utils import EC2_PREFIX_TO_RESOURCE, filter_reservations, get_prefix

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from moto.ec2.models.amis import Ami
    from moto.ec2.models.instances import Instance, Reservation

    from local.estate.replacing import Replacements

ATTRIBUTE = "signalbox_instances"
WILDCARDS = frozenset("*?")


@dataclass(frozen=True, slots=True)
class Place:
    """An instance and the reservation it was launched in."""

    instance: Instance
    reservation: Reservation


def instance_semantics(replacements: Replacements) -> None:
    """Replaces moto's searches through every reservation, tag and image; what they answer stays the same."""
    replacements.around(EC2Backend, run_instances, describe_instances, describe_images)
    replacements.methods(TaggedEC2Resource, get_tags)
    replacements.methods(
        EC2Backend,
        get_instance,
        get_instance_by_id,
        get_multi_instances_by_id,
        get_reservations_by_instance_ids,
    )


def find(backend: EC2Backend, instance_id: str) -> Place | None:
    """The instance with this id, running or not."""
    return _index(backend).get(instance_id) or _being_launched(backend, instance_id)


def _index(backend: EC2Backend) -> dict[str, Place]:
    # Kept on the backend, so that resetting moto empties it too.
    index: dict[str, Place] | None = backend.__dict__.get(ATTRIBUTE)
    if index is None:
        index = {}
        for reservation in backend.reservations.values():
            _add(index, reservation)
        backend.__dict__[ATTRIBUTE] = index
    return index


def _add(index: dict[str, Place], reservation: Reservation) -> None:
    index |= {instance.id: Place(instance, reservation) for instance in reservation.instances}


def _being_launched(backend: EC2Backend, instance_id: str) -> Place | None:
    """run_instances attaches a volume to each instance before it returns."""
    newest = next(reversed(backend.reservations.values()), None)
    if newest and newest.instances and newest.instances[-1].id == instance_id:
        return Place(newest.instances[-1], newest)
    return None


def _places(backend: EC2Backend, instance_ids: Iterable[str]) -> list[Place]:
    found = {instance_id: find(backend, instance_id) for instance_id in instance_ids}
    if unknown := [instance_id for instance_id, place in found.items() if place is None]:
        raise InvalidInstanceIdError(unknown)
    return [place for place in found.values() if place]


def _reservations(places: Iterable[Place]) -> list[Reservation]:
    """Copies of the reservations, with these of their instances only."""
    found: dict[str, Reservation] = {}
    for place in places:
        if place.reservation.id not in found:
            found[place.reservation.id] = copy.copy(place.reservation)
            found[place.reservation.id].instances = []
        found[place.reservation.id].instances.append(place.instance)
    return list(found.values())


# From here on: methods of moto's.


def run_instances(
    launch: Callable[..., Reservation], self: EC2Backend, *args: Any, **kwargs: Any
) -> Reservation:
    reservation = launch(self, *args, **kwargs)
    _add(_index(self), reservation)
    return reservation


def get_instance_by_id(self: EC2Backend, instance_id: str) -> Instance | None:
    place = find(self, instance_id)
    return place.instance if place else None


def get_instance(self: EC2Backend, instance_id: str) -> Instance:
    return _places(self, [instance_id])[0].instance


def get_multi_instances_by_id(
    self: EC2Backend, instance_ids: list[str], filters: Any = None
) -> list[Instance]:
    places = _places(self, instance_ids)
    return [place.instance for place in places if place.instance.applies(filters)]


def get_reservations_by_instance_ids(
    self: EC2Backend, instance_ids: list[str], filters: Any = None
) -> list[Reservation]:
    reservations = _reservations(_places(self, instance_ids))
    return reservations if filters is None else filter_reservations(reservations, filters)


def describe_instances(
    describe: Callable[..., list[Reservation]], self: EC2Backend, filters: Any = None
) -> list[Reservation]:
    wanted = (filters or {}).get("instance-id", [])
    if not wanted or any(WILDCARDS & set(value) for value in wanted):
        return describe(self, filters)
    places = (find(self, instance_id) for instance_id in dict.fromkeys(wanted))
    return filter_reservations(_reservations(place for place in places if place), filters)


def describe_images(
    describe: Callable[..., list[Ami]], self: EC2Backend, *args: Any, **kwargs: Any
) -> list[Ami]:
    """Each launch asks for its own image like this."""
    match args, kwargs:
        case (), {"filters": {"image-id": str() as image_id, **others}, **rest} if not others and not rest:
            return [self.amis[image_id]] if image_id in self.amis else []
        case _:
            return describe(self, *args, **kwargs)


def get_tags(self: TaggedEC2Resource) -> list[dict[str, str]]:
    resource_id: str | None = getattr(self, "id", None)
    if not resource_id:
        return []
    backend: EC2Backend = self.ec2_backend  # type: ignore[attr-defined]  # every subclass has one
    kind = EC2_PREFIX_TO_RESOURCE.get(get_prefix(resource_id), "")
    return [
        {"resource_id": resource_id, "key": key, "value": value, "resource_type": kind}
        for key, value in backend.tags.get(resource_id, {}).items()
    ]
