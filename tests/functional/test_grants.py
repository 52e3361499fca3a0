# SPDX-License-Identifier: Apache-2.0
"""Users with as few rights as the documents give them, on real servers."""

from __future__ import annotations

