# SPDX-License-Identifier: Apache-2.0
"""Factors from files: those that are shipped, and an operator's own.

Both are read whole each time; all of a file is used or none.
"""

from __future__ import annotations

import importlib.resources
from collections.abc import Callable, Sequence

from oslo_config import cfg

from energy_accounting import errors
from energy_accounting.facility import factor_csv, factors, providers

STATIC = 'static'
CSV = 'csv'
_SHIPPED = 'fallback.csv'
_MOST_BYTES = 64 * 2**20


class File:
    """See :class:`providers.Provider`.

    :ivar where: what the file is called in errors.
    """

    basis = None
    span_ns = None

    def __init__(self, name: str, where: str, read: Callable[[], str],
                 ) -> None:
        self.name, self.where, self._read = name, where, read

    def fetch(self, zone: str, start_ns: int, end_ns: int, now_ns: int,
              ) -> Sequence[factors.Factor]:
        try:
            lines = factor_csv.read(self._read(), self.where, self.name,
                                    now_ns)
        except (errors.InvalidRequest, OSError, ValueError) as error:
            raise providers.refusal(self.name, zone, str(error)) from error
        return [line.factor for line in lines
                if line.factor.zone == zone
                and line.factor.start_ns < end_ns
                and line.factor.end_ns > start_ns]


def text_of(path: str) -> str:
    """A file's text.

    :raises errors.InvalidRequest: it cannot be read.
    """
    try:
        with open(path, 'rb') as file:
            found = file.read(_MOST_BYTES + 1)
        if len(found) > _MOST_BYTES:
            raise errors.InvalidRequest(
                f'{path}: it is larger than {_MOST_BYTES} bytes: divide it')
        return found.decode()
    except OSError as error:
        raise errors.InvalidRequest(
            f'{path}: it cannot be read: {error.strerror}') from error
    except UnicodeDecodeError as error:
        raise errors.InvalidRequest(
            f'{path}: byte {error.start} is not UTF-8: save it as UTF-8',
        ) from error


def shipped(conf: cfg.ConfigOpts | None = None) -> File:
    """The yearly values in this package; for stevedore."""
    data = importlib.resources.files('energy_accounting.facility')
    return File(STATIC, _SHIPPED, (data / 'data' / _SHIPPED).read_text)


def from_conf(conf: cfg.ConfigOpts) -> File:
    """The operator's file; for stevedore."""
    path = conf.factors.csv_file
    if not path:
        raise errors.ConfigurationError(
            '[factors] csv_file is not set: name the file, or leave csv out '
            'of providers')
    return File(CSV, path, lambda: text_of(path))
