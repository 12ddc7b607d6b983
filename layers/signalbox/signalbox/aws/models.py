"""botocore's models of the services, read without what a function never needs of them.

As botocore reads them they make most of a cold start: it looks into the folders of all four hundred services,
three times, before it opens one, and parses JSON into ordered dictionaries, which every `dict` is by now.
"""

import os
import zlib
from pathlib import Path
from typing import Any

import msgspec
from botocore.loaders import JSONFileLoader, Loader, instance_cache

GZIP = zlib.MAX_WBITS | 16


class ModelFiles(JSONFileLoader):
    """`botocore.loaders.JSONFileLoader`, parsing with msgspec."""

    def load_file(self, file_path: str) -> Any:
        """What a file holds, plain or compressed; None where there is none. ``file_path`` has no suffix."""
        plain, compressed = Path(f"{file_path}.json"), Path(f"{file_path}.json.gz")
        if plain.is_file():
            return msgspec.json.decode(plain.read_bytes())
        if compressed.is_file():
            return msgspec.json.decode(zlib.decompress(compressed.read_bytes(), wbits=GZIP))
        return None


class Models(Loader):
    """`botocore.loaders.Loader`, taking each folder of its data for a service."""

    FILE_LOADER_CLASS = ModelFiles

    @instance_cache
    def list_available_services(self, type_name: str) -> list[str]:  # noqa: ARG002 - the name is botocore's
        """The services there are, whichever types of model each of them has."""
        folders = filter(os.path.isdir, self.search_paths)
        return sorted({service for folder in folders for service in os.listdir(folder)})  # noqa: PTH208 - faster
