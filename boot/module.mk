# SPDX-License-Identifier: Apache-2.0

# the boot protocols
pure-y += boot/ranges.c boot/multiboot2.c boot/pvh.c
kernel-y += boot/ranges.c boot/multiboot2.c boot/pvh.c
