# SPDX-License-Identifier: Apache-2.0
"""Real components together; started by ``tools/run-tests acceptance``."""
