# SPDX-License-Identifier: Apache-2.0
"""The notifier's durable store: windows that wait, and where to go on.

A directory of append-only segment files.  One record is a window's payload
together with the closing baselines, so that a restart continues exactly
where the last record ends.  What a payload or a baseline means is not
known here, and nothing here reads a clock or the configuration.

``form`` is the bytes of a record, ``segments`` the files, ``bounds`` when
they are too many, ``renewal`` the way into a new stream, ``store`` the spool
of it all.
"""

from energy_accounting.spool.segments import SEGMENT_BYTES
from energy_accounting.spool.store import (
    BATCH_BYTES,
    BATCH_RECORDS,
    MAX_BYTES,
    Record,
    Spool,
)

__all__ = ('BATCH_BYTES', 'BATCH_RECORDS', 'MAX_BYTES', 'SEGMENT_BYTES',
           'Record', 'Spool')
