# SPDX-License-Identifier: Apache-2.0
"""Where factors come from: plug-ins of ``energy_accounting.factors``.

An entry point names a function that makes a :class:`Provider` of the
configuration.  A provider asks and understands; which time it is asked
for, and what of its answer is recorded, is decided in ``fetching``.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol

from energy_accounting import errors
from energy_accounting.facility import factors

NAMESPACE = 'energy_accounting.factors'


class Provider(Protocol):
    """Something that knows factors of grid zones.

    :ivar name: that of its entry point.
    :ivar basis: of what it says; None: of several.
    :ivar span_ns: the longest time it answers at once; None: it has
        everything at hand and is asked for all of it.
    """

    name: str
    basis: str | None
    span_ns: int | None

    def fetch(self, zone: str, start_ns: int, end_ns: int, now_ns: int,
              ) -> Sequence[factors.Factor]:
        """What it knows of [start_ns, end_ns), in any order.

        Nothing for a time of which it knows nothing: never 0.

        :param now_ns: when it is asked.
        :raises errors.ProviderError: it does not answer, or not as it is
            documented; none of such an answer is used.
        """


def refusal(name: str, zone: str, reason: str) -> errors.ProviderError:
    """The error of a provider, with all that an operator must know."""
    return errors.ProviderError(f'{name}, zone {zone}: {reason}')
