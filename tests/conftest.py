"""What holds for every test: no property has a deadline. Timings are the machine's, and never asserted."""

from hypothesis import settings

settings.register_profile("signalbox", deadline=None)
settings.load_profile("signalbox")
