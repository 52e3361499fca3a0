# SPDX-License-Identifier: Apache-2.0
"""Everything breaks at random, and the books must still balance.

``tools/chaos`` runs it.  ``trees`` moves counters and knows the truth,
``proxy`` stands between the processes and their servers, ``processes`` and
``databases`` are what runs, ``faults`` what goes wrong and ``plan`` when,
``rogue`` sends what was sent before and what is not so, ``verdict``
compares the ledger with the truth, ``run`` puts them together.
"""
