"""What lies in the work bucket between two steps."""

from hypothesis import given
from hypothesis import strategies as st

from signalbox.documents.lines import read_lines, write_lines
from signalbox.documents.models import Batch

BATCHES = st.builds(Batch, batch=st.integers(0, 10**6), text=st.text(), page=st.integers(0, 5_000))


@given(st.lists(BATCHES))
def test_what_is_written_is_read(batches: list[Batch]) -> None:
    assert list(read_lines(write_lines(batches), Batch)) == batches


def test_the_same_is_always_the_same_bytes() -> None:
    batches = [Batch(batch=0, text="line\none")]
    assert write_lines(batches) == write_lines(iter(batches))
