# SPDX-License-Identifier: Apache-2.0

include kernel/verify/module.mk

# the boot disk's two slots
storage-pure := storage/gpt.c storage/grubenv.c storage/slots.c
kernel-y += $(storage-pure) storage/node_slots.c
pure-y += $(storage-pure)
