# SPDX-License-Identifier: Apache-2.0

net-pure := net/mac_table.c net/offload.c net/switch.c net/uplink_choice.c
kernel-y += $(net-pure) net/buffer.c net/uplink.c
pure-y   += $(net-pure)
