# SPDX-License-Identifier: Apache-2.0
"""A truthful cloud: what is measured of it, and what really happened.

:mod:`.world` is the physics and its own truth, :mod:`.example` the cloud
that newcomers see, :mod:`.play` drives the notifier's code through it and
compares.  The truth is computed by the world's own law at its own fine
steps; nothing of the attribution may be used for it.
"""
