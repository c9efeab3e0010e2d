# SPDX-License-Identifier: Apache-2.0
#
# Kernels for tests of this machine's own parts: billet.elf with another after_boot(), and so with
# something else to do once everything is up. What several of them share is in tests/kernel/lib.

kernel-tests-lib := $(call objects,kernel,$(wildcard tests/kernel/lib/*.c))

$(B)/kernel-tests/%.elf: $(B)/kernel/tests/kernel/%.o $(kernel-tests-lib) $(B)/billet.elf
	$(call say,LD,$@)mkdir -p $(@D) && tools/build/link-kernel $@ boot/billet.lds \
		$(call objects,kernel,$(filter-out boot/after_boot.c,$(kernel-y))) $(kernel-tests-lib) $<
.PRECIOUS: $(B)/kernel/tests/kernel/%.o

kernel-tests := $(patsubst tests/kernel/%.c,$(B)/kernel-tests/%.elf,$(wildcard tests/kernel/*.c))
system: $(kernel-tests)
