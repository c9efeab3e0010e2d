# SPDX-License-Identifier: Apache-2.0

# nested paging, guest walks, the instruction emulator, CPUID and MSR tables
kernel-y += vmm/ept.c
pure-y += vmm/ept.c
