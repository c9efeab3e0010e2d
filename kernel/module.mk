# SPDX-License-Identifier: Apache-2.0

# kernel/lib, memory, log, ACPI
pure-y += kernel/lib/err.c kernel/lib/fmt.c
pure-y += kernel/log_ring.c kernel/buddy.c kernel/slab.c kernel/ram_plan.c
kernel-y += kernel/lib/string.c kernel/lib/err.c kernel/lib/fmt.c
kernel-y += kernel/log.c kernel/log_ring.c
kernel-y += kernel/memory.c kernel/buddy.c kernel/ram_plan.c kernel/kmem.c kernel/slab.c

# string.c's loops must not become calls of themselves.
FLAGS_kernel/lib/string := -fno-tree-loop-distribute-patterns
