# SPDX-License-Identifier: Apache-2.0
"""The ledger: all buckets by host and account, in integer microjoules.

``models`` are the tables, ``engine`` the connection to them, ``migrations``
how the tables came to be.  ``writes`` is how records are booked: a
``received`` one goes to the ``buckets`` of its ``accounts``, to ``gaps`` or
to ``quarantine``, many rows at once (``bulk``).  ``identities`` is what was
learnt about owners and names, ``purge`` what is dropped, ``reads`` the sums
that reports ask for.  Nothing here knows HTTP, RPC or Keystone.
"""
