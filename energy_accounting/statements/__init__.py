# SPDX-License-Identifier: Apache-2.0
"""Closed months and years of projects: frozen lines, revisions, digests.

``periods``, ``lines``, ``content`` and ``differences`` are pure; ``reading``
asks the ledger, ``closing`` stores, ``verifying`` asks again, ``documents``
is what people read.  No way of counting energy, CO2 or PUE but the report's.
"""
