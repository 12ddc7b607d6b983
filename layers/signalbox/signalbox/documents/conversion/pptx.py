"""PowerPoint: a page a slide, with its diagrams and the speaker's notes."""

from collections.abc import Iterator
from zipfile import ZipFile

from signalbox.documents.batching import Page
from signalbox.documents.conversion.converters import Source, check_pages
from signalbox.documents.conversion.office import Parts


def convert(source: Source) -> Iterator[Page]:
    with ZipFile(source.path) as archive:
        parts = Parts(archive)
        slides = _slides(parts)
        check_pages(len(slides), source.limits)
        for number, slide in enumerate(slides, 1):
            for name in (slide, *parts.related(slide, "diagramData", "notesSlide").values()):
                yield from (Page(text, number) for text in parts.text(name))
            yield Page("\n", number)


def _slides(parts: Parts) -> list[str]:
    """In the order in which they are shown."""
    [main, *_] = parts.of_type(".main+xml")
    targets = parts.related(main, "slide")
    references = [
        value
        for each in parts.elements(main, "sldId")
        for name, value in each.items()
        if name.endswith(":id")
    ]
    return [targets[reference] for reference in references if reference in targets]
