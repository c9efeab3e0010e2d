# SPDX-License-Identifier: Apache-2.0

include kernel/verify/module.mk

# the boot disk's two slots, and what is kept for the agent
storage-pure := storage/gpt.c storage/grubenv.c storage/slots.c storage/kept.c
kernel-y += $(storage-pure) storage/node_slots.c storage/node_kept.c
pure-y += $(storage-pure)
