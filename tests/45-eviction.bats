#!/usr/bin/env bats
# SPDX-License-Identifier: BSD-2-Clause
# Eviction by each policy, access clocks, what the limit counts, and slabs that serve new sizes of values.

load lib/server

setup() { only_bulkhead; }
