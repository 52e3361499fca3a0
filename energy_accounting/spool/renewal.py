# SPDX-License-Identifier: Apache-2.0
"""Records of one stream as those of another.

A spool whose numbers the collector has given to other records goes on in a
new stream; what was not sent is taken along under new numbers.
"""

from __future__ import annotations

import dataclasses
import logging

from energy_accounting import errors, samples, wire

LOG = logging.getLogger(__name__)


def renumbered(payload: str | None, lost: samples.Lost) -> str:
    """A record as the next one of another stream; None: it was lost.

    :param lost: what stands in its place when it cannot be had: says
        whose, of which stream and which number it is to be.
    """
    if payload is not None:
        try:
            return wire.payload(dataclasses.replace(
                wire.from_payload(payload), stream=lost.stream,
                sequence=lost.sequence))
        except errors.InvalidRecord as error:
            LOG.error('a record is no window and reported as lost: %s',
                      error)
    return wire.payload(lost)
