# SPDX-License-Identifier: Apache-2.0
"""The ledger: all buckets by host and account, in integer microjoules.

``models`` are the tables, ``engine`` the connection to them, ``migrations``
how the tables came to be.  ``writes`` is how records are booked: a
``received`` one goes to the ``buckets`` of its ``accounts``, to ``gaps`` or
to ``quarantine``, many rows at once (``bulk``).  ``known`` is which time that
leaves known, and ``holes`` what becomes a gap.  ``identities`` is what was
learnt about owners and names, ``purge`` what is dropped.

Reports ask for ``usage``: a query and its rows are in ``queries``; the rows
are summed (``wide_sums`` of the ``terms``) where ``sources`` finds them,
with ``claims`` applied, by calendar ``periods``, in ``pages``, with their
``coverage``.  ``balance`` is the balance sheet, ``hosts`` their state.

Nothing here knows HTTP, RPC or Keystone.
"""
