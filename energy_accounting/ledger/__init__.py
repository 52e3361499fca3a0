# SPDX-License-Identifier: Apache-2.0
"""The ledger: all buckets by host and account, in integer microjoules.

``models`` are the tables, ``engine`` the connection to them, ``writes`` how
a window is booked, ``reads`` the sums that reports ask for, ``migrations``
how the tables came to be.  Nothing here knows HTTP, RPC or Keystone.
"""
