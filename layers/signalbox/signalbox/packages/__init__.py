"""The Packages domain: a published version rebuilds what depends on it, in order, and is promoted."""
