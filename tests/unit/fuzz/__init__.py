# SPDX-License-Identifier: Apache-2.0
"""Fuzzers: everything that is parsed, fed with what it was not made for.

One file for each source: the wire, powercap, procfs, cgroups, Nova's
metadata, the spool, the baselines, the signing key.  Each takes records and
files as they really are (captured ones where there are any), damages them,
and asks for two things: no exception but our own, and no effect on what was
whole.

A run takes seconds.  For a deeper one::

    EA_TEST_DEPTH=50 python -m pytest tests/unit/fuzz

Here are the ways to damage, and nothing that knows what is damaged.
"""

from __future__ import annotations

import copy
import os
import re
from collections.abc import Sequence
from typing import Any

import hypothesis
from hypothesis import strategies as st

DEPTH = int(os.environ.get('EA_TEST_DEPTH', '1'))
# What no number of the kernel's looks like, and what Python takes for one.
NUMBERS = (b'', b'-1', b'0', b'00', b'+7', b'1_0', b' 5 5', b'1e3', b'0x10',
           b'nan', b'1.5', '\u0663'.encode(), '\u00b2'.encode(),
           str(2 ** 31).encode(), str(2 ** 63).encode(),
           str(2 ** 64).encode(), b'9' * 60, b'9' * 5000)
CHUNKS = (b'\0', b'\n', b'\xff\xfe', b'\xed\xa0\x80', b'\xe3\x80\x80', b'"',
          b'{', b'[' * 3000, b'<', b'&#10;', b'%n', b'../', b'x' * 5000)


def settings(examples: int) -> hypothesis.settings:
    """So many examples, times ``EA_TEST_DEPTH``."""
    return hypothesis.settings(
        max_examples=examples * DEPTH, deadline=None,
        suppress_health_check=list(hypothesis.HealthCheck))


@st.composite
def damaged(draw: st.DrawFn, *originals: bytes) -> bytes:
    """One of some texts, with up to four kinds of damage in it."""
    data = draw(st.sampled_from(originals))
    for _ in range(draw(st.integers(1, 4))):
        data = _damage(draw, data)
    return data


def _damage(draw: st.DrawFn, data: bytes) -> bytes:
    if not data:
        return draw(st.binary(max_size=40))
    kind = draw(st.sampled_from(('number', 'number', 'byte', 'cut', 'drop',
                                 'repeat', 'insert', 'replace', 'move')))
    if kind == 'number':
        runs = list(re.finditer(rb'\d+', data))
        if runs:
            run = draw(st.sampled_from(runs))
            return (data[:run.start()] + draw(st.sampled_from(NUMBERS))
                    + data[run.end():])
    here = draw(st.integers(0, len(data) - 1))
    there = min(len(data), here + draw(st.integers(1, 64)))
    if kind == 'cut':
        return data[:here]
    if kind == 'drop':
        return data[:here] + data[there:]
    if kind == 'repeat':
        return data[:there] + data[here:]
    if kind == 'insert':
        return data[:here] + draw(st.sampled_from(CHUNKS)) + data[here:]
    if kind == 'replace':
        return draw(st.binary(max_size=80) | st.sampled_from(CHUNKS))
    if kind == 'move':
        return data[:here] + data[there:] + data[here:there]
    return (data[:here] + bytes([data[here] ^ (1 << draw(st.integers(0, 7)))])
            + data[here + 1:])


SCALARS = (st.none() | st.booleans() | st.integers(-2, 2)
           | st.sampled_from([2 ** 31, 2 ** 63 - 1, 2 ** 63, 10 ** 40,
                              -10 ** 40, 0.5, 1e300, '', ' ', 'x' * 256,
                              'a\0b', '\ud800', 'a\n', 'package-0', '7'])
           | st.text(max_size=5))
VALUES = st.recursive(
    SCALARS, lambda inner: st.lists(inner, max_size=3)
    | st.dictionaries(st.text(max_size=5), inner, max_size=3), max_leaves=6)


@st.composite
def damaged_value(draw: st.DrawFn, *originals: Any) -> Any:
    """One of some JSON values, with something in it that is not its own."""
    value = copy.deepcopy(draw(st.sampled_from(originals)))
    for _ in range(draw(st.integers(1, 3))):
        places = list(_places(value))
        if not places:
            return draw(VALUES)
        holder, key = draw(st.sampled_from(places))
        kind = draw(st.sampled_from(('replace', 'replace', 'drop', 'add',
                                     'copy')))
        if kind == 'replace':
            holder[key] = draw(VALUES)
        elif kind == 'drop':
            del holder[key]
        elif isinstance(holder, list):
            holder.insert(key, copy.deepcopy(holder[key])
                          if kind == 'copy' else draw(VALUES))
        elif kind == 'copy':
            holder[f'{key}x'] = copy.deepcopy(holder[key])
        else:
            holder[draw(st.text(max_size=5))] = draw(VALUES)
    return value


def _places(value: Any) -> Any:
    """Every (holder, key) inside a JSON value."""
    keys: Sequence[Any] = ()
    if isinstance(value, dict):
        keys = list(value)
    elif isinstance(value, list):
        keys = range(len(value))
    for key in keys:
        yield value, key
        yield from _places(value[key])
