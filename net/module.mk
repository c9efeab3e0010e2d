# SPDX-License-Identifier: Apache-2.0

kernel-y += net/mac_table.c net/switch.c net/uplink.c
pure-y   += net/mac_table.c net/switch.c
