"""The embedded AWS: a whole Signalbox on one machine, no account needed."""
